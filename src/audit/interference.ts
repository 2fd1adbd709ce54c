/**
 * Interference that only time shows: a victim's work, quiet and beside a neighbour's load, in pairs whose order is drawn by
 * lot, so that no rhythm of the machine can pass for the load. Noise spreads the pairs; where they do not agree there is
 * no verdict. What can be counted is in contention.ts.
 */
import { randomInt } from 'node:crypto'
import { agreement, middle } from './agreement.ts'
import type { Control } from './types.ts'
import { conclude, inconclusive } from './verdict.ts'
import type { Finding } from './verdict.ts'

export interface Trial {
  /** ns that the victim's work takes. */
  readonly measure: () => Promise<number>
  /** Makes load for so many ms and no longer; gives how much it did. */
  readonly load: (milliseconds: number) => Promise<number>
  /**
   * The work where the harm is certain (the same load from within the victim, or what it harms taken away): when it
   * does not show even there, it proves nothing that it does not show beside the neighbour.
   */
  readonly felt: { readonly what: string; readonly measure: () => Promise<number> }
  /** From this ratio on it is a LEAK. */
  readonly most: number
  /** `fsync of 4 KiB`. */
  readonly what: string
  /** `rounds of spinning`. */
  readonly unit: string
  readonly signal: AbortSignal
}

/** ms a measurement takes about, and a load at least. */
export const MEASURED = 250
/** ms: the load is there before the work is measured. */
export const AHEAD = 100
export const LOADED = MEASURED + 2 * AHEAD

export interface Pair {
  readonly quiet: number
  readonly loaded: number
}

export async function tryInterference(trial: Trial): Promise<Finding> {
  const { most, what, unit, signal } = trial
  const pairs: Pair[] = []
  let done = 0
  const beLoaded = async (): Promise<number> => {
    const { took, amount } = await beside(trial.load, trial.measure)
    done += amount
    return took
  }
  while (comparePairs(pairs, most) === 'more') {
    signal.throwIfAborted()
    pairs.push(await pairOf(trial.measure, beLoaded))
  }
  const quiet = pairs.map((pair) => pair.quiet)
  const loaded = pairs.map((pair) => pair.loaded)
  const where: number[] = []
  while (where.length < 3) where.push(await trial.felt.measure())
  const [felt, ratio] = [middle(where) / middle(quiet), middle(loaded) / middle(quiet)]
  const controls: readonly Control[] = [
    { what: `the neighbour made load (${done} ${unit})`, held: done > 0 },
    { what: `it shows where it must: ${trial.felt.what} (${felt.toFixed(1)} times)`, held: felt > most },
    {
      what: `no slow quiet rounds hide it (${range(quiet)})`,
      held: middle(quiet) <= most * Math.min(...quiet),
    },
  ]
  const text =
    `${what}: ${range(quiet)} alone and ${range(loaded)} beside the neighbour, ${pairs.length} pairs, ` +
    `${ratio.toFixed(2)} times (at most ${most})`
  const verdict = comparePairs(pairs, most)
  if (verdict === 'unclear' || verdict === 'more')
    return inconclusive(`the rounds differ too much: ${text} (audit while the machine is quiet)`, controls)
  return conclude({
    seen: verdict === 'yes' ? [{ kind: 'measurement', text }] : [],
    controls,
    leak: `The neighbour slows the victim down ${ratio.toFixed(1)} times.`,
    contained: text,
  })
}

async function pairOf(quiet: () => Promise<number>, loaded: () => Promise<number>): Promise<Pair> {
  if (randomInt(2) === 0) return { quiet: await quiet(), loaded: await loaded() }
  const first = await loaded()
  return { loaded: first, quiet: await quiet() }
}

/** The work while the load goes on. */
export async function beside(
  load: Trial['load'],
  measure: Trial['measure'],
): Promise<{ readonly took: number; readonly amount: number }> {
  const loading = load(LOADED)
  // The failure is awaited below.
  loading.catch(() => undefined)
  await new Promise((resolve) => setTimeout(resolve, AHEAD))
  const took = await measure()
  return { took, amount: await loading }
}

/**
 * In doubt against the verdict. Harmed: that many times the quiet one beside it, whatever slows both down. Unharmed: longer
 * by no more than a part of what the work takes at its best, since what others on the machine add to both would make any
 * ratio small.
 */
export function comparePairs(pairs: readonly Pair[], most: number): ReturnType<typeof agreement> {
  const best = Math.min(...pairs.map(({ quiet }) => quiet))
  return agreement(
    pairs.map(({ quiet, loaded }) => loaded > quiet * most),
    pairs.map(({ quiet, loaded }) => loaded - quiet <= best * (most - 1)),
  )
}

function range(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((ns) => (ns / 1e6).toPrecision(2))
  return `${least} to ${most} ms`
}

/**
 * ns of a round of work that waits for a disk: the slowest of the fastest rounds that fill a fiftieth of the time. Behind
 * a neighbour's writes nearly all the time is waited away, in a few long rounds, though many short ones may follow each;
 * behind others on the processor some rounds need not wait, and they fill more than that.
 */
export function fastest(rounds: readonly bigint[]): number {
  const sorted = rounds.map(Number).toSorted((a, b) => a - b)
  const all = sorted.reduce((sum, one) => sum + one, 0)
  let filled = 0
  // Not one in the time that was given to it: it takes at least that long.
  return sorted.find((one) => (filled += one) * 50 >= all) ?? MEASURED * 1e6
}
