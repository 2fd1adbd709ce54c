/**
 * One engine per folder. Node has no flock(2), so the lock is a file that names its owner by pid and start time, and
 * every step that decides is a link(2) or a rename(2), which the kernel does whole.
 *
 * A dead owner's file is not removed by those who want the lock: two of them could each remove the other's new one.
 * They claim succession instead, under a name made from the dead file's content. link(2) lets one of them have it;
 * the one who has it looks again whether the chain still begins where it read it, and then renames its claim into
 * place. Contents never come twice (they hold a nonce), so a chain that reads the same is the same.
 *
 * Not protected: engines in different pid namespaces that share a folder cannot see each other.
 */
import { createHash, randomBytes } from 'node:crypto'
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DewarError, errnoOf } from '../base/errors.ts'

const ATTEMPTS = 10

/** Held until disposed or the process ends. */
export interface Lock extends AsyncDisposable {
  readonly path: string
}

/** Throws conflict when a living engine has the folder. `what` names it in the message. */
export async function lockFolder(folder: string, what: string): Promise<Lock> {
  await mkdir(folder, { recursive: true, mode: 0o711 })
  const path = join(folder, 'engine.lock')
  const nonce = randomBytes(8).toString('hex')
  const mine = `${process.pid} ${await startTime(process.pid)} ${nonce}\n`
  const draft = `${path}.draft-${nonce}`
  await writeFile(draft, mine, { mode: 0o600 })
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const vacancy = await findVacancy(path, folder, what)
      if (!(await linked(draft, vacancy))) continue
      if (await holds(path, vacancy, mine)) return await settle(path, vacancy, mine)
      await rm(vacancy, { force: true })
    }
  } finally {
    await rm(draft, { force: true })
  }
  throw new DewarError('conflict', `Starting the engine failed: ${what} ${folder} is contended`, {
    remedy: 'start one engine at a time',
  })
}

function successor(path: string, content: string): string {
  return `${path}.after-${createHash('sha256').update(content).digest('hex').slice(0, 32)}`
}

/** The first name in the chain of dead owners that nobody has. */
async function findVacancy(path: string, folder: string, what: string): Promise<string> {
  let at = path
  for (let content = await readOr(at); content !== undefined; content = await readOr(at)) {
    const owner = await livingOwner(content)
    if (owner !== undefined) throw inUse(folder, what, owner)
    at = successor(path, content)
  }
  return at
}

function inUse(folder: string, what: string, owner: number): DewarError {
  return new DewarError(
    'conflict',
    `Starting the engine failed: ${what} ${folder} is in use by the engine with pid ${owner}`,
    {
      remedy: 'stop it, or give this one its own folders with --root and --run',
    },
  )
}

/** Whether the chain from its beginning leads to my claim. */
async function holds(path: string, vacancy: string, mine: string): Promise<boolean> {
  let at = path
  for (let content = await readOr(at); content !== undefined; content = await readOr(at)) {
    if (at === vacancy) return content === mine
    at = successor(path, content)
  }
  return false
}

async function settle(path: string, vacancy: string, mine: string): Promise<Lock> {
  if (vacancy !== path) await rename(vacancy, path)
  const folder = dirname(path)
  for (const name of await readdir(folder)) {
    if (name.startsWith('engine.lock.after-') || (await isDeadDraft(folder, name)))
      await rm(join(folder, name), { force: true })
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      if ((await readOr(path)) === mine) await rm(path, { force: true })
    },
  }
}

/** Left by a contender that was killed. */
async function isDeadDraft(folder: string, name: string): Promise<boolean> {
  if (!name.startsWith('engine.lock.draft-')) return false
  return (await livingOwner((await readOr(join(folder, name))) ?? '')) === undefined
}

/** False when the name is taken. */
async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

async function livingOwner(content: string): Promise<number | undefined> {
  const [pid = Number.NaN, started] = content.trim().split(' ').map(Number)
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
  return (await startTime(pid)) === started ? pid : undefined
}

/**
 * Field 22 of /proc/PID/stat, clock ticks since boot (proc(5)); with the pid it names a process for good.
 * Undefined when it is dead or a zombie.
 */
async function startTime(pid: number): Promise<number | undefined> {
  const stat = await readOr(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  // The command in parentheses may hold spaces and parentheses itself.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === 'Z' || state === 'X' ? undefined : Number(fields[18])
}

async function readOr(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = errnoOf(error)
    // ESRCH: the process ended while its stat was read.
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}
