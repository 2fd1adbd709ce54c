/**
 * A container's counters as `docker stats` wants them, from v1's or v2's files, whichever has the controller.
 */
import { readFile } from 'node:fs/promises'
import { totalmem } from 'node:os'
import { DewarError, errnoOf } from '../base/errors.ts'
import { controllerOf, groupFolder } from './cgroup-layout.ts'
import type { CgroupLayout } from './cgroup-layout.ts'

/** `Stats` of the engine without what is not the cgroup's: time and networks. Nanoseconds and bytes. */
export interface CgroupStats {
  readonly pids: { readonly current: number; readonly limit: number | null }
  readonly cpu: {
    readonly total: number
    readonly user: number
    readonly kernel: number
    readonly perCpu: readonly number[] | null
    readonly system: number
    readonly online: number
    readonly throttling: { readonly periods: number; readonly throttled: number; readonly time: number }
  }
  readonly memory: {
    readonly usage: number
    readonly max: number | null
    readonly limit: number
    readonly stats: Readonly<Record<string, number>>
    readonly failcnt: number | null
  }
  /** Bytes. */
  readonly blkio: readonly BlockCount[]
  /** Requests; v1 alone, since dockerd gives none of v2's. */
  readonly blkioRequests: readonly BlockCount[]
}

interface BlockCount {
  readonly major: number
  readonly minor: number
  readonly op: string
  readonly value: number
}

/** USER_HZ: the same on all architectures Dewar runs on. */
const TICK_NS = 1e9 / 100
const US_NS = 1000

/**
 * Counters the machine does not have are 0 or null. Throws not-found when the group is gone: the container
 * has ended.
 */
export async function readStats(layout: CgroupLayout, path: string): Promise<CgroupStats> {
  const [pids, cpu, memory, blkio, blkioRequests] = await Promise.all([
    readPids(reader(layout, 'pids', path)),
    readCpu(layout, path),
    controllerOf(layout, 'memory') === 'v2'
      ? memoryV2(reader(layout, 'memory', path))
      : memoryV1(reader(layout, 'memory', path)),
    controllerOf(layout, 'blkio') === 'v2'
      ? blockV2(reader(layout, 'io', path))
      : blockV1(reader(layout, 'blkio', path), 'io_service_bytes'),
    controllerOf(layout, 'blkio') === 'v2' ? [] : blockV1(reader(layout, 'blkio', path), 'io_serviced'),
  ])
  return { pids, cpu, memory, blkio, blkioRequests }
}

/** Reads a file of the group; undefined when this kernel does not have it. */
type Reader = (file: string) => Promise<string | undefined>

function reader(layout: CgroupLayout, controller: string, path: string): Reader {
  if (controllerOf(layout, controller) === undefined) return () => Promise.resolve(undefined)
  const folder = groupFolder(layout, controller, path)
  return async (file) => {
    try {
      return await readFile(`${folder}/${file}`, 'utf8')
    } catch (error) {
      if (errnoOf(error) === 'EOPNOTSUPP') return undefined
      if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENODEV') throw error
    }
    await readFile(`${folder}/cgroup.procs`, 'utf8').catch((cause: unknown) => {
      throw new DewarError('not-found', `Reading statistics: the control group ${folder} is gone`, { cause })
    })
    return undefined
  }
}

/** A number of the kernel's; "max" and v1's page-rounded 2^63 are no limit: null. */
function limitOf(text: string | undefined): number | null {
  const value = Number(text ?? 'max')
  return Number.isFinite(value) && value < 2 ** 62 ? value : null
}

const numberOf = (text: string | undefined): number => Number(text ?? 0) || 0

/** Lines `key value`. */
function table(text: string | undefined): Record<string, number> {
  const rows = (text ?? '')
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(' '))
  return Object.fromEntries(rows.map(([key, value]) => [key ?? '', Number(value)]))
}

async function readPids(read: Reader): Promise<CgroupStats['pids']> {
  const [current, limit] = await Promise.all([read('pids.current'), read('pids.max')])
  return { current: numberOf(current), limit: limitOf(limit) }
}

