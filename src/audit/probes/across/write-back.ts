/** Data that is not yet written to the disk: whose it is, and who has to wait when there is much. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { agreement } from '../../agreement.ts'
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
  method: `One container leaves ${PIECE / MIB} MiB unwritten, ${LEAST_ROUNDS} times or more, in turns with as much of the auditor's own: it is counted whether they stand in the host's one count, beyond what others write in as long a time, and read whether its limit of memory ends before the kernel makes everybody wait.`,
  references: ['Demons 2021'],
  remedy: 'Give containers memory limits (-m): they bound what each leaves unwritten.',
  async run(context) {
    const { neighbour, inNeighbour } = await neighbours(context)
    const ofGroup: number[] = []
    const beyond: number[] = []
    const own: number[] = []
    const grouped = unwritten(neighbour.pid) !== undefined
    while (wantsMore({ ofGroup, beyond, own, grouped })) {
      context.signal.throwIfAborted()
      own.push(growthByOwn(context.journal.folder))
      const name = `dirty-${beyond.length}`
      const [began, before] = [performance.now(), hostsUnwritten().unwritten]
      ofGroup.push(await mostUnwritten(inNeighbour, neighbour.pid, name))
      const grew = hostsUnwritten().unwritten - before
      const took = performance.now() - began
      await inNeighbour.unlink(`${WORK_FOLDER}/${name}`)
      beyond.push(grew - (await growthWithout(took)))
    }
    const standing = judgeCounts({ ofGroup, beyond, own, grouped })
    const limit = groupFile(neighbour.pid, ['memory', 'memory.limit_in_bytes'], 'memory.max')
    const most = /^\d+$/.test(limit) ? Number(limit) : Number.POSITIVE_INFINITY
    const { unwritten: now, wait } = hostsUnwritten()
    const mib = (bytes: number): string => (bytes > 2 ** 50 ? 'all' : `${Math.round(bytes / MIB)} MiB`)
    const text = `it may leave ${mib(most)} unwritten, and everybody waits from ${mib(wait)} on (${mib(now)} of all are)`
    return conclude({
      // What others leave unwritten at this moment is told only: it is theirs, and gone half a minute later.
      seen: standing.shared && most > wait ? [{ kind: 'measurement', text }] : [],
      controls: [
        ...standing.controls,
        { what: 'the kernel says from where on it makes writers wait', held: wait > 0 },
      ],
      leak: 'What containers leave unwritten stands in one count, and the limits of one do not end before all wait.',
      contained: standing.shared ? text : "What it leaves unwritten stands not in the host's count.",
    })
  },
}

/** By how many bytes the host's count grows in as long a time, in which only others write. */
async function growthWithout(milliseconds: number): Promise<number> {
  const before = hostsUnwritten().unwritten
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  return hostsUnwritten().unwritten - before
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
  /** Bytes in each round: by which the count of the neighbour's group grew, which no one else's writing changes. */
  readonly ofGroup: readonly number[]
  /** By which the host's count grew, beyond what it did in as long a time without; others have their part in that. */
  readonly beyond: readonly number[]
  /** By which it grew by the auditor's own. */
  readonly own: readonly number[]
  /** There is such a count of the group. */
  readonly grouped: boolean
}

/** A group's count grows by nothing else: two rounds in which the neighbour's data was counted are no chance. */
const ENOUGH = 2

/** Whether the neighbour's data stands in the host's count, and what must hold for it not to. */
export function judgeCounts({ ofGroup, beyond, own, grouped }: Counts): {
  readonly shared: boolean
  readonly controls: readonly Control[]
} {
  const [group, owns] = [countedOf(ofGroup), countedOf(own)]
  const host = agreement(
    beyond.map(isCounted),
    beyond.map((bytes) => !isCounted(bytes)),
  )
  // What the kernel counts for a group it counts for all, too.
  const shared = group >= ENOUGH || host === 'yes'
  return {
    shared,
    controls: [
      {
        what: `the auditor's own unwritten data is counted (${owns} of ${own.length} times)`,
        held: owns > own.length / 2,
      },
      {
        what: `the rounds agree (of ${beyond.length} its group counted ${group}, the host ${countedOf(beyond)})`,
        held: shared || (group === 0 && host === 'no'),
      },
      // Without, somebody who syncs often and what never stands in the host's count look alike.
      { what: "the neighbour's group counts what it leaves unwritten", held: shared || grouped },
    ],
  }
}

const isCounted = (bytes: number): boolean => bytes > PIECE / 2
const countedOf = (rounds: readonly number[]): number => rounds.filter(isCounted).length

/** Others who have all written in just that moment spoil a round, of the neighbour's and of the auditor's own. */
export function wantsMore(counts: Counts): boolean {
  const rounds = counts.beyond.length
  if (rounds < LEAST_ROUNDS) return true
  return rounds < MOST_ROUNDS && judgeCounts(counts).controls.some(({ held }) => !held)
}
