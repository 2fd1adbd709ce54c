/** Middle and spread of a few measurements. The shortest and longest are told too: a busy machine shows there first. */
export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
}

export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  const [low, high] = [sorted[0], sorted.at(-1)]
  if (low === undefined || high === undefined) return undefined
  const middle = (sorted.length - 1) / 2
  const median = ((sorted[Math.floor(middle)] ?? low) + (sorted[Math.ceil(middle)] ?? low)) / 2
  return { median, low, high }
}

/** Three digits that matter. */
export function digits(value: number): string {
  if (value >= 100) return value.toFixed(0)
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/**
 * How many times the first; `≈` where the spreads overlap, so that nobody can say which is more: noise is not a
 * difference.
 */
export function ratioWords(value: Spread, base: Spread): string {
  return `${overlaps(value, base) ? '≈' : ''}${digits(value.median / base.median)}×`
}

export function overlaps(value: Spread, base: Spread): boolean {
  return value.low <= base.high && base.low <= value.high
}