async function readCpu(layout: CgroupLayout, path: string): Promise<CgroupStats['cpu']> {
  const read = reader(layout, 'cpu', path)
  const [stat, machine] = await Promise.all([read('cpu.stat').then(table), readFile('/proc/stat', 'utf8')])
  const used =
    controllerOf(layout, 'cpu') === 'v2' ? usageV2(stat) : await usageV1(reader(layout, 'cpuacct', path))
  const time =
    stat['throttled_usec'] === undefined ? (stat['throttled_time'] ?? 0) : stat['throttled_usec'] * US_NS
  return {
    ...used,
    ...machineCpu(machine),
    throttling: { periods: stat['nr_periods'] ?? 0, throttled: stat['nr_throttled'] ?? 0, time },
  }
}

type Used = Pick<CgroupStats['cpu'], 'total' | 'user' | 'kernel' | 'perCpu'>

const usageV2 = (stat: Record<string, number>): Used => ({
  total: (stat['usage_usec'] ?? 0) * US_NS,
  user: (stat['user_usec'] ?? 0) * US_NS,
  kernel: (stat['system_usec'] ?? 0) * US_NS,
  perCpu: null,
})

async function usageV1(read: Reader): Promise<Used> {
  const [total, user, kernel, perCpu] = await Promise.all(
    ['cpuacct.usage', 'cpuacct.usage_user', 'cpuacct.usage_sys', 'cpuacct.usage_percpu'].map(read),
  )
  return {
    total: numberOf(total),
    user: numberOf(user),
    kernel: numberOf(kernel),
    perCpu: perCpu === undefined ? null : perCpu.trim().split(' ').map(Number),
  }
}

/**
 * All time of all CPUs since boot: the first seven numbers, as guest time is in user time already
 * (proc_stat(5)).
 */
function machineCpu(stat: string): { readonly system: number; readonly online: number } {
  const words = /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ') ?? []
  const ticks = words.slice(0, 7).reduce((sum, word) => sum + Number(word), 0)
  return { system: ticks * TICK_NS, online: stat.match(/^cpu\d+ /gm)?.length ?? 1 }
}

/** Docker shows the machine's memory as the limit of a container without one. */
const shownLimit = (limit: number | null): number => Math.min(limit ?? Number.POSITIVE_INFINITY, totalmem())

async function memoryV1(read: Reader): Promise<CgroupStats['memory']> {
  const [usage, max, limit, failcnt, stat] = await Promise.all(
    ['usage_in_bytes', 'max_usage_in_bytes', 'limit_in_bytes', 'failcnt', 'stat'].map((name) =>
      read(`memory.${name}`),
    ),
  )
  return {
    usage: numberOf(usage),
    max: max === undefined ? null : numberOf(max),
    limit: shownLimit(limitOf(limit)),
    stats: table(stat),
    failcnt: failcnt === undefined ? null : numberOf(failcnt),
  }
}

/** memory.peak came with 5.19. */
async function memoryV2(read: Reader): Promise<CgroupStats['memory']> {
  const [usage, max, limit, events, stat] = await Promise.all(
    ['current', 'peak', 'max', 'events', 'stat'].map((name) => read(`memory.${name}`)),
  )
  return {
    usage: numberOf(usage),
    max: max === undefined ? null : numberOf(max),
    limit: shownLimit(limitOf(limit)),
    stats: table(stat),
    failcnt: table(events)['oom'] ?? null,
  }
}

/** Lines `8:0 Read 4096`, and a `Total` that has no device. */
async function blockV1(read: Reader, what: 'io_service_bytes' | 'io_serviced'): Promise<BlockCount[]> {
  const text = (await read(`blkio.throttle.${what}_recursive`)) ?? ''
  return [...text.matchAll(/^(\d+):(\d+) (\w+) (\d+)$/gm)].map(([, major, minor, op, value]) => ({
    major: Number(major),
    minor: Number(minor),
    op: (op ?? '').toLowerCase(),
    value: Number(value),
  }))
}

/** Lines `8:0 rbytes=4096 wbytes=0 rios=1 …`; devices that did nothing may stand there without numbers. */
async function blockV2(read: Reader): Promise<BlockCount[]> {
  const text = (await read('io.stat')) ?? ''
  return [...text.matchAll(/^(\d+):(\d+) .*?rbytes=(\d+) wbytes=(\d+)/gm)].flatMap(
    ([, major, minor, read_, written]) => [
      { major: Number(major), minor: Number(minor), op: 'read', value: Number(read_) },
      { major: Number(major), minor: Number(minor), op: 'write', value: Number(written) },
    ],
  )
}
