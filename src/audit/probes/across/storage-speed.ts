/** Speed of storage between neighbours. */
import type { Call } from '../../guest-types.ts'
import { WORK_FOLDER } from '../../image.ts'
import { fastest, MEASURED } from '../../interference.ts'
import type { Probe } from '../../probe.ts'
import { across, contest } from './neighbours.ts'

const MIB = 2 ** 20
const O_RDWR_CREAT_TRUNC = 0o1102

/** Writes a file of this size anew in each round. */
export function writeCalls(name: string, size: number, sync: boolean): readonly Call[] {
  return [
    {
      name: 'openat',
      args: [-100, { in: `${WORK_FOLDER}/${name}\0` }, O_RDWR_CREAT_TRUNC, 0o644],
      ends: true,
    },
    { name: 'write', args: [{ result: 0 }, { in: Buffer.alloc(size, 'x') }, size] },
    ...(sync ? [{ name: 'fsync', args: [{ result: 0 }] } as const] : []),
    { name: 'close', args: [{ result: 0 }] },
  ]
}

export const writeFlood: Probe = {
  ...across,
  id: 'A05',
  slug: 'across.disk.write-flood',
  asset: 'resources',
  question: "Does a neighbour that writes and syncs all the time slow another container's fsync down?",
  method:
    'Four writers of 1 MiB with fsync in one container; fsync of 4 KiB in another is timed, in pairs with quiet, the fastest rounds of each, as many as fill a fiftieth of the time.',
  references: ['Matthews 2007'],
  remedy: 'Limit writing (--device-write-bps, io.max), or give containers disks of their own.',
  interference: 'bounded',
  timeout: 120_000,
  run(context) {
    const flood = writeCalls('flood', MIB, true)
    const victim = writeCalls('victim', 4096, true)
    return contest(context, {
      work: async (guest) => fastest((await guest.repeat(victim, { milliseconds: MEASURED })).nanoseconds),
      load: async (guest, milliseconds) => (await guest.repeat(flood, { milliseconds, processes: 4 })).rounds,
      most: 1.5,
      what: 'writing 4 KiB with fsync',
      unit: 'writes of 1 MiB',
    })
  },
}
