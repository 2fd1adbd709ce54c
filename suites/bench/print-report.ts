import type { Report } from './measure.ts'
import type { Finding } from './sample.ts'

/** A table per group: median, the middle four fifths, and the ratios to dewar and to the kernel's limit. */
export function printReport(machine: Readonly<Record<string, string | number>>, report: Report): void {
  const print = (text: string) => process.stdout.write(`${text}\n`)
  print(
    Object.entries(machine)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
  )
  const limit = report.findings.find(({ subject }) => subject.startsWith('limit'))?.summary.median
  const groups = [...new Set(report.findings.map(({ group }) => group))]
  for (const group of groups) {
    print(`\n${group}`)
    const found = report.findings.filter((finding) => finding.group === group)
    const medianOf = (name: string) => found.find(({ subject }) => subject.startsWith(name))?.summary.median
    const beside = { limit: medianOf('limit') ?? limit, dewar: medianOf('dewar') }
    for (const finding of found) print(line(finding, beside))
  }
  if (report.absences.length > 0) print('\nnot measured')
  for (const { group, subject, reason } of report.absences) print(`  ${subject} (${group}): ${reason}`)
}

interface Beside {
  readonly limit: number | undefined
  readonly dewar: number | undefined
}

function line(finding: Finding, { limit, dewar }: Beside): string {
  const { subject, unit, summary, group } = finding
  const { median, p10, p90, count } = summary
  const spread = count > 1 ? `${digits(p10)}–${digits(p90)}` : 'one run'
  const comparable =
    unit === 'ms' && /\/bin\/true|create\+start|at once/.test(group) && !group.startsWith('exec')
  const isPeer = !/^(dewar|limit)/.test(subject)
  const cells = [
    subject.padEnd(18),
    `${digits(median)} ${unit}`.padStart(13),
    spread.padStart(15),
    ratio(median, comparable ? (finding.limit?.median ?? limit) : undefined, 'limit').padStart(13),
    ratio(median, isPeer ? dewar : undefined, 'dewar').padStart(13),
  ]
  const bare = finding.limit === undefined ? [] : [`(bare C ${digits(finding.limit.median)})`]
  return `  ${[...cells, ...bare, finding.note ?? ''].join('  ')}`.trimEnd()
}

function ratio(median: number, other: number | undefined, name: string): string {
  return other === undefined ? '' : `${digits(median / other)}× ${name}`
}

function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
