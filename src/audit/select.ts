import type { Probe } from './probe.ts'

export interface Selection {
  readonly direction: readonly string[]
  readonly probe: readonly string[]
  readonly asset: readonly string[]
  readonly observer: readonly string[]
}

interface Option {
  readonly name: string
  readonly words: readonly string[]
  readonly fits: (probe: Probe, word: string) => boolean
  /** What can be said, for who said something else. */
  readonly there: (probe: Probe) => readonly string[]
}

/**
 * Each option narrows; several words of one option, also with commas between them, widen. Throws when nothing is left
 * or a word fits nothing.
 */
export function selectProbes(probes: readonly Probe[], by: Selection): readonly Probe[] {
  const list = (words: readonly string[]) => words.flatMap((word) => word.split(',')).filter(Boolean)
  const options: readonly Option[] = [
    {
      name: 'direction',
      words: list(by.direction),
      fits: ({ direction }, word) => direction === word,
      there: ({ direction }) => [direction],
    },
    {
      name: 'probe',
      words: list(by.probe),
      fits: ({ id, slug }, word) => id === word.toUpperCase() || slug.includes(word),
      there: ({ id }) => [id],
    },
    {
      name: 'asset',
      words: list(by.asset),
      fits: ({ asset }, word) => asset.includes(word),
      there: ({ asset }) => [asset],
    },
    {
      name: 'observer',
      words: list(by.observer),
      fits: ({ observers }, word) => observers.some((observer) => observer === word),
      there: ({ observers }) => observers,
    },
  ]
  for (const { name, words, fits, there } of options) {
    const stray = words.find((word) => !probes.some((probe) => fits(probe, word)))
    if (stray === undefined) continue
    const all = [...new Set(probes.flatMap(there))].join(', ')
    throw new Error(`choosing probes failed: --${name} ${stray} fits none (there are: ${all})`)
  }
  const chosen = probes.filter((probe) =>
    options.every(({ words, fits }) => words.length === 0 || words.some((word) => fits(probe, word))),
  )
  if (chosen.length === 0) throw new Error('choosing probes failed: no probe fits all options (give fewer)')
  return chosen
}

/** About how long they take on one target, from what they took on the machine they were written on. */
export function secondsOf(probes: readonly Probe[], load: boolean): number {
  // Several quiet ones run at once.
  const cost = { none: 0.3, bounded: 3, load: load ? 8 : 0 } as const
  return probes.reduce((sum, { interference }) => sum + cost[interference], 5)
}
