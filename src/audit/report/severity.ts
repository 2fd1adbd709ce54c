/**
 * How bad a leak is, so that the worst stands first. Decided from the probe alone, never from the target: the same hole
 * is equally bad in every engine.
 */
import type { Observer, ProbeDescription } from '../types.ts'

export const SEVERITIES = ['critical', 'high', 'medium', 'low'] as const
export type Severity = (typeof SEVERITIES)[number]

/** GitHub sorts by this number (`security-severity`, 0 to 10, as CVSS): one in the middle of each of its bands. */
export const SEVERITY_SCORE: Readonly<Record<Severity, string>> = {
  critical: '9.5',
  high: '8.0',
  medium: '5.5',
  low: '2.0',
}

/** In: what a guest that gets at the asset may do next. */
const IN: ReadonlyArray<readonly [RegExp, Severity]> = [
  // Writing or commanding the host: there is no wall left.
  [/^(file|host files|engine|control plane|kernel controls|device|mounts)$/, 'critical'],
  // A step on the way out, or a secret of somebody else's.
  [/^(privilege|identity|kernel surface|memory|processes|kernel keys|IPC|env|egress|host services)$/, 'high'],
  // It learns what the host does; side channels and fingerprints begin here.
  [/^(host activity|kernel log|side channel|host disks|host paths|kernel layout|limits)$/, 'medium'],
]

const ACROSS: ReadonlyArray<readonly [RegExp, Severity]> = [
  [/^(page cache|traffic|processes|memory|file)$/, 'high'],
  [/^(resources|availability|covert channel|side channel)$/, 'medium'],
]

/** Out: the weaker the one who sees, the worse. Root may do as it pleases; a determined root needs other walls. */
const OUT: Readonly<Record<Observer, Severity>> = {
  neighbour: 'critical',
  guest: 'critical',
  'unprivileged-user': 'high',
  'api-user': 'medium',
  'disk-thief': 'medium',
  'host-root': 'medium',
  'determined-root': 'low',
}

export function severityOf(probe: ProbeDescription): Severity {
  if (probe.direction === 'out') return worst(probe.observers.map((observer) => OUT[observer]))
  const table = probe.direction === 'in' ? IN : ACROSS
  return table.find(([pattern]) => pattern.test(probe.asset))?.[1] ?? 'low'
}

function worst(severities: readonly Severity[]): Severity {
  return SEVERITIES.find((severity) => severities.includes(severity)) ?? 'low'
}
