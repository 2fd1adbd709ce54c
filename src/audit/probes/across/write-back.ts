/** Data that is not yet written to the disk: whose it is, and who has to wait when there is much. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { groupFile } from '../../control-group.ts'
import { WORK_FOLDER } from '../../image.ts'
import type { Probe } from '../../probe.ts'
import type { Control } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import { across, neighbours } from './neighbours.ts'
import { mostUnwritten, PIECE, unwritten } from './unwritten.ts'

const MIB = 2 ** 20
const PAGE = 4096

interface Host {
  /** Bytes of all that wait to be written. */
  readonly unwritten: number
  /** From here on the kernel makes those wait who write: half-way between its two thresholds (balance_dirty_pages). */
  readonly wait: number
}

function hostsUnwritten(): Host {
  const text = readFileSync('/proc/vmstat', 'utf8')
  const field = (name: string): number =>
    PAGE * Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN)
  return {
    unwritten: field('nr_dirty') + field('nr_writeback'),
    wait: (field('nr_dirty_threshold') + field('nr_dirty_background_threshold')) / 2,
  }
}

/** Where the rounds do not agree by the first number, they go on until they do, or up to the last. */
const [LEAST_ROUNDS, MOST_ROUNDS] = [5, 20]

export const dirtyThrottle: Probe = {
  ...across,
  asset: 'resources',
  interference: 'bounded',
  id: 'A06',
  slug: 'across.disk.dirty-throttle',
  question: 'Can a neighbour leave so much unwritten that the kernel makes all who write wait?',
  method: `One container leaves ${PIECE / MIB} MiB unwritten, ${LEAST_ROUNDS} times or more, in turns with as much of the auditor's own: it is counted whether they stand in the host's one count, and read whether its limit of memory ends before the kernel makes everybody wait.`,
  references: ['Demons 2021'],
  remedy: 'Give containers memory limits (-m): they bound what each leaves unwritten.',
  async run(context) {
    const { neighbour, inNeighbour } = await neighbours(context)
    const grew: number[] = []
    const own: number[] = []
    const grouped = unwritten(neighbour.pid) !== undefined
    while (wantsMore({ grew, own, grouped })) {
      context.signal.throwIfAborted()
      own.push(growthByOwn(context.journal.folder))
      const before = hostsUnwritten().unwritten
      const name = `dirty-${grew.length}`
      const ofGroup = await mostUnwritten(inNeighbour, neighbour.pid, name)
      // What the kernel counts for a group it counts for all, too; others may have had it written since.
      grew.push(Math.max(ofGroup, hostsUnwritten().unwritten - before))
      await inNeighbour.unlink(`${WORK_FOLDER}/${name}`)
    }
    const standing = judgeCounts({ grew, own, grouped })
    const limit = groupFile(neighbour.pid, ['memory', 'memory.limit_in_bytes'], 'memory.max')
    const most = /^\d+$/.test(limit) ? Number(limit) : Number.POSITIVE_INFINITY
    const { unwritten: now, wait } = hostsUnwritten()
    const mib = (bytes: number): string => (bytes > 2 ** 50 ? 'all' : `${Math.round(bytes / MIB)} MiB`)
    const text = `it may leave ${mib(most)} unwritten, and everybody waits from ${mib(wait)} on (${mib(now)} are)`
    return conclude({
      seen: standing.shared && most > wait - now ? [{ kind: 'measurement', text }] : [],
      controls: [
        ...standing.controls,
        { what: 'the kernel says from where on it makes writers wait', held: wait > 0 },
      ],
      leak: 'What containers leave unwritten stands in one count, and the limits of one do not end before all wait.',
      contained: standing.shared ? text : "What it leaves unwritten stands not in the host's count.",
    })
  },
}

/** By how many bytes the host's count grows by as much of the auditor's own; others may have all written just then. */
function growthByOwn(folder: string): number {
  const path = join(folder, 'unwritten')
  const before = hostsUnwritten().unwritten
  writeFileSync(path, Buffer.alloc(PIECE, 'x'))
  const after = hostsUnwritten().unwritten
  rmSync(path)
  return after - before
}

export interface Counts {
  /** Bytes by which the count grew in each round: by the neighbour's data, and by the auditor's own. */
  readonly grew: readonly number[]
  readonly own: readonly number[]
  /** The neighbour's group has a count of its own, which no one else's writing lowers. */
  readonly grouped: boolean
}

/** Nothing makes it grow by nothing: two rounds in which the neighbour's data was counted are no chance. */
const ENOUGH = 2

/** Whether the neighbour's data stands in the host's count, and what must hold for it not to. */
export function judgeCounts({ grew, own, grouped }: Counts): {
  readonly shared: boolean
  readonly controls: readonly Control[]
} {
  const [counted, owns] = [countedOf(grew), countedOf(own)]
  const shared = counted >= ENOUGH
  return {
    shared,
    controls: [
      {
        what: `the auditor's own unwritten data is counted (${owns} of ${own.length} times)`,
        held: owns > own.length / 2,
      },
      {
        what: `the rounds agree (${counted} of ${grew.length} were counted)`,
        held: shared || counted === 0,
      },
      // Without, somebody who syncs often and what never stands in the host's count look alike.
      { what: "the neighbour's group counts what it leaves unwritten", held: shared || grouped },
    ],
  }
}

const countedOf = (rounds: readonly number[]): number => rounds.filter((bytes) => bytes > PIECE / 2).length

/** Others who have all written in just that moment spoil a round, of the neighbour's and of the auditor's own. */
export function wantsMore(counts: Counts): boolean {
  const rounds = counts.grew.length
  if (rounds < LEAST_ROUNDS) return true
  return rounds < MOST_ROUNDS && judgeCounts(counts).controls.some(({ held }) => !held)
}
