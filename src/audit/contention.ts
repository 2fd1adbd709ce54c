/**
 * Who gets what where two containers want all there is. Nothing is timed: it is counted what each was given in the same
 * time, in which others on the machine take from both alike. For each second that the victim is given, a neighbour that is
 * given n seconds makes it wait n.
 */
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { agreement, middle } from './agreement.ts'
import { charged, groupFile, mostProcessors } from './control-group.ts'
import { AHEAD, LOADED, MEASURED } from './interference.ts'
import type { Subject } from './target.ts'
import type { Control } from './types.ts'
import { conclude, inconclusive } from './verdict.ts'
import type { Finding } from './verdict.ts'

export interface Side {
  /** Wants all it can get for so many ms, and no longer; how much it tried. */
  readonly demand: (milliseconds: number) => Promise<number>
  /** Packets that have arrived so far, where it is packets that it wants. */
  readonly given?: () => Promise<number>
  /** ns of processor time that it has been given so far. */
  readonly ran: () => number
  /** Ids of its threads, on the host. */
  readonly threads: () => readonly string[]
  /** Processors that its limits allow it. */
  readonly most: () => number
}

/** What the control groups of the containers say. */
export function inContainers(containers: readonly Subject[], work: Pick<Side, 'demand' | 'given'>): Side {
  const sum = (of: (pid: number) => number): number =>
    containers.reduce((total, { pid }) => total + of(pid), 0)
  return {
    ...work,
    ran: () => sum(charged),
    most: () => sum(mostProcessors),
    threads: () =>
      containers.flatMap(({ pid }) =>
        groupFile(pid, ['cpu', 'tasks'], 'cgroup.threads')
          .split('\n')
          .filter((line) => line !== ''),
      ),
  }
}

export interface Contest {
  readonly victim: Side
  readonly neighbour: Side
  /** What one unit of the victim's may cost beside the neighbour: 1.5 times. */
  readonly most: number
  /** `packets that arrived`. */
  readonly what: string
  readonly controls: readonly Control[]
  readonly signal: AbortSignal
}

/** What happened in one stretch of time. */
export interface Stretch {
  /** ns of processor time. */
  readonly victim: number
  readonly neighbour: number
  /** ns of all processors. */
  readonly all: number
  /** ns that the victim's threads stood in the queue for a processor, for each that they ran. */
  readonly waited: number
  /** ns of processor time that the neighbour's limits allow it; infinite without any. */
  readonly limit: number
  /** What arrived of the neighbour's for each of the victim's; undefined where nothing does. It is told, not judged. */
  readonly arrived: number | undefined
}

export async function contend(contest: Contest): Promise<Finding> {
  const { most, what, signal } = contest
  if (/^0 0 /.test(readFileSync('/proc/self/schedstat', 'utf8')))
    return inconclusive('the kernel does not say how long threads wait (CONFIG_SCHED_INFO)')
  const stretches: Stretch[] = []
  let tried = 0
  while (judgeStretches(stretches, most) === 'more') {
    signal.throwIfAborted()
    const { stretch, amount } = await look(contest)
    tried += amount
    stretches.push(stretch)
  }
  const verdict = judgeStretches(stretches, most)
  const controls: readonly Control[] = [
    { what: `the neighbour wanted all it could get (${tried} rounds)`, held: tried > 0 },
    {
      what: 'both were charged for what they ran',
      held: middle(stretches.map((one) => Math.min(one.victim, one.neighbour))) > 0,
    },
    ...contest.controls,
  ]
  const text = `${what}: ${wordsOf(stretches)} (at most ${most}), ${stretches.length} rounds`
  if (verdict === 'unclear' || verdict === 'more')
    return inconclusive(`the rounds differ too much: ${text} (audit while the machine is quiet)`, controls)
  return conclude({
    seen: verdict === 'yes' ? [{ kind: 'measurement', text }] : [],
    controls,
    leak: 'Where both want all there is, the neighbour takes as much as the victim gets, or more.',
    contained: text,
  })
}

