/**
 * The report for people at a terminal: a matrix per direction, then the leaks, worst first. Made of lines of at most 80
 * columns (or the terminal's, when that is wider) that say everything without colour.
 */
import type { Report, Result } from '../types.ts'
import { findingsOf, judged, matrixOf, tallyOf, type Cell, type Finding, type Row } from './overview.ts'
import { plainText, shortened, wrapped } from './plain-text.ts'
import { reportPaint, type ReportPaint } from './report-paint.ts'
import {
  counted,
  DIRECTION_TITLE,
  DIRECTIONS,
  durationWords,
  surveyWords,
  VERDICT_MEANING,
  VERDICT_SIGN,
  VERDICTS,
} from './words.ts'

export interface TerminalOptions {
  readonly coloured: boolean
  readonly columns: number
  /** All probes with their controls, not only the leaks. */
  readonly verbose: boolean
}

/** Ends with a line feed. */
export function renderTerminal(report: Report, options: TerminalOptions): string {
  const page = new Page(options)
  DIRECTIONS.forEach((direction) =>
    page.matrix(DIRECTION_TITLE[direction], report, matrixOf(report, direction)),
  )
  page.legend()
  page.findings(report)
  if (options.verbose) page.everything(report)
  page.discoveries(report)
  page.summary(report)
  return `${page.lines.join('\n')}\n`
}

const CELL = 9
const ASSET = 17
const MOST_EVIDENCE = 3
/** So many leaks in full; then a screen or two are filled. */
const MOST_FINDINGS = 12

class Page {
  readonly lines: string[] = []
  readonly #paint: ReportPaint
  readonly #width: number

  constructor({ coloured, columns }: TerminalOptions) {
    this.#paint = reportPaint(coloured)
    this.#width = Math.max(40, Math.min(columns, 120))
  }

