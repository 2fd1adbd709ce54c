/** What the host's control groups say of a process. */
import { readFileSync } from 'node:fs'

/** The file of a control group of this process, in whichever hierarchy has it; empty when none has. */
export function groupFile(pid: number, v1: readonly [controller: string, file: string], v2: string): string {
  for (const line of readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    const folders = controllers.split(',').includes(v1[0])
      ? controllers.split(',').map((name) => `/sys/fs/cgroup/${name}`)
      : []
    const candidates = [
      ...folders,
      ...(controllers === '' ? ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'] : []),
    ]
    for (const folder of [`/sys/fs/cgroup/${controllers}`, ...candidates]) {
      try {
        return readFileSync(`${folder}${path}/${controllers === '' ? v2 : v1[1]}`, 'utf8').trim()
      } catch {
        // Another hierarchy has it.
      }
    }
  }
  return ''
}

/** ns of processor time that the group of this process was charged. */
export function charged(pid: number): number {
  const text = groupFile(pid, ['cpuacct', 'cpuacct.usage'], 'cpu.stat')
  const micro = /^usage_usec (\d+)/m.exec(text)?.[1]
  return micro === undefined ? Number(text) : Number(micro) * 1000
}

/** The names of its groups; empty when it is gone. */
export function groupsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8')
  } catch {
    return ''
  }
}
