/**
 * JUnit's XML as GitLab, Jenkins and GitHub's actions read it: a suite per target, a case per probe. A leak is a failure,
 * an inconclusive verdict an error, an absent thing is skipped.
 */
import type { ProbeDescription, Report, Result } from '../types.ts'
import { tallyOf } from './overview.ts'
import { severityOf } from './severity.ts'

export function renderJunit(report: Report): string {
  const all = tallyOf(report.results)
  const missing = report.targets.filter((target) => target.missing !== undefined).length
  const suites = report.targets.map((target) => suiteOf(report, target.name))
  const counts = attributes({
    name: 'dewar audit',
    tests: report.results.length + missing,
    failures: all.LEAK,
    errors: all.INCONCLUSIVE + missing,
    skipped: all.ABSENT,
    time: seconds(report.duration),
  })
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites${counts}>\n${suites.join('')}</testsuites>\n`
}

function suiteOf(report: Report, name: string): string {
  const target = report.targets.find((one) => one.name === name)
  const why = target?.missing
  const results = report.results.filter((result) => result.target === name)
  const tally = tallyOf(results)
  const counts = attributes({
    name,
    timestamp: report.startedAt.replace(/\.\d+Z?$/, ''),
    tests: results.length + (why === undefined ? 0 : 1),
    failures: tally.LEAK,
    errors: tally.INCONCLUSIVE + (why === undefined ? 0 : 1),
    skipped: tally.ABSENT,
    time: seconds(results.reduce((sum, { duration }) => sum + duration, 0)),
  })
  const cases = results.map((result) => caseOf(report, result))
  if (why !== undefined) cases.push(missingCase(name, `${why.reason} (${why.remedy})`))
  return `  <testsuite${counts}>\n${cases.join('')}  </testsuite>\n`
}

function missingCase(name: string, message: string): string {
  const head = attributes({ classname: name, name: 'the target can be judged', time: '0.000' })
  return `    <testcase${head}>\n      <error${attributes({ message, type: 'missing' })}/>\n    </testcase>\n`
}

function caseOf(report: Report, result: Result): string {
  const probe = report.probes.find(({ id }) => id === result.probe)
  const head = attributes({
    classname: `${result.target}.${probe?.direction ?? ''}.${probe?.asset ?? ''}`,
    name: `${result.probe} ${probe?.question ?? ''}`,
    time: seconds(result.duration),
  })
  const outcome = outcomeOf(result, probe)
  if (outcome === '') return `    <testcase${head}/>\n`
  return `    <testcase${head}>\n      ${outcome}\n    </testcase>\n`
}

function outcomeOf(result: Result, probe: ProbeDescription | undefined): string {
  const message = result.reason
  if (result.verdict === 'CONTAINED') return ''
  if (result.verdict === 'ABSENT') return `<skipped${attributes({ message })}/>`
  const [tag, type] =
    result.verdict === 'LEAK'
      ? ['failure', probe === undefined ? 'leak' : severityOf(probe)]
      : ['error', 'inconclusive']
  const body = [
    ...result.evidence.map(({ kind, text }) => `${kind}: ${text}`),
    ...result.controls.map(({ what, held }) => `control ${held ? 'held' : 'FAILED'}: ${what}`),
    `remedy: ${probe?.remedy ?? ''}`,
  ]
  return `<${tag}${attributes({ message, type })}>${xml(body.join('\n'))}</${tag}>`
}

function attributes(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${xml(String(value)).replace(/\s/g, ' ')}"`)
    .join('')
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3)
}

const XML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** XML 1.0 has no way to write most control characters, not even as a reference: they are shown as U+FFFD. */
function xml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '\uFFFD')
    .replace(/[&<>"]/g, (character: string) => XML[character] ?? '')
}
