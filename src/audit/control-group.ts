/** What the host's control groups say of a process. */
import { readFileSync, writeFileSync } from 'node:fs'

type Names = readonly [controller: string, file: string]

/** The file of a control group of this process, in whichever hierarchy has it; empty when none has. */
export function groupFile(pid: number, v1: Names, v2: string): string {
  return groupFiles(pid, v1, v2)[0] ?? ''
}

/** The same of its group and of those around it, as far as they have it. */
function groupFiles(pid: number, v1: Names, v2: string): readonly string[] {
  const place = placeOf(pid, v1, v2)
  if (place === undefined) return []
  const { hierarchy, path, name } = place
  return [path, ...parentsOf(path)].flatMap((group) => textOf(`${hierarchy}${group}/${name}`) ?? [])
}

/** Puts a process of ours into the group for processor time that another one is in. */
export function joinProcessorGroup(pid: number, other: number): void {
  const place = placeOf(other, ['cpu', 'cgroup.procs'], 'cgroup.procs')
  if (place === undefined) throw new Error(`process ${other} is in no control group for processor time`)
  writeFileSync(`${place.hierarchy}${place.path}/${place.name}`, String(pid))
}

interface Place {
  readonly hierarchy: string
  readonly path: string
  readonly name: string
}

function placeOf(pid: number, v1: Names, v2: string): Place | undefined {
  for (const line of readFileSync(`/proc/${pid}/cgroup`, 'utf8').split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    const unified = controllers === '' ? ['', '/unified'] : []
    const named = controllers.split(',').includes(v1[0]) ? controllers.split(',') : []
    const hierarchies = [controllers, ...named].map((name) => `/sys/fs/cgroup/${name}`)
    const name = controllers === '' ? v2 : v1[1]
    for (const hierarchy of [...hierarchies, ...unified.map((folder) => `/sys/fs/cgroup${folder}`)])
      if (textOf(`${hierarchy}${path}/${name}`) !== undefined) return { hierarchy, path, name }
  }
  return undefined
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}

function parentsOf(path: string): readonly string[] {
  const parts = path.split('/').filter((part) => part !== '')
  return parts
    .map((_part, index) =>
      parts
        .slice(0, index)
        .map((part) => `/${part}`)
        .join(''),
    )
    .toReversed()
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

/** Processors that the group of this process may use at most, by its own limit and those around it. */
export function mostProcessors(pid: number): number {
  const numbers = (v1: string, v2: string): readonly string[] => groupFiles(pid, ['cpu', v1], v2)
  const quotas = numbers('cpu.cfs_quota_us', 'cpu.max')
  const periods = numbers('cpu.cfs_period_us', 'cpu.max')
  const limits = quotas.map((text, index) => {
    // v2 has both in one line: "max 100000".
    const [quota = '', period = periods[index] ?? ''] = text.split(' ')
    return Number(quota) > 0 && Number(period) > 0 ? Number(quota) / Number(period) : Number.POSITIVE_INFINITY
  })
  return Math.min(Number.POSITIVE_INFINITY, ...limits)
}
