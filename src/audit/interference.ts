/** Interference: a victim's own quiet baseline, before and after, against the same work beside a neighbour's load. */
import type { Evidence } from './types.ts'
import { conclude, inconclusive } from './verdict.ts'
import type { Finding } from './verdict.ts'
import type { Control } from './types.ts'

export interface Trial {
  /** ns per round of the victim's work. */
  readonly measure: () => Promise<readonly bigint[]>
  /** Makes load until the signal aborts or for a bounded time of its own; gives how much it did. */
  readonly load: () => Promise<number>
  /** From this ratio on it is a LEAK. */
  readonly most: number
  /** `fsync of 4 KiB`. */
  readonly what: string
  /** `rounds of spinning`. */
  readonly unit: string
  readonly controls?: readonly Control[]
}

/** Differences smaller than this are no harm, whatever their ratio: ns. */
const NO_HARM = 300_000

export async function tryInterference(trial: Trial): Promise<Finding> {
  const before = percentile(await trial.measure(), 0.95)
  const loading = trial.load()
  // The failure is awaited below.
  loading.catch(() => undefined)
  const during = percentile(await trial.measure(), 0.95)
  const done = await loading
  const after = percentile(await trial.measure(), 0.95)
  const quiet = Math.max(before, after)
  const ratio = during / quiet
  const text =
    `${trial.what}: 95th percentile ${ms(before)} and ${ms(after)} alone, ${ms(during)} beside ` +
    `${done} ${trial.unit}: ${ratio.toFixed(2)} times (at most ${trial.most})`
  const controls: readonly Control[] = [
    { what: `the neighbour made load (${done} ${trial.unit})`, held: done > 0 },
    { what: `the victim's work was measured`, held: during > 0 && before > 0 },
    ...(trial.controls ?? []),
  ]
  const noise = quiet / Math.min(before, after)
  const harmful = ratio > trial.most && during - quiet > NO_HARM
  if (noise > trial.most && quiet - Math.min(before, after) > NO_HARM)
    return inconclusive(`the machine is not quiet enough: ${ms(before)} before, ${ms(after)} after`, controls)
  const evidence: Evidence = { kind: 'measurement', text }
  return conclude({
    seen: harmful ? [evidence] : [],
    controls,
    leak: `The neighbour slows the victim down ${ratio.toFixed(1)} times.`,
    contained: text,
  })
}

export function percentile(values: readonly bigint[], share: number): number {
  const sorted = values.map(Number).toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

function ms(nanoseconds: number): string {
  return `${(nanoseconds / 1e6).toFixed(2)} ms`
}