function wordsOf(stretches: readonly Stretch[]): string {
  const share = (of: (one: Stretch) => number): string => middle(stretches.map(of)).toFixed(2)
  const arrived = stretches.every((one) => one.arrived !== undefined)
    ? `${share((one) => one.arrived ?? 0)} of the neighbour’s for each of the victim’s, `
    : ''
  const limits = stretches.map(({ limit, all }) => limit / all)
  const limited = middle(limits) < 1 ? ` (its limit is ${middle(limits).toFixed(2)} of all processors)` : ''
  const cost = share((one) => 1 + harmOf(one))
  return (
    `${arrived}${share((one) => one.neighbour / one.victim)} s of processor for each second of the victim’s` +
    `${limited}: what the victim does costs ${cost} times what it costs alone`
  )
}

export function judgeStretches(stretches: readonly Stretch[], most: number): ReturnType<typeof agreement> {
  const harms = stretches.map(harmOf)
  return agreement(
    harms.map((harm) => harm > most - 1),
    harms.map((harm) => harm <= most - 1),
  )
}

/** A limit is accounted by the tenth of a second, so that a stretch may hold some of the next one. */
const SLACK = 1.5

/**
 * How much longer the victim's work takes, as a part of what it takes alone. A neighbour that keeps to a limit has no more
 * than that whatever others take, and of a quiet machine the victim could have all the rest. What arrives does not lower
 * it: packets that are dropped on their way have taken the processor all the same.
 */
export function harmOf({ victim, neighbour, all, waited, limit }: Stretch): number {
  const took = neighbour / Math.max(1, victim)
  const allowed = neighbour <= limit * SLACK ? limit / Math.max(1, all - limit) : Number.POSITIVE_INFINITY
  // Nobody takes from anybody where the victim need not wait: processors enough.
  return Math.min(took, waited, allowed > 0 ? allowed : Number.POSITIVE_INFINITY)
}

async function look(contest: Contest): Promise<{ readonly stretch: Stretch; readonly amount: number }> {
  const { victim, neighbour } = contest
  const given = async (): Promise<readonly number[]> => [
    (await victim.given?.()) ?? 0,
    (await neighbour.given?.()) ?? 0,
  ]
  const arrivedBefore = await given()
  const demands = Promise.all([victim.demand(LOADED), neighbour.demand(LOADED)])
  // The failure is awaited below.
  demands.catch(() => undefined)
  await pause(AHEAD)
  const threads = victim.threads()
  const before = readings(contest)
  const queue = queuesOf(threads)
  await pause(MEASURED)
  const waited = waitedSince(queue, queuesOf(threads))
  const after = readings(contest)
  const [, amount] = await demands
  const arrivedAfter = await given()
  const [mine = 0, theirs = 0] = arrivedAfter.map((count, index) => count - (arrivedBefore[index] ?? 0))
  const stretch: Stretch = {
    ...{ victim: after.victim - before.victim, neighbour: after.neighbour - before.neighbour },
    ...{ all: (after.to - before.from) * cpus().length, waited },
    limit: (after.to - before.from) * neighbour.most(),
    arrived: victim.given === undefined ? undefined : theirs / Math.max(1, mine),
  }
  return { stretch, amount }
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
}

interface Readings {
  /** ns: when they were begun and when they were there, for on a busy machine that is not the same moment. */
  readonly from: number
  readonly to: number
  readonly victim: number
  readonly neighbour: number
}

function readings({ victim, neighbour }: Contest): Readings {
  const from = Number(process.hrtime.bigint())
  const given = { victim: victim.ran(), neighbour: neighbour.ran() }
  return { from, to: Number(process.hrtime.bigint()), ...given }
}

type Queues = ReadonlyMap<string, { readonly ran: number; readonly waited: number }>

/** schedstat: ns on a processor, ns in the queue for one. */
export function queuesOf(threads: readonly string[]): Queues {
  return new Map(
    threads.flatMap((thread) => {
      try {
        const [ran = 0, waited = 0] = readFileSync(`/proc/${thread}/schedstat`, 'utf8').split(' ').map(Number)
        return [[thread, { ran, waited }] as const]
      } catch {
        return []
      }
    }),
  )
}

/** Of those that are still there. */
export function waitedSince(before: Queues, after: Queues): number {
  let [ran, waited] = [0, 0]
  for (const [thread, now] of after) {
    ran += now.ran - (before.get(thread)?.ran ?? now.ran)
    waited += now.waited - (before.get(thread)?.waited ?? now.waited)
  }
  // The kernel counts the wait when it is over: who got to no processor at all waited all the time.
  if (ran === 0) return after.size === 0 ? Number.NaN : Number.POSITIVE_INFINITY
  return waited / ran
}
