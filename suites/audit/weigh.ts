import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** A group's weight is parted among the processors, that of a process outside of all groups is not. */
const TIMES = Math.min(8 * cpus().length, 100)

/** The group of this process has eight times the usual weight on each processor. */
export function weigh(pid: number): void {
  const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n')
  for (const line of lines) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    const files =
      controllers === ''
        ? ([[`/sys/fs/cgroup${path}/cpu.weight`, 100 * TIMES]] as const)
        : ([[`/sys/fs/cgroup/${controllers}${path}/cpu.shares`, 1024 * TIMES]] as const)
    for (const [file, weight] of files) if (existsSync(file)) writeFileSync(file, String(weight))
  }
}
