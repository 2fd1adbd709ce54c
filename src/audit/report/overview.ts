/** A report turned into what its readers ask first: who leaks what, and what is worst. Pure; every renderer uses it. */
import type {
  Direction,
  Observer,
  ProbeDescription,
  Report,
  Result,
  TargetReport,
  Verdict,
} from '../types.ts'
import { SEVERITIES, severityOf, type Severity } from './severity.ts'
import { VERDICTS } from './words.ts'

export type Tally = Readonly<Record<Verdict, number>>

export interface Cell {
  readonly target: string
  readonly tally: Tally
  /** The worst in the cell; undefined when nothing was measured. */
  readonly verdict: Verdict | undefined
}

export interface Row {
  readonly asset: string
  readonly cells: readonly Cell[]
}

/** A probe that leaks somewhere. */
export interface Finding {
  readonly probe: ProbeDescription
  readonly severity: Severity
  readonly leaks: readonly Result[]
  /** What it says of the other targets. */
  readonly others: readonly Result[]
}

/** The targets that were judged. */
export function judged(report: Report): readonly TargetReport[] {
  return report.targets.filter((target) => target.missing === undefined)
}

export function tallyOf(results: readonly Result[]): Tally {
  const tally = { LEAK: 0, INCONCLUSIVE: 0, CONTAINED: 0, ABSENT: 0 }
  for (const { verdict } of results) tally[verdict] += 1
  return tally
}

export function worstOf(tally: Tally): Verdict | undefined {
  return VERDICTS.find((verdict) => tally[verdict] > 0)
}

/** One row per asset, in the catalogue's order (of importance); one cell per judged target. */
export function matrixOf(report: Report, direction: Direction): readonly Row[] {
  const probes = report.probes.filter((probe) => probe.direction === direction)
  const measured = new Set(report.results.map(({ probe }) => probe))
  const assets = new Set(probes.filter(({ id }) => measured.has(id)).map(({ asset }) => asset))
  return [...assets].map((asset) => {
    const ids = new Set(probes.filter((probe) => probe.asset === asset).map(({ id }) => id))
    const results = report.results.filter(({ probe }) => ids.has(probe))
    return { asset, cells: judged(report).map(({ name }) => cellOf(name, results)) }
  })
}

function cellOf(target: string, results: readonly Result[]): Cell {
  const tally = tallyOf(results.filter((result) => result.target === target))
  return { target, tally, verdict: worstOf(tally) }
}

/** Worst first; among equals the one that most targets have, then the catalogue's order. */
export function findingsOf(report: Report): readonly Finding[] {
  return report.probes
    .map((probe) => findingOf(report, probe))
    .filter(({ leaks }) => leaks.length > 0)
    .sort(
      (a, b) =>
        SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) || b.leaks.length - a.leaks.length,
    )
}

export function findingOf(report: Report, probe: ProbeDescription): Finding {
  const results = report.results.filter((result) => result.probe === probe.id)
  return {
    probe,
    severity: severityOf(probe),
    leaks: results.filter(({ verdict }) => verdict === 'LEAK'),
    others: results.filter(({ verdict }) => verdict !== 'LEAK'),
  }
}

/** What one observer saw of one target. */
export function sightOf(report: Report, target: string, observer: Observer): Tally {
  const ids = new Set(report.probes.filter((probe) => probe.observers.includes(observer)).map(({ id }) => id))
  return tallyOf(report.results.filter((result) => result.target === target && ids.has(result.probe)))
}