  matrix(title: string, report: Report, rows: readonly Row[]): void {
    if (rows.length === 0) return
    this.lines.push(this.#paint.bold(title))
    const names = judged(report).map(({ name }) => name)
    const width = Math.max(CELL, ...names.map((name) => nameOf(name).length + 2))
    const asset = Math.min(40, Math.max(ASSET, ...rows.map((row) => row.asset.length))) + 2
    // More targets than fit: a block of rows for every few of them.
    const fit = Math.max(1, Math.floor((this.#width - asset) / width))
    for (let first = 0; first < names.length; first += fit) {
      const heads = names.slice(first, first + fit).map((name) => nameOf(name).padEnd(width))
      this.lines.push(this.#paint.dim(`${' '.repeat(asset)}${heads.join('')}`.trimEnd()))
      for (const row of rows) this.#row(row, first, fit, asset, width)
      this.lines.push('')
    }
  }

  #row(row: Row, first: number, fit: number, asset: number, width: number): void {
    const cells = row.cells.slice(first, first + fit).map((cell) => this.#cell(cell, width))
    this.lines.push(
      `${plainText(row.asset)
        .slice(0, asset - 1)
        .padEnd(asset)}${cells.join('')}`.trimEnd(),
    )
  }

  /** `✗ 2/3`: two of three probes leak. `✓ 3`: all three are contained. */
  #cell({ verdict, tally }: Cell, width: number): string {
    if (verdict === undefined) return ' '.repeat(width)
    const total = VERDICTS.reduce((sum, one) => sum + tally[one], 0)
    const clean = verdict === 'CONTAINED' || tally[verdict] === total
    const share = clean ? `${tally[verdict]}` : `${tally[verdict]}/${total}`
    return this.#paint.verdict(verdict, `${VERDICT_SIGN[verdict]} ${share}`.padEnd(width))
  }

  legend(): void {
    const sign = (verdict: (typeof VERDICTS)[number]): string =>
      `${this.#paint.verdict(verdict, `${VERDICT_SIGN[verdict]} ${verdict}`)} ${VERDICT_MEANING[verdict]}`
    this.lines.push(...VERDICTS.map(sign), '2/3: two of three probes', '')
  }

  findings(report: Report): void {
    const findings = findingsOf(report)
    if (findings.length === 0) {
      const nothing = report.results.length === 0
      this.lines.push(nothing ? 'Nothing was judged.' : this.#paint.good('No leak was found.'), '')
      return
    }
    this.lines.push(this.#paint.bold('Leaks, the worst first'), '')
    for (const finding of findings.slice(0, MOST_FINDINGS)) this.#finding(finding)
    if (findings.length <= MOST_FINDINGS) return
    const less = findings.slice(MOST_FINDINGS)
    this.lines.push(this.#paint.bold(`And ${less.length} more, less bad (--verbose explains each)`), '')
    for (const finding of less) this.#shortFinding(finding)
    this.lines.push('')
  }

  #finding({ probe, severity, leaks, others }: Finding): void {
    this.#text(0, `${this.#paint.severity(severity)}  `, severity.length + 2, `${probe.id} ${probe.question}`)
    const names = (results: readonly Result[]): string => results.map(({ target }) => target).join(', ')
    const contained = others.filter(({ verdict }) => verdict === 'CONTAINED' || verdict === 'ABSENT')
    const not = contained.length === 0 ? '' : `; not on ${names(contained)}`
    this.#text(2, '', 0, `yes on ${names(leaks)}${not}`)
    const same = new Set(leaks.map(({ reason }) => reason)).size === 1
    for (const leak of same ? leaks.slice(0, 1) : leaks)
      this.#text(2, '', 0, same ? leak.reason : `${leak.target}: ${leak.reason}`)
    for (const leak of same ? leaks.slice(0, 1) : leaks) this.#evidence(leak, MOST_EVIDENCE)
    this.#text(2, this.#paint.dim('remedy: '), 8, probe.remedy)
    this.lines.push('')
  }

  #shortFinding({ probe, severity, leaks }: Finding): void {
    const on = leaks.map(({ target }) => target).join(', ')
    const lead = this.#paint.severity(severity)
    this.#text(0, `${lead}  `, severity.length + 2, `${probe.id} ${probe.question} (${on})`)
  }

  #evidence({ evidence }: Result, most: number): void {
    for (const { kind, text } of evidence.slice(0, most))
      this.#text(4, this.#paint.dim(`${kind}: `), kind.length + 2, shortened(text, 300))
    if (evidence.length > most) this.#text(4, '', 0, `… and ${evidence.length - most} more (--json has all)`)
  }

  everything(report: Report): void {
    this.lines.push(this.#paint.bold('Every probe with its controls'), '')
    for (const probe of report.probes) {
      const results = report.results.filter((result) => result.probe === probe.id)
      if (results.length === 0) continue
      this.#text(0, this.#paint.bold(`${probe.id} `), probe.id.length + 1, `${probe.slug}: ${probe.question}`)
      this.#text(2, this.#paint.dim('method: '), 8, probe.method)
      for (const result of results) this.#result(result)
      this.lines.push('')
    }
  }

  #result(result: Result): void {
    const head = `${VERDICT_SIGN[result.verdict]} ${nameOf(result.target)} ${result.verdict}`
    const time = durationWords(result.duration)
    this.#text(2, this.#paint.verdict(result.verdict, head), head.length, `: ${result.reason} (${time})`)
    for (const { what, held } of result.controls)
      this.#text(6, '', 0, held ? `control held: ${what}` : `control FAILED: ${what}`)
    this.#evidence(result, 10)
  }

  discoveries(report: Report): void {
    const surveys = report.surveys ?? []
    if (report.discoveries.length === 0 && surveys.length === 0) return
    this.lines.push(this.#paint.bold('Discovered: files that carry host state'), '')
    for (const survey of surveys) this.#text(0, '', 0, surveyWords(report, survey))
    const unknown = report.discoveries.filter(({ known }) => known.length === 0)
    if (unknown.length > 0) this.lines.push('On no list of ours:')
    for (const { target, path, kind, sample } of unknown)
      this.#text(2, '', 0, `${target}: ${path} (${kind.replace('-', ' ')}) ${shortened(sample, 80)}`)
    this.lines.push('')
  }

  summary(report: Report): void {
    for (const { name, version, level, missing, runArguments } of report.targets) {
      const args = runArguments.length === 0 ? '' : `, run with ${runArguments.join(' ')}`
      if (missing !== undefined)
        this.#text(0, '', 0, `${name}: not judged: ${missing.reason} (${missing.remedy})`)
      else this.#target(report, name, `${version} (${level}${args})`)
    }
    for (const leftover of report.leftovers) this.#text(0, this.#paint.bad('left behind: '), 13, leftover)
    const { kernel, cpus, cgroup } = report.host
    const host = `kernel ${kernel}, ${counted(cpus, 'CPU')}, cgroup ${cgroup}`
    this.#text(0, '', 0, `${durationWords(report.duration)} on ${host}`)
  }

  #target(report: Report, name: string, about: string): void {
    const tally = tallyOf(report.results.filter(({ target }) => target === name))
    const parts = VERDICTS.filter((verdict) => tally[verdict] > 0).map(
      (verdict) => `${tally[verdict]} ${verdict}`,
    )
    this.#text(
      0,
      `${this.#paint.bold(nameOf(name))} `,
      nameOf(name).length + 1,
      `${about}: ${parts.join(', ') || 'nothing measured'}`,
    )
  }

  /** `lead` may be coloured, so its width is told; what follows is hostile until shown plain. */
  #text(indent: number, lead: string, leadWidth: number, text: string): void {
    const space = ' '.repeat(indent)
    const rest = this.#width - indent
    const [head = '', ...lines] = wrapped(plainText(text), rest - 2, rest - leadWidth)
    this.lines.push(`${space}${lead}${head}`.trimEnd(), ...lines.map((line) => `${space}  ${line}`))
  }
}

/** A container may be named by its enemy. */
function nameOf(target: string): string {
  const name = plainText(target)
  return name.length > 20 ? `${name.slice(0, 19)}…` : name
}
