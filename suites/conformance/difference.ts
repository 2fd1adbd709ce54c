import type { Answer } from './side.ts'

/**
 * A difference to dockerd 20.10 that is meant to be. An entry that no longer differs fails the suite, and so does one
 * whose `ours` no longer matches: it is no blank cheque.
 */
export interface Difference {
  /** The row's name, or all rows a pattern matches. */
  readonly row: string | RegExp
  readonly on?: 'engine' | 'cli'
  readonly part: keyof Answer
  /** What ours must answer instead. */
  readonly ours: RegExp
  readonly reason: string
}

/** Filled by looking at each failure; the reason says why ours is not the same and is right so. */
export const DIFFERENCES: readonly Difference[] = []
