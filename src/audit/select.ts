import type { Probe } from './probe.ts'

export interface Selection {
  readonly direction: readonly string[]
  readonly probe: readonly string[]
  readonly asset: readonly string[]
  readonly observer: readonly string[]
}

/**
 * Each option narrows; several words of one option, also with commas between them, widen. Throws when nothing is left
 * or a word fits nothing.
 */
export function selectProbes(probes: readonly Probe[], by: Selection): readonly Probe[] {
  const list = (words: readonly string[]) => words.flatMap((word) => word.split(',')).filter(Boolean)
  const tests: readonly (readonly [string, readonly string[], (probe: Probe, word: string) => boolean])[] = [
    ['direction', list(by.direction), ({ direction }, word) => direction === word],
    ['probe', list(by.probe), ({ id, slug }, word) => id === word.toUpperCase() || slug.includes(word)],
    ['asset', list(by.asset), ({ asset }, word) => asset.includes(word)],
    ['observer', list(by.observer), ({ observers }, word) => observers.some((observer) => observer === word)],
  ]
  for (const [option, words, fits] of tests) {
    const stray = words.find((word) => !probes.some((probe) => fits(probe, word)))
    if (stray !== undefined) throw new Error(`choosing probes failed: --${option} ${stray} fits none`)
  }
  const chosen = probes.filter((probe) =>
    tests.every(([, words, fits]) => words.length === 0 || words.some((word) => fits(probe, word))),
  )
  if (chosen.length === 0) throw new Error('choosing probes failed: no probe fits all options (give fewer)')
  return chosen
}

/** About how long they take on one target, from what they took on the machine they were written on. */
export function secondsOf(probes: readonly Probe[], load: boolean): number {
  const cost = { none: 1.2, bounded: 5, load: load ? 8 : 0 } as const
  return probes.reduce((sum, { interference }) => sum + cost[interference], 5)
}
