/**
 * Interference: a victim's own quiet work, again and again in turns with the same work beside a neighbour's load. Noise
 * of the machine spreads the rounds; where they do not agree there is no verdict.
 */
import type { Control } from './types.ts'
import { conclude, inconclusive } from './verdict.ts'
import type { Finding } from './verdict.ts'

export interface Trial {
  /** ns per round of the victim's work, for some MEASURED ms. */
  readonly measure: () => Promise<readonly bigint[]>
  /** Makes load for so many ms and no longer; gives how much it did. */
  readonly load: (milliseconds: number) => Promise<number>
  /**
   * The work where the harm is certain (the same load from within the victim, or what it harms taken away): when it
   * does not show even there, it proves nothing that it does not show beside the neighbour.
   */
  readonly felt: { readonly what: string; readonly measure: () => Promise<readonly bigint[]> }
  /** From this ratio on it is a LEAK. */
  readonly most: number
  /** `fsync of 4 KiB`. */
  readonly what: string
  /** `rounds of spinning`. */
  readonly unit: string
  readonly controls?: readonly Control[]
  readonly signal: AbortSignal
}

const ROUNDS = 5
/** ms a measurement takes about, and a load at least. */
export const MEASURED = 250
/** ms: the load is there before the work is measured. */
const AHEAD = 100
const LOADED = MEASURED + 2 * AHEAD

export async function tryInterference(trial: Trial): Promise<Finding> {
  const { most, what, unit, signal } = trial
  const quiet: number[] = [mean(await trial.measure())]
  const loaded: number[] = []
  let done = 0
  while (loaded.length < ROUNDS) {
    signal.throwIfAborted()
    const { took, amount } = await beside(trial.load, trial.measure)
    done += amount
    loaded.push(mean(took))
    quiet.push(mean(await trial.measure()))
  }
  const where: number[] = []
  while (where.length < 3) where.push(mean(await trial.felt.measure()))
  const felt = middle(where) / middle(quiet)
  const controls: readonly Control[] = [
    { what: `the neighbour made load (${done} ${unit})`, held: done > 0 },
    { what: `it shows where it must: ${trial.felt.what} (${felt.toFixed(1)} times)`, held: felt > most },
    ...(trial.controls ?? []),
  ]
  const { verdict, ratio } = compareRounds(quiet, loaded, most)
  const text =
    `${what}: ${range(quiet)} alone and ${range(loaded)} beside the neighbour, ` +
    `${ratio.toFixed(2)} times (at most ${most})`
  if (verdict === 'unclear')
    return inconclusive(`the rounds differ too much: ${text} (audit while the machine is quiet)`, controls)
  return conclude({
    seen: verdict === 'harmed' ? [{ kind: 'measurement', text }] : [],
    controls,
    leak: `The neighbour slows the victim down ${ratio.toFixed(1)} times.`,
    contained: text,
  })
}

/** The work while the load goes on. */
export async function beside(
  load: Trial['load'],
  measure: Trial['measure'],
): Promise<{ readonly took: readonly bigint[]; readonly amount: number }> {
  const loading = load(LOADED)
  // The failure is awaited below.
  loading.catch(() => undefined)
  await new Promise((resolve) => setTimeout(resolve, AHEAD))
  const took = await measure()
  return { took, amount: await loading }
}

export interface Comparison {
  readonly verdict: 'harmed' | 'unharmed' | 'unclear'
  /** Of the middle round. */
  readonly ratio: number
}

/**
 * `quiet` has one more than `loaded`: before, between and after. One odd round on either side is forgiven; all others
 * must agree. Harmed: each is that much worse than its neighbours, and no quiet one is as bad. Unharmed: none is, and
 * the quiet ones agree among themselves, so that no slow one hides a harm.
 */
export function compareRounds(quiet: readonly number[], loaded: readonly number[], most: number): Comparison {
  // In doubt against the verdict: the worse neighbour for a harm, the better one for none.
  const ratios = (choose: (a: number, b: number) => number): readonly number[] =>
    loaded.map((one, index) => one / Math.max(1, choose(quiet[index] ?? 0, quiet[index + 1] ?? 0)))
  const [least, worst] = [second(ratios(Math.max)), -second(ratios(Math.min).map((one) => -one))]
  const [calm, busy] = [second(quiet), -second(quiet.map((one) => -one))]
  const ratio = middle(loaded) / Math.max(1, middle(quiet))
  if (least > most && second(loaded) > busy) return { verdict: 'harmed', ratio }
  if (worst <= most && busy <= calm * most) return { verdict: 'unharmed', ratio }
  return { verdict: 'unclear', ratio }
}

/** The second smallest. */
function second(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[1] ?? Number.NaN
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/**
 * Not a percentile: who waits for his turn waits rarely and long, and a percentile of short rounds does not see it. Odd
 * rounds are what compareRounds is for.
 */
function mean(values: readonly bigint[]): number {
  if (values.length === 0) throw new Error('the victim’s work could not be measured: it did not one round')
  return Number(values.reduce((sum, one) => sum + one, 0n)) / values.length
}

function range(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)].map((ns) => (ns / 1e6).toPrecision(2))
  return `${least} to ${most} ms`
}
