/** Speed of storage between neighbours. */
import type { Call, Guest } from '../../guest-types.ts'
import { WORK_FOLDER } from '../../image.ts'
import { MEASURED } from '../../interference.ts'
import type { Probe } from '../../probe.ts'
import { across, contest } from './neighbours.ts'

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
  return (await guest.repeat(calls, { times: rounds, milliseconds: MEASURED })).nanoseconds
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
  run(context) {
    const flood = writeCalls('flood', 256 * 1024, true)
    return contest(context, {
      work: (guest) => times(guest, writeCalls('victim', 4096, true), 100),
      load: async (guest, milliseconds) => (await guest.repeat(flood, { milliseconds, processes: 2 })).rounds,
      most: 1.5,
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
  run(context) {
    const sync: Call = { name: 'sync', args: [] }
    return contest(context, {
      work: (guest) => times(guest, writeCalls('victim', 256 * 1024, false), 1000),
      load: async (guest, milliseconds) => (await guest.repeat([sync], { milliseconds })).rounds,
      most: 1.5,
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
    'One container writes pieces of 32 MiB without sync, twice at once; buffered writing in another is timed.',
  references: ['Demons 2021'],
  remedy: 'Give containers memory limits: then the kernel counts their unwritten data apart (cgroup v2).',
  interference: 'load',
  run(context) {
    const dirty = writeCalls('dirty', 32 * MIB, false)
    return contest(context, {
      work: (guest) => times(guest, writeCalls('victim', 64 * 1024, false), 1000),
      load: async (guest, milliseconds) => (await guest.repeat(dirty, { milliseconds, processes: 2 })).rounds,
      most: 1.5,
      what: 'writing 64 KiB',
      unit: 'pieces of 32 MiB',
    })
  },
}
