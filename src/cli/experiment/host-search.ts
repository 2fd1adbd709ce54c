/** What the host's everyday root can find out about a container with everyday tools: find, ps, cat. */
import { execFile } from 'node:child_process'
import { lstat, readFile, readdir } from 'node:fs/promises'
import { DewarError, errnoOf } from '../../base/errors.ts'

/** A host with millions of files and a cold cache is not searched to its end: the reader waits. */
const SEARCH_MS = 8_000

export interface FoundFile {
  readonly path: string
  readonly uid: number
  /** Undefined when it cannot be read. */
  readonly content: string | undefined
}

export interface HostSearch {
  /** The command as one would type it. */
  readonly command: string
  readonly files: readonly FoundFile[]
  /** The whole host was not searched in time, and `narrower` was searched instead. */
  readonly cutShort: boolean
}

/**
 * `find / -name NAME`, leaving out /proc and /sys, where every process's root would show the same file again.
 * When the host is too large for that, `find NARROWER -name NAME`.
 */
export async function findOnHost(name: string, narrower: string, signal: AbortSignal): Promise<HostSearch> {
  const skip = ['(', '-path', '/proc', '-o', '-path', '/sys', ')', '-prune', '-o']
  const whole = await outputOf('find', ['/', ...skip, '-name', name, '-print'], signal)
  const searched = whole.cutShort ? await outputOf('find', [narrower, '-name', name], signal) : whole
  const files = await Promise.all(searched.lines.map(describe))
  return { command: `find ${whole.cutShort ? narrower : '/'} -name ${name}`, files, cutShort: whole.cutShort }
}

async function describe(path: string): Promise<FoundFile> {
  const { uid } = await lstat(path)
  const content = await readFile(path, 'utf8').catch(() => undefined)
  return { path, uid, content: content?.trim() }
}

export interface HostProcess {
  readonly pid: number
  readonly parent: number
  readonly uid: number
  readonly command: string
}

export interface ProcessSearch {
  /** The command as one would type it. */
  readonly command: string
  readonly processes: readonly HostProcess[]
}

/** The process and all that come from it, as `ps` on the host lists them, or /proc where there is no usable `ps`. */
export async function processesFrom(first: number, signal: AbortSignal): Promise<ProcessSearch> {
  const listed = await outputOf('ps', ['-e', '-o', 'pid=,ppid=,uid=,args='], signal).catch(
    (error: unknown) => {
      signal.throwIfAborted()
      // Slim systems have no ps, and BusyBox's knows no -e: what it would read is there.
      if (error instanceof DewarError) return { lines: [] }
      throw error
    },
  )
  const found = descendants(listed.lines.flatMap(parseProcess), first)
  if (found.length > 0) return { command: 'ps -e -o pid,uid,args', processes: found }
  return { command: 'cat /proc/[0-9]*/cmdline', processes: descendants(await readProcesses(), first) }
}

/** All processes, from /proc. Those that end meanwhile are left out. */
export async function readProcesses(): Promise<HostProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(pids.map((pid) => readProcess(Number(pid)).catch(() => undefined)))
  return found.filter((process) => process !== undefined)
}

async function readProcess(pid: number): Promise<HostProcess> {
  const [status, line] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8'),
    readFile(`/proc/${pid}/cmdline`, 'utf8'),
  ])
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? ''
  const command = line.replaceAll('\0', ' ').trim() || `[${field('Name')}]`
  return { pid, parent: Number(field('PPid')), uid: Number(field('Uid')), command }
}

export function parseProcess(line: string): HostProcess[] {
  const match = /^\s*(\d+)\s+(\d+)\s+(-?\d+)\s+(.*)$/.exec(line)
  if (match === null) return []
  // procps shows ids from 2^31 on as negative numbers.
  const uid = Number(match[3]) >>> 0
  return [{ pid: Number(match[1]), parent: Number(match[2]), uid, command: match[4] ?? '' }]
}

export function descendants(all: readonly HostProcess[], first: number): HostProcess[] {
  const family = new Set([first])
  // Children may be listed before their parents once pids have wrapped round: look until nobody new is found.
  for (let before = 0; before !== family.size;) {
    before = family.size
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid)
  }
  return all.filter(({ pid }) => family.has(pid))
}

/** The value of a variable in /proc/PID/environ; undefined when the process is gone or has it not. */
export async function environmentOf(pid: number, name: string): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/environ`, 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return ''
    throw error
  })
  return text
    .split('\0')
    .find((entry) => entry.startsWith(`${name}=`))
    ?.slice(name.length + 1)
}

interface Output {
  readonly lines: readonly string[]
  /** It was stopped because it took too long. */
  readonly cutShort: boolean
}

/** What a program printed, also when it failed: find ends with 1 when files vanish under it. */
function outputOf(program: string, args: readonly string[], signal: AbortSignal): Promise<Output> {
  const options = { signal, timeout: SEARCH_MS, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 } as const
  return new Promise((resolve, reject) => {
    execFile(program, [...args], options, (error, stdout) => {
      if (signal.aborted) reject(new Error(`${program} was interrupted`, { cause: signal.reason }))
      else if (errnoOf(error) === 'ENOENT') reject(missing(program))
      else resolve({ lines: stdout.split('\n').filter(Boolean), cutShort: error?.killed === true })
    })
  })
}

function missing(program: string): DewarError {
  return new DewarError('not-found', `cannot search the host: no program called ${program}`, {
    remedy: `install ${program === 'ps' ? 'procps' : 'findutils'}`,
  })
}
