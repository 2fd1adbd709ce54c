/** What changed between two audits: of a configuration, a version, a machine. */
import type { ProbeDescription, Report, Result, Verdict } from '../types.ts'
import { judged } from './overview.ts'
import { plainText } from './plain-text.ts'
import { reportPaint } from './report-paint.ts'
import { SEVERITIES, severityOf } from './severity.ts'
import { counted } from './words.ts'

export interface Change {
  readonly probe: ProbeDescription
  /** Both names where they differ: `docker → podman`. */
  readonly target: string
  readonly before: Verdict
  readonly after: Verdict
  readonly reason: string
}

export interface ReportDiff {
  /** Contained or absent before, a leak now. */
  readonly lost: readonly Change[]
  /** A leak before, contained or absent now. */
  readonly won: readonly Change[]
  /** Had an answer, has none now: nobody knows whether it was lost. */
  readonly unproven: readonly Change[]
  /** Any other change: contained to absent, inconclusive to an answer. */
  readonly other: readonly Change[]
  readonly same: number
  /** What one report has and the other has not. */
  readonly notes: readonly string[]
}

export function diffReports(before: Report, after: Report): ReportDiff {
  const pairs = pairTargets(before, after)
  const changes: Change[] = []
  const notes = unpaired(before, after, pairs)
  let same = 0
  for (const [old, now] of pairs) {
    for (const probe of unionOf(before.probes, after.probes)) {
      const [a, b] = [resultOf(before, old, probe.id), resultOf(after, now, probe.id)]
      if (a === undefined || b === undefined) {
        if ((a ?? b) !== undefined)
          notes.push(`${probe.id} on ${now}: only in the ${a ? 'first' : 'second'} report`)
      } else if (a.verdict === b.verdict) same += 1
      else changes.push(changeOf(probe, old, now, a, b))
    }
  }
  changes.sort((a, b) => rank(a) - rank(b))
  const of = (kind: Kind): Change[] => changes.filter((change) => kindOf(change) === kind)
  return { lost: of('lost'), won: of('won'), unproven: of('unproven'), other: of('other'), same, notes }
}

/** For `--fail-on-loss`: 1 something was lost, 2 a proof was lost, else 0. */
export function diffExitCode({ lost, unproven }: ReportDiff): 0 | 1 | 2 {
  if (lost.length > 0) return 1
  return unproven.length > 0 ? 2 : 0
}

/** Ends with a line feed. */
export function renderDiff(diff: ReportDiff, coloured: boolean): string {
  const paint = reportPaint(coloured)
  const part = (title: string, changes: readonly Change[], colour: (text: string) => string): string[] => {
    if (changes.length === 0) return []
    return [colour(`${title} (${changes.length})`), ...changes.map(lineOf), '']
  }
  const lines = [
    ...part('lost', diff.lost, paint.bad),
    ...part('no longer proven', diff.unproven, paint.bold),
    ...part('won', diff.won, paint.good),
    ...part('otherwise changed', diff.other, paint.dim),
    ...diff.notes.map((note) => `note: ${plainText(note)}`),
    `${diff.lost.length} lost, ${diff.won.length} won, ${diff.unproven.length} no longer proven, ${counted(diff.same, 'verdict')} the same`,
  ]
  return `${lines.join('\n')}\n`
}

function lineOf({ probe, target, before, after, reason }: Change): string {
  return plainText(`  ${target} ${probe.id} ${before} → ${after}: ${probe.question} ${reason}`)
}

type Kind = 'lost' | 'won' | 'unproven' | 'other'

function kindOf({ before, after }: Change): Kind {
  if (after === 'INCONCLUSIVE') return 'unproven'
  if (after === 'LEAK') return before === 'INCONCLUSIVE' ? 'other' : 'lost'
  return before === 'LEAK' ? 'won' : 'other'
}

function rank({ probe }: Change): number {
  return SEVERITIES.indexOf(severityOf(probe))
}

function changeOf(probe: ProbeDescription, old: string, now: string, a: Result, b: Result): Change {
  const target = old === now ? now : `${old} → ${now}`
  return { probe, target, before: a.verdict, after: b.verdict, reason: b.reason }
}

function resultOf(report: Report, target: string, probe: string): Result | undefined {
  return report.results.find((result) => result.target === target && result.probe === probe)
}

/** As the newer report tells them, then those that it has no more. */
function unionOf(
  old: readonly ProbeDescription[],
  now: readonly ProbeDescription[],
): readonly ProbeDescription[] {
  const ids = new Set(now.map(({ id }) => id))
  return [...now, ...old.filter(({ id }) => !ids.has(id))]
}

/** By name; two reports of one target each compare those, so that engines can be held against each other. */
function pairTargets(before: Report, after: Report): ReadonlyArray<readonly [string, string]> {
  const [old, now] = [judged(before), judged(after)].map((targets) => targets.map(({ name }) => name))
  if (old === undefined || now === undefined) return []
  const [first, second] = [old[0], now[0]]
  if (old.length === 1 && now.length === 1 && first !== undefined && second !== undefined)
    return [[first, second]]
  return now.filter((name) => old.includes(name)).map((name) => [name, name] as const)
}

function unpaired(before: Report, after: Report, pairs: ReadonlyArray<readonly [string, string]>): string[] {
  const notes: string[] = []
  for (const { name } of judged(before))
    if (!pairs.some(([old]) => old === name)) notes.push(`${name} is only in the first report`)
  for (const { name } of judged(after))
    if (!pairs.some(([, now]) => now === name)) notes.push(`${name} is only in the second report`)
  if (before.host.kernel !== after.host.kernel)
    notes.push(`the kernels differ: ${before.host.kernel}, then ${after.host.kernel}`)
  return notes
}
