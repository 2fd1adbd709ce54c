/** Whose data is written when a neighbour calls sync(2). */
import { agreement } from '../../agreement.ts'
import type { Guest } from '../../guest-types.ts'
import { WORK_FOLDER } from '../../image.ts'
import type { Probe } from '../../probe.ts'
import { conclude, inconclusive } from '../../verdict.ts'
import { across, neighbours } from './neighbours.ts'
import type { Neighbours } from './neighbours.ts'
import { leaveUnwritten, PIECE, unwritten } from './unwritten.ts'

const MIB = 2 ** 20
/** Of what was left unwritten: so much is taken for all, and so little for none. */
const [ALL, NONE] = [0.7, 0.3]
/**
 * ms, and rounds: where others have all written again and again, most rounds say nothing; and where another job writes, a
 * sync takes 3 s and a round twice that.
 */
export const [LONGEST, MOST_TRIES] = [300_000, 400]

export interface Left {
  /** Of what was unwritten: after the neighbour's call. */
  readonly after: number
  /** Of as much, after as long a time without such a call. */
  readonly without: number
}

/**
 * What is still there was not written by the sync: that needs no comparison. What is gone was, if it stays for as long where
 * nobody calls sync; if it does not, others have had it written, and the round says nothing.
 */
export const tells = ({ after, without }: Left): boolean => after > ALL || without > ALL

export function judgeSyncs(rounds: readonly Left[]): ReturnType<typeof agreement> {
  const telling = rounds.filter(tells)
  return agreement(
    telling.map(({ after, without }) => after < NONE && without > ALL),
    telling.map(({ after }) => after > ALL),
  )
}

export const syncStorm: Probe = {
  ...across,
  asset: 'resources',
  interference: 'bounded',
  id: 'A17',
  slug: 'across.disk.sync-storm',
  question:
    'Does a neighbour that calls sync(2) have written what another container has not yet asked to be?',
  method: `One container leaves ${PIECE / MIB} MiB unwritten, again and again; it is counted how much its group still has after another one called sync(2), and after as long a time without.`,
  references: ['Houdini 2'],
  remedy: 'Refuse sync(2) and syncfs(2) in the filter, or give containers kernels of their own.',
  timeout: 360_000,
  async run(context) {
    const both = await neighbours(context)
    if (unwritten(both.victim.pid) === undefined)
      return inconclusive('no group counts what the victim has not written (memory.stat)')
    const rounds: Left[] = []
    const refused = new Set<string>()
    const until = performance.now() + LONGEST
    let tries = 0
    for (; judgeSyncs(rounds) === 'more' && tries < MOST_TRIES && performance.now() < until; tries += 1) {
      context.signal.throwIfAborted()
      const round = await pairOf(both, tries, refused)
      if (round !== undefined) rounds.push(round)
    }
    const own = await ownSync(both.inVictim, both.victim.pid)
    const telling = rounds.filter(tells)
    const after = percents(telling.map((one) => one.after))
    const without = percents(telling.map((one) => one.without))
    const text = `of ${PIECE / MIB} MiB ${after} were unwritten after the neighbour's sync, ${without} after as long without (${telling.length} rounds of ${tries})`
    const controls = [
      { what: 'what it syncs itself is counted as written', held: own },
      { what: `rounds were not spoilt by others (${telling.length} of ${tries})`, held: telling.length > 0 },
    ]
    const verdict = judgeSyncs(rounds)
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

/** Undefined when others had the victim's data written before anything could be tried. */
async function pairOf(
  { victim, inVictim, inNeighbour }: Neighbours,
  round: number,
  refused: Set<string>,
): Promise<Left | undefined> {
  let took = 0
  const after = await leftOf(inVictim, victim.pid, `synced-${round}`, async () => {
    const began = performance.now()
    const { error } = await inNeighbour.syscall('sync')
    took = performance.now() - began
    if (error !== '') refused.add(error)
  })
  // Nothing to compare with.
  if (after === undefined || after > ALL)
    return after === undefined ? undefined : { after, without: Number.NaN }
  const without = await leftOf(inVictim, victim.pid, `left-${round}`, async () => {
    await new Promise((resolve) => setTimeout(resolve, took))
  })
  return without === undefined ? undefined : { after, without }
}

/** The part of what the victim leaves unwritten that still is after that. */
async function leftOf(
  guest: Guest,
  pid: number,
  name: string,
  meanwhile: () => Promise<void>,
): Promise<number | undefined> {
  const base = unwritten(pid) ?? 0
  // A new file each time: of one that is written anew some file systems write all when it is closed.
  const all = await leaveUnwritten(guest, pid, name)
  if (all > PIECE * ALL) await meanwhile()
  const left = (unwritten(pid) ?? 0) - base
  await guest.unlink(`${WORK_FOLDER}/${name}`)
  return all > PIECE * ALL ? Math.max(0, left) / all : undefined
}

/** What it syncs itself is written after that, and was not before: several times, for others may have had it written. */
async function ownSync(guest: Guest, pid: number): Promise<boolean> {
  for (let tries = 0; tries < 40; tries += 1) {
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
    if (all > PIECE * ALL) return written > PIECE * ALL
  }
  return false
}

/** Without those that nothing was compared with. */
function percents(all: readonly number[]): string {
  const shares = all.filter((share) => !Number.isNaN(share))
  if (shares.length === 0) return 'nobody knows how much'
  const [least, most] = [Math.min(...shares), Math.max(...shares)].map((share) => Math.round(share * 100))
  return least === most ? `${least} %` : `${least} to ${most} %`
}
