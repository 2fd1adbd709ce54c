/** Data that is not yet written to the disk: whose it is, who has it written, and who has to wait when there is much. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { agreement } from '../../agreement.ts'
import { groupFile } from '../../control-group.ts'
import type { Guest } from '../../guest-types.ts'
import { WORK_FOLDER } from '../../image.ts'
import type { Probe } from '../../probe.ts'
import type { Control } from '../../types.ts'
import { conclude, inconclusive } from '../../verdict.ts'
import { across, neighbours } from './neighbours.ts'
import { writeCalls } from './storage-speed.ts'

const MIB = 2 ** 20
const PAGE = 4096
const common = { ...across, asset: 'resources', interference: 'bounded' } as const

/** Bytes of the group that wait to be written, or are just being written; undefined where no group counts them. */
function unwritten(pid: number): number | undefined {
  const text = groupFile(pid, ['memory', 'memory.stat'], 'memory.stat')
  const field = (name: string): number =>
    Number(new RegExp(`^(?:total_|file_)${name} (\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN)
  const sum = field('dirty') + field('writeback')
  return Number.isNaN(sum) ? undefined : sum
}

const PIECE = 8 * MIB

/** Writes that much without sync; how much of it then waits. */
async function leaveUnwritten(guest: Guest, pid: number, name: string): Promise<number> {
  const before = unwritten(pid) ?? 0
  const answers = await guest.batch(writeCalls(name, PIECE, false))
  if (Number(answers[1]?.value) !== PIECE) throw new Error(`writing inside failed: ${answers[1]?.error}`)
  return (unwritten(pid) ?? 0) - before
}

const MOST_TRIES = 40

interface Left {
  /** Of what was unwritten: after as long a time as the neighbour's call took, without it, and after it. */
  readonly without: number
  readonly after: number
}

export const syncStorm: Probe = {
  ...common,
  id: 'A17',
  slug: 'across.disk.sync-storm',
  question:
    'Does a neighbour that calls sync(2) have written what another container has not yet asked to be?',
  method: `One container leaves ${PIECE / MIB} MiB unwritten; it is counted how much its group still has after a pause, and after another one called sync(2).`,
  references: ['Houdini 2'],
  remedy: 'Refuse sync(2) and syncfs(2) in the filter, or give containers kernels of their own.',
  async run(context) {
    const { victim, inVictim, inNeighbour } = await neighbours(context)
    if (unwritten(victim.pid) === undefined)
      return inconclusive('no group counts what the victim has not written (memory.stat)')
    const rounds: Left[] = []
    const refused = new Set<string>()
    const share = (left: number, all: number): number => Math.max(0, left) / Math.max(1, all)
    const seen = (): ReturnType<typeof agreement> =>
      agreement(
        rounds.map(({ after }) => after < 0.3),
        rounds.map(({ after }) => after > 0.7),
      )
    let tries = 0
    for (; seen() === 'more' && tries < MOST_TRIES; tries += 1) {
      context.signal.throwIfAborted()
      // A new file each time: of one that is written anew some file systems write all when it is closed.
      const name = `unwritten-${tries}`
      const base = unwritten(victim.pid) ?? 0
      const all = await leaveUnwritten(inVictim, victim.pid, name)
      await new Promise((resolve) => setTimeout(resolve, 50))
      const without = share((unwritten(victim.pid) ?? 0) - base, all)
      // Somebody else had all written in between: nothing can be seen in this round.
      if (all > PIECE * 0.7 && without > 0.7) {
        const { error } = await inNeighbour.syscall('sync')
        if (error !== '') refused.add(error)
        rounds.push({ without, after: share((unwritten(victim.pid) ?? 0) - base, all) })
      }
      await inVictim.unlink(`${WORK_FOLDER}/${name}`)
    }
    const own = await ownSync(inVictim, victim.pid)
    const text = `of ${PIECE / MIB} MiB ${percents(rounds.map(({ without }) => without))} were unwritten after a pause, ${percents(rounds.map(({ after }) => after))} after the neighbour's sync`
    const controls = [
      { what: 'what it syncs itself is counted as written', held: own },
      {
        what: `without the neighbour it stays unwritten (${rounds.length} of ${tries} times)`,
        held: rounds.length > 0,
      },
    ]
    const verdict = seen()
    if (verdict === 'unclear' || verdict === 'more')
      return inconclusive(`the rounds differ too much: ${text} (others have all written, too)`, controls)
    return conclude({
      seen: verdict === 'yes' ? [{ kind: 'measurement', text }] : [],
      controls,
      leak: "The neighbour's sync(2) has the victim's data written, at a time that is not the victim's choice.",
      contained: `${text}${refused.size > 0 ? ` (${[...refused].join()})` : ''}.`,
    })
  },
}

/** What it syncs itself is written after that, and was not before: several times, for others may have had it written. */
async function ownSync(guest: Guest, pid: number): Promise<boolean> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const name = `own-${tries}`
    const all = await leaveUnwritten(guest, pid, name)
    const before = unwritten(pid) ?? 0
    await guest.batch([
      { name: 'openat', args: [-100, { in: `${WORK_FOLDER}/${name}\0` }, 1], ends: true },
      { name: 'fsync', args: [{ result: 0 }] },
      { name: 'close', args: [{ result: 0 }] },
    ])
    const written = before - (unwritten(pid) ?? 0)
    await guest.unlink(`${WORK_FOLDER}/${name}`)
    if (all > PIECE * 0.7) return written > PIECE * 0.7
  }
  return false
}

function percents(shares: readonly number[]): string {
  const [least, most] = [Math.min(...shares), Math.max(...shares)].map((share) => Math.round(share * 100))
  return least === most ? `${least} %` : `${least} to ${most} %`
}

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

const ROUNDS = 5

export const dirtyThrottle: Probe = {
  ...common,
  id: 'A06',
  slug: 'across.disk.dirty-throttle',
  question: 'Can a neighbour leave so much unwritten that the kernel makes all who write wait?',
  method: `One container leaves ${PIECE / MIB} MiB unwritten, ${ROUNDS} times: in turns with as much of the auditor's own: it is counted whether they stand in the host's one count, and read whether its limit of memory ends before the kernel makes everybody wait.`,
  references: ['Demons 2021'],
  remedy: 'Give containers memory limits (-m): they bound what each leaves unwritten.',
  async run(context) {
    const { neighbour, inNeighbour } = await neighbours(context)
    const grew: number[] = []
    const own: number[] = []
    while (grew.length < ROUNDS) {
      own.push(growthByOwn(context.journal.folder))
      const before = hostsUnwritten().unwritten
      const ofGroup = await leaveUnwritten(inNeighbour, neighbour.pid, `dirty-${grew.length}`)
      // What the kernel counts for a group it counts for all, too; others may have had it written since.
      grew.push(Math.max(ofGroup, hostsUnwritten().unwritten - before))
    }
    const standing = judgeCounts({ grew, own, grouped: unwritten(neighbour.pid) !== undefined })
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

/** Whether the neighbour's data stands in the host's count, and what must hold for it not to. */
export function judgeCounts({ grew, own, grouped }: Counts): {
  readonly shared: boolean
  readonly controls: readonly Control[]
} {
  const countedOf = (rounds: readonly number[]): number => rounds.filter((bytes) => bytes > PIECE / 2).length
  const [counted, owns] = [countedOf(grew), countedOf(own)]
  const shared = counted >= 2
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
