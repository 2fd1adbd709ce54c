/** Values of one measurement in `unit`, in the order they were taken. */
export interface Sample {
  readonly values: readonly number[]
}

export interface Summary {
  readonly median: number
  readonly p10: number
  readonly p90: number
  readonly count: number
}

export function summarise(values: readonly number[]): Summary {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
  return { median: at(0.5), p10: at(0.1), p90: at(0.9), count: sorted.length }
}

/** One line of the report. */
export interface Finding {
  readonly group: string
  readonly subject: string
  readonly unit: 'ms' | 'MB/s' | 'kB'
  readonly summary: Summary
  /** Of bare C, measured beside it; else that of its group counts. */
  readonly limit?: Summary
  /** What the rest is spent on, or under which conditions it was measured. */
  readonly note?: string
}

/** A subject that could not be measured, and why: never left out silently. */
export interface Absence {
  readonly group: string
  readonly subject: string
  readonly reason: string
}
