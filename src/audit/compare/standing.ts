/** What a reader asks of a comparison: for each target what it costs, as times the first one, and what it buys. Pure. */
import { DIRECTIONS } from '../report/words.ts'
import { judged, tallyOf } from '../report/overview.ts'
import type { Direction, Report, Result, TargetReport } from '../types.ts'
import type { Comparison, Cost } from './compare.ts'
import { overlaps, spreadOf, type Spread } from './spread.ts'
import { START, WORKLOADS } from './workloads.ts'

export const PARTS = [START, ...WORKLOADS]
/** What runs inside once a container is there; starting it and entering it are the engine's work. */
const INSIDE = new Set(['CPU', 'system call', 'memory', 'file', 'network'])

export interface Share {
  readonly leaks: number
  /** Questions that got an answer. */
  readonly of: number
}

export interface Standing {
  readonly target: TargetReport
  /** By the name of the part; parts without a measurement are not in it. */
  readonly spreads: ReadonlyMap<string, Spread>
  /**
   * Geometric mean of what is measured inside, as times the first target; what may be noise counts as no difference.
   * undefined: a part of it is missing.
   */
  readonly work: number | undefined
  /** undefined: nobody audited it. */
  readonly leaks: (Share & { readonly by: Readonly<Record<Direction, Share>> }) | undefined
}

/** Of the targets that were measured, in their order. */
export function standingsOf(comparison: Comparison, report: Report | undefined): readonly Standing[] {
  const present = comparison.targets.filter(({ missing }) => missing === undefined)
  const measured = present.map((target) => ({ target, spreads: spreadsOf(comparison, target.name) }))
  const base = measured[0]?.spreads
  return measured.map(({ target, spreads }) => ({
    ...{ target, spreads },
    work: base === undefined ? undefined : workOf(spreads, base),
    leaks: leaksOf(report, target.name),
  }))
}

export function costOf(comparison: Comparison, target: string, part: string): Cost | undefined {
  return comparison.costs.find((cost) => cost.target === target && cost.workload === part)
}

function spreadsOf(comparison: Comparison, target: string): ReadonlyMap<string, Spread> {
  const entries = PARTS.flatMap(({ name }): readonly (readonly [string, Spread])[] => {
    const spread = spreadOf(costOf(comparison, target, name)?.values ?? [])
    return spread === undefined ? [] : [[name, spread]]
  })
  return new Map(entries)
}

function workOf(spreads: ReadonlyMap<string, Spread>, base: ReadonlyMap<string, Spread>): number | undefined {
  const ratios = [...INSIDE].flatMap((name) => {
    const [mine, first] = [spreads.get(name), base.get(name)]
    if (mine === undefined || first === undefined) return []
    return [overlaps(mine, first) ? 1 : mine.median / first.median]
  })
  if (ratios.length < INSIDE.size) return undefined
  return Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length)
}

function leaksOf(report: Report | undefined, target: string): Standing['leaks'] {
  if (report === undefined || !judged(report).some(({ name }) => name === target)) return undefined
  const mine = report.results.filter((result) => result.target === target)
  const directionOf = new Map(report.probes.map(({ id, direction }) => [id, direction]))
  const of = (direction: Direction): Share =>
    shareOf(mine.filter(({ probe }) => directionOf.get(probe) === direction))
  const [out, into, across] = DIRECTIONS.map(of)
  const nothing: Share = { leaks: 0, of: 0 }
  return { ...shareOf(mine), by: { out: out ?? nothing, in: into ?? nothing, across: across ?? nothing } }
}

function shareOf(results: readonly Result[]): Share {
  const { LEAK, CONTAINED, ABSENT } = tallyOf(results)
  return { leaks: LEAK, of: LEAK + CONTAINED + ABSENT }
}

/** The whole in two or three sentences. */
export function conclusionOf(standings: readonly Standing[]): readonly string[] {
  const [first] = standings
  if (first === undefined) return ['Nothing was measured.']
  const quickest = least(standings, ({ spreads }) => spreads.get(START.name)?.median)
  const safest = least(standings, ({ leaks }) => (leaks === undefined ? undefined : leaks.leaks / leaks.of))
  const sentences: string[] = []
  if (safest?.leaks !== undefined && standings.length > 1) {
    const price = safest === first ? '' : `; ${priceOf(safest, first)}`
    sentences.push(
      `Fewest leaks: ${safest.target.name}, ${safest.leaks.leaks} of ${safest.leaks.of} questions${price}.`,
    )
  }
  const start = quickest?.spreads.get(START.name)
  if (quickest !== undefined && start !== undefined) {
    const alike = standings.filter((one) => {
      const theirs = one.spreads.get(START.name)
      return one !== quickest && theirs !== undefined && overlaps(theirs, start)
    })
    const too =
      alike.length === 0
        ? ''
        : ` (noise hides whether ${alike.map(({ target }) => target.name).join(', ')} is slower)`
    sentences.push(`Quickest start: ${quickest.target.name}, ${withUnit(start.median, 'ms')}${too}.`)
  }
  return sentences
}

function priceOf(one: Standing, first: Standing): string {
  const [mine, base] = [one.spreads.get(START.name), first.spreads.get(START.name)]
  const start = mine && base ? [`a start takes ${times(mine.median / base.median)}`] : []
  const work = one.work === undefined ? [] : [`work inside ${times(one.work)}`]
  return `${[...start, ...work].join(', ')} of what it takes on ${first.target.name}`
}

function least(
  standings: readonly Standing[],
  by: (standing: Standing) => number | undefined,
): Standing | undefined {
  const known = standings.filter((one) => by(one) !== undefined)
  return known.toSorted((a, b) => (by(a) ?? 0) - (by(b) ?? 0))[0]
}

/** Two digits that matter: `15×`, `0.78×`, `1.0×`. */
export function times(ratio: number): string {
  return `${ratio >= 10 ? ratio.toFixed(0) : ratio.toPrecision(2)}×`
}

/** In the unit that keeps it short: 2034 ms are 2.0 s. */
export function withUnit(value: number, unit: 'ms' | 'µs'): string {
  const micro = unit === 'ms' ? value * 1000 : value
  const [number, name] =
    micro >= 1e6
      ? [micro / 1e6, 's']
      : micro >= 1000
        ? [micro / 1000, 'ms']
        : micro >= 1
          ? [micro, 'µs']
          : [micro * 1000, 'ns']
  return `${number >= 10 ? number.toFixed(0) : number.toFixed(1)} ${name}`
}
