/** What /proc says about the host's processes. Those that end meanwhile are left out. */
import { readFile, readdir, readlink } from 'node:fs/promises'

export interface HostProcess {
  readonly pid: number
  readonly parent: number
  /** Words of the command line; empty for kernel threads. */
  readonly argv: readonly string[]
}

export async function listPids(): Promise<readonly number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
}

export async function listProcesses(): Promise<readonly HostProcess[]> {
  const found = await Promise.all((await listPids()).map((pid) => readProcess(pid).catch(() => undefined)))
  return found.filter((process) => process !== undefined)
}

async function readProcess(pid: number): Promise<HostProcess> {
  const [stat, line] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile(`/proc/${pid}/cmdline`, 'utf8'),
  ])
  const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  return { pid, parent, argv: line === '' ? [] : line.replace(/\0$/, '').split('\0') }
}

/** The processes and all that come from them. */
export function descendants(all: readonly HostProcess[], roots: Iterable<number>): Set<number> {
  const family = new Set(roots)
  // Children may be listed before their parents once pids have wrapped round: look until nobody new is found.
  for (let before = -1; before !== family.size;) {
    before = family.size
    for (const { pid, parent } of all) if (family.has(parent)) family.add(pid)
  }
  return family
}

/** From the parent up to, and without, init and the processes of `until`. */
export function ancestors(
  all: readonly HostProcess[],
  pid: number,
  until: ReadonlySet<number>,
): readonly number[] {
  const parents = new Map(all.map((process) => [process.pid, process.parent]))
  const found: number[] = []
  for (let at = parents.get(pid) ?? 0; at > 1 && !until.has(at); at = parents.get(at) ?? 0) found.push(at)
  return found
}

/** The inode that names a namespace, `pid:[4026531836]`; undefined when the process is gone. */
export function namespaceOf(pid: number | 'self', kind: string): Promise<string | undefined> {
  return readlink(`/proc/${pid}/ns/${kind}`).catch(() => undefined)
}

/** Processes in the same PID namespace, the host's own excepted. */
export async function companions(pid: number): Promise<readonly number[]> {
  const wanted = await namespaceOf(pid, 'pid')
  if (wanted === undefined || wanted === (await namespaceOf('self', 'pid'))) return [pid]
  const pids = await listPids()
  const links = await Promise.all(pids.map((one) => namespaceOf(one, 'pid')))
  return pids.filter((_pid, index) => links[index] === wanted)
}

/** Who listens on a unix socket (root only): pids that hold its inode. */
export async function listenersOn(socket: string): Promise<readonly number[]> {
  const holders = await Promise.all((await listPids()).map((pid) => listens(pid, socket)))
  return holders.filter((pid) => pid !== undefined)
}

async function listens(pid: number, socket: string): Promise<number | undefined> {
  const folder = `/proc/${pid}`
  const names = await readdir(`${folder}/fd`).catch(() => [])
  const links = await Promise.all(names.map((name) => readlink(`${folder}/fd/${name}`).catch(() => '')))
  if (!links.some((link) => link.startsWith('socket:'))) return undefined
  const table = await readFile(`${folder}/net/unix`, 'utf8').catch(() => '')
  // Flags 00010000: it accepts connections. The path is that of bind(2), so compare by its end too.
  const inodes = table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === '00010000' && fields[7] === socket)
    .map((fields) => `socket:[${fields[6]}]`)
  return inodes.some((inode) => links.includes(inode)) ? pid : undefined
}

/**
 * The auditor and what it started on the host: its traces are none of a target's. Processes that `runc exec` starts are
 * children of ours too, and belong to the container: they are in another PID namespace. So does an engine that we started,
 * with all that it started: it is no part of the auditor.
 */
export async function auditorPids(
  all: readonly HostProcess[],
  engine: readonly number[] = [],
): Promise<ReadonlySet<number>> {
  const theirs = descendants(all, engine)
  const family = [...descendants(all, [process.pid])].filter((pid) => !theirs.has(pid))
  const mine = await namespaceOf('self', 'pid')
  const links = await Promise.all(family.map((pid) => namespaceOf(pid, 'pid')))
  return new Set(family.filter((_pid, index) => links[index] === mine))
}
