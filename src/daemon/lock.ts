/**
 * One engine per state folder. The lock is a file that names its owner by pid and start time; Node has no flock(2).
 * Not protected: two engines in different pid namespaces that share a folder cannot see each other.
 */
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DewarError, errnoOf } from '../base/errors.ts'

const ATTEMPTS = 5

/** Held until disposed or the process ends. */
export interface Lock extends AsyncDisposable {
  readonly path: string
}

/** Throws conflict when a living engine has the folder. */
export async function lockFolder(folder: string, what: string): Promise<Lock> {
  await mkdir(folder, { recursive: true, mode: 0o711 })
  const path = join(folder, 'engine.lock')
  const mine = `${process.pid} ${await startTime(process.pid)}\n`
  const draft = `${path}.${process.pid}`
  await writeFile(draft, mine, { mode: 0o600 })
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (await linked(draft, path)) return { path, [Symbol.asyncDispose]: () => release(path, mine) }
      await clearStale(path, folder, what)
    }
  } finally {
    await rm(draft, { force: true })
  }
  throw new DewarError('conflict', `Starting the engine failed: ${what} ${folder} is contended`, { remedy: 'start one engine at a time' })
}

/** link(2) is the atomic step: it fails when the name is taken. */
async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

async function clearStale(path: string, folder: string, what: string): Promise<void> {
  const seen = await readOr(path, undefined)
  if (seen === undefined) return
  const owner = await livingOwner(seen)
  if (owner !== undefined) {
    throw new DewarError('conflict', `Starting the engine failed: ${what} ${folder} is in use by the engine with pid ${owner}`, {
      remedy: `stop it, or give this one its own folders with --root and --run`,
    })
  }
  // Another starter may have replaced the stale file meanwhile: look at what was moved, and put a living one back.
  const aside = `${path}.stale.${process.pid}`
  try {
    await rename(path, aside)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return
    throw error
  }
  if ((await readOr(aside, '')) !== seen) await linked(aside, path)
  await rm(aside, { force: true })
}

async function livingOwner(text: string): Promise<number | undefined> {
  const [pid = Number.NaN, started] = text.trim().split(' ').map(Number)
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
  return (await startTime(pid)) === started ? pid : undefined
}

/** Field 22 of /proc/PID/stat, clock ticks since boot (proc(5)); with the pid it names a process for good. 0 when dead. */
async function startTime(pid: number): Promise<number> {
  const stat = await readOr(`/proc/${pid}/stat`, '')
  // The command in parentheses may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const dead = fields[0] === undefined || fields[0] === 'Z' || fields[0] === 'X'
  return dead ? 0 : Number(fields[19] ?? 0)
}

async function readOr<T>(path: string, otherwise: T): Promise<string | T> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = errnoOf(error)
    // ESRCH: the process ended while its stat was read.
    if (code === 'ENOENT' || code === 'ESRCH') return otherwise
    throw error
  }
}

async function release(path: string, mine: string): Promise<void> {
  if ((await readOr(path, '')) === mine) await rm(path, { force: true })
}
