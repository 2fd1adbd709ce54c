/** Speed of storage and of the kernel's caches between neighbours. */
import { randomBytes } from 'node:crypto'
import type { Call, Guest } from '../../guest-types.ts'
import { WORK_FOLDER } from '../../image.ts'
import { tryInterference } from '../../interference.ts'
import type { Probe } from '../../probe.ts'
import { across, neighbours } from './neighbours.ts'

const MIB = 2 ** 20
const O_RDWR_CREAT_TRUNC = 0o1102

/** Writes a file of this size anew in each round. */
function writeCalls(name: string, size: number, sync: boolean): readonly Call[] {
  return [
    { name: 'openat', args: [-100, { in: `${WORK_FOLDER}/${name}\0` }, O_RDWR_CREAT_TRUNC, 0o644] },
    { name: 'write', args: [{ result: 0 }, { in: Buffer.alloc(size, 'x') }, size] },
    ...(sync ? [{ name: 'fsync', args: [{ result: 0 }] } as const] : []),
    { name: 'close', args: [{ result: 0 }] },
  ]
}

async function times(guest: Guest, calls: readonly Call[], rounds: number): Promise<readonly bigint[]> {
  return (await guest.repeat(calls, { times: rounds, milliseconds: 1500 })).nanoseconds
}

const common = { ...across, asset: 'resources' } as const

export const writeFlood: Probe = {
  ...common,
  id: 'A05',
  slug: 'across.disk.write-flood',
  question: "Does a neighbour that writes and syncs all the time slow another container's fsync down?",
  method: 'Two writers of 256 KiB with fsync in one container; fsync of 4 KiB in another is timed.',
  references: ['Matthews 2007'],
  remedy: 'Limit writing (--device-write-bps, io.max), or give containers disks of their own.',
  interference: 'bounded',
  async run(context) {
    const { inVictim, inNeighbour } = await neighbours(context)
    const flood = writeCalls('flood', 256 * 1024, true)
    return tryInterference({
      measure: () => times(inVictim, writeCalls('victim', 4096, true), 100),
      load: async () => (await inNeighbour.repeat(flood, { milliseconds: 1800, processes: 2 })).rounds,
      most: 2,
      what: 'writing 4 KiB with fsync',
      unit: 'writes of 256 KiB',
    })
  },
}

export const syncStorm: Probe = {
  ...common,
  id: 'A17',
  slug: 'across.disk.sync-storm',
  question: "Does a neighbour that calls sync(2) all the time slow another container's writing down?",
  method: 'sync(2) in a loop in one container; writing 256 KiB in another is timed.',
  references: ['Houdini 2'],
  remedy: 'Give containers file systems of their own; sync(2) writes out those of all others.',
  interference: 'load',
  async run(context) {
    const { inVictim, inNeighbour } = await neighbours(context)
    return tryInterference({
      measure: () => times(inVictim, writeCalls('victim', 256 * 1024, false), 1000),
      load: async () =>
        (await inNeighbour.repeat([{ name: 'sync', args: [] }], { milliseconds: 1800 })).rounds,
      most: 2,
      what: 'writing 256 KiB',
      unit: 'calls of sync',
    })
  },
}

export const dirtyThrottle: Probe = {
  ...common,
  id: 'A06',
  slug: 'across.disk.dirty-throttle',
  question: "Does a neighbour with much unwritten data slow another container's buffered writing down?",
  method:
    'One container writes pieces of 4 MiB without sync for 1.8 s; buffered writing in another is timed.',
  references: ['Demons 2021'],
  remedy: 'Give containers memory limits: then the kernel counts their unwritten data apart (cgroup v2).',
  interference: 'load',
  async run(context) {
    const { inVictim, inNeighbour } = await neighbours(context)
    const dirty = writeCalls('dirty', 4 * MIB, false)
    return tryInterference({
      measure: () => times(inVictim, writeCalls('victim', 64 * 1024, false), 1000),
      load: async () => (await inNeighbour.repeat(dirty, { milliseconds: 1800, processes: 2 })).rounds,
      most: 2,
      what: 'writing 64 KiB',
      unit: 'pieces of 4 MiB',
    })
  },
}

export const dentryFlood: Probe = {
  ...common,
  id: 'A09',
  slug: 'across.mem.dentry-flood',
  question: "Does a neighbour that asks for masses of absent names slow another container's lookups down?",
  method: 'One container asks for 4,000 absent names again and again; lookups in another are timed.',
  references: ['Sysdig 2017'],
  remedy: 'Give containers memory limits: the kernel charges its caches to them.',
  interference: 'bounded',
  async run(context) {
    const { inVictim, inNeighbour } = await neighbours(context)
    const stem = `${WORK_FOLDER}/${randomBytes(6).toString('hex')}`
    const ask = (path: string): Call => ({ name: 'faccessat', args: [-100, { in: `${path}\0` }, 0] })
    const absent = Array.from({ length: 4000 }, (_, index) => ask(`${stem}-${index}`))
    const lookups = Array.from({ length: 64 }, () => ask('/etc'))
    return tryInterference({
      measure: () => times(inVictim, lookups, 10_000),
      load: async () => (await inNeighbour.repeat(absent, { milliseconds: 1800 })).rounds,
      most: 2,
      what: '64 lookups',
      unit: 'times 4,000 absent names',
    })
  },
}

async function emptyFile(guest: Guest, size: number): Promise<bigint> {
  const path = { in: `${WORK_FOLDER}/cache\0` }
  const { value } = await guest.syscall('openat', -100, path, O_RDWR_CREAT_TRUNC, 0o644)
  await guest.syscall('ftruncate', value, size)
  return value
}

const PIECE = 2 ** 16

/** Into one buffer of the guest's again and again: memory of its own must not be what reaches the limit. */
function readCalls(fd: bigint, buffer: bigint, size: number): readonly Call[] {
  return Array.from({ length: size / PIECE }, (_, index) => ({
    name: 'pread64',
    args: [fd, buffer, PIECE, index * PIECE],
  }))
}

async function bufferIn(guest: Guest): Promise<bigint> {
  return (await guest.syscall('mmap', 0, PIECE, 3, 0x22, -1, 0)).value
}

export const pageCache: Probe = {
  ...common,
  id: 'A04',
  slug: 'across.mem.page-cache',
  question: "Does a neighbour that reads large files push another container's files out of memory?",
  method: 'A container limited to 48 MiB reads a file of 128 MiB; reading a cached file in another is timed.',
  references: ['CWE-770'],
  remedy: 'Give containers memory limits, and memory.low to those that matter.',
  interference: 'bounded',
  async run(context) {
    const { inVictim, inNeighbour } = await neighbours(context, { neighbour: { memory: 48 * MIB } })
    const cached = readCalls(await emptyFile(inVictim, MIB), await bufferIn(inVictim), MIB)
    const large = readCalls(await emptyFile(inNeighbour, 128 * MIB), await bufferIn(inNeighbour), 128 * MIB)
    return tryInterference({
      measure: () => times(inVictim, cached, 10_000),
      load: async () => (await inNeighbour.repeat(large, { milliseconds: 1800 })).rounds,
      most: 2,
      what: 'reading 1 MiB that is cached',
      unit: 'times 128 MiB',
    })
  },
}
