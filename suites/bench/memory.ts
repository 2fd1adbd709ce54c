import { readdir, readFile, readlink } from 'node:fs/promises'

/** Proportional set size in kB of a process, 0 when it is gone. */
export async function pss(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
  return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0)
}

/**
 * An engine's helpers: processes in the host's own PID namespace with the engine's folder in their command line, as shims
 * have it. What runs inside containers is the user's, not the engine's.
 */
export async function helpers(folder: string): Promise<number[]> {
  const own = await readlink('/proc/self/ns/pid')
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0)
  const found = await Promise.all(
    pids.map(async (pid) => {
      const argv = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      const space = await readlink(`/proc/${pid}/ns/pid`).catch(() => '')
      return argv.includes(`${folder}/`) && space === own
    }),
  )
  return pids.filter((_, index) => found[index])
}

/** A process and all that descend from it now. */
export async function family(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  const below = await Promise.all(
    children
      .trim()
      .split(' ')
      .filter(Boolean)
      .map((child) => family(Number(child))),
  )
  return [pid, ...below.flat()]
}

export async function totalPss(pids: Iterable<number>): Promise<number> {
  const each = await Promise.all([...pids].map(pss))
  return each.reduce((sum, size) => sum + size, 0)
}
