/**
 * SARIF 2.1.0 (OASIS), for GitHub code scanning and its like: a rule per probe, a result per leak. What could not be
 * proven is no result but a notification of the tool, for a service would count it as a hole that was found.
 */
import { createHash } from 'node:crypto'
import type { ProbeDescription, Report, Result } from '../types.ts'
import { findingsOf, judged } from './overview.ts'
import { severityOf, SEVERITY_SCORE, type Severity } from './severity.ts'

const LEVEL: Readonly<Record<Severity, 'error' | 'warning' | 'note'>> = {
  critical: 'error',
  high: 'error',
  medium: 'warning',
  low: 'note',
}

/** One line feed at the end; two spaces of indentation. */
export function renderSarif(report: Report): string {
  const rules = report.probes.map(ruleOf)
  const indexOf = new Map(report.probes.map(({ id }, index) => [id, index]))
  const results = findingsOf(report).flatMap(({ probe, leaks }) =>
    leaks.map((leak) => resultOf(report, probe, leak, indexOf.get(probe.id) ?? -1)),
  )
  const log = {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'dewar audit', semanticVersion: report.dewar, rules } },
        // The category: GitHub keeps the results of each apart, so that one run does not close another's alerts.
        automationDetails: {
          id: `dewar-audit/${judged(report)
            .map(({ name }) => word(name))
            .join('+')}/`,
        },
        invocations: [invocationOf(report)],
        columnKind: 'unicodeCodePoints',
        results,
      },
    ],
  }
  return `${JSON.stringify(log, undefined, 2)}\n`
}

function ruleOf(probe: ProbeDescription): object {
  const { id, slug, question, method, remedy, references } = probe
  const severity = severityOf(probe)
  return {
    id,
    name: slug,
    shortDescription: { text: question },
    fullDescription: { text: `${question} ${sentence(method)}` },
    help: {
      text: `${sentence(method)}\n\nRemedy: ${sentence(remedy)}`,
      markdown: `**How it is tried.** ${sentence(method)}\n\n**Remedy.** ${sentence(remedy)}`,
    },
    defaultConfiguration: { level: LEVEL[severity] },
    properties: {
      'security-severity': SEVERITY_SCORE[severity],
      precision: 'very-high',
      tags: ['security', probe.direction, probe.asset, ...references.map(tagOf)],
    },
  }
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

/** GitHub links `external/cwe/cwe-668`. */
function tagOf(reference: string): string {
  return /^CWE-\d+$/.test(reference) ? `external/cwe/${reference.toLowerCase()}` : reference
}

function resultOf(report: Report, probe: ProbeDescription, leak: Result, ruleIndex: number): object {
  const fingerprint = fingerprintOf(report, probe, leak)
  return {
    ruleId: probe.id,
    ruleIndex,
    kind: 'fail',
    level: LEVEL[severityOf(probe)],
    message: { text: `${leak.target}: ${sentence(leak.reason)} Remedy: ${sentence(probe.remedy)}` },
    locations: [
      {
        // No file is at fault, but services show nothing without one: the target stands for it.
        physicalLocation: {
          artifactLocation: { uri: `targets/${word(leak.target)}` },
          region: { startLine: 1 },
        },
        logicalLocations: [{ fullyQualifiedName: `${leak.target}/${probe.slug}`, kind: 'resource' }],
      },
    ],
    partialFingerprints: { 'dewarAudit/v1': fingerprint, primaryLocationLineHash: `${fingerprint}:1` },
    properties: { evidence: leak.evidence, controls: leak.controls },
  }
}

/** Of what stays the same from run to run: canaries, paths, process ids and versions do not. */
function fingerprintOf(report: Report, probe: ProbeDescription, leak: Result): string {
  const target = report.targets.find(({ name }) => name === leak.target)
  const parts = [leak.target, target?.kind, target?.level, target?.runArguments, probe.slug]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}

function invocationOf(report: Report): object {
  const started = Date.parse(report.startedAt)
  const unproven = report.results.filter(({ verdict }) => verdict === 'INCONCLUSIVE')
  const missing = report.targets.flatMap(({ name, missing: why }) =>
    why === undefined ? [] : [`${name} was not judged: ${why.reason} (${why.remedy})`],
  )
  return {
    executionSuccessful: missing.length === 0,
    startTimeUtc: new Date(started).toISOString(),
    endTimeUtc: new Date(started + report.duration).toISOString(),
    toolExecutionNotifications: [
      ...missing.map((text) => ({ level: 'error', message: { text } })),
      ...unproven.map(({ target, probe, reason }) => ({
        level: 'warning',
        message: { text: `${target}: inconclusive: ${reason}` },
        associatedRule: { id: probe },
      })),
    ],
  }
}

/** For a URI: a container's name is hostile, and half of a surrogate pair makes encodeURIComponent throw. */
function word(name: string): string {
  return encodeURIComponent(name.replace(/\p{Cs}/gu, '\uFFFD'))
}
