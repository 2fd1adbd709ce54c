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
