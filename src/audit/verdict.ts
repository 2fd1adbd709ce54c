import type { Control, Evidence, Verdict } from './types.ts'

/** What a probe found out; the runner adds who, what and how long. */
export interface Finding {
  readonly verdict: Verdict
  readonly reason: string
  readonly evidence: readonly Evidence[]
  readonly controls: readonly Control[]
}

export interface Observation {
  /** What was seen; anything in it is a LEAK. */
  readonly seen: readonly Evidence[]
  /** Without any there is no CONTAINED: subject alive, canary planted, observer able to see a control. */
  readonly controls: readonly Control[]
  /** One sentence for a LEAK: what is seen, by whom. */
  readonly leak: string
  /** One sentence for CONTAINED. */
  readonly contained: string
}

/**
 * The one place where CONTAINED is decided: nothing was seen, and each control held. A LEAK needs no control: what was
 * seen was seen.
 */
export function conclude({ seen, controls, leak, contained }: Observation): Finding {
  if (seen.length > 0) return { verdict: 'LEAK', reason: leak, evidence: seen, controls }
  return checked({ verdict: 'CONTAINED', reason: contained, evidence: [], controls })
}

/** A CONTAINED that its controls do not carry becomes INCONCLUSIVE; everything else stays. */
export function checked(finding: Finding): Finding {
  if (finding.verdict !== 'CONTAINED') return finding
  const failed = finding.controls.filter(({ held }) => !held).map(({ what }) => what)
  if (finding.controls.length > 0 && failed.length === 0) return finding
  const why =
    failed.length === 0 ? 'the probe had no control' : `a control did not hold: ${failed.join('; ')}`
  return { ...finding, verdict: 'INCONCLUSIVE', reason: why }
}

/** The thing does not exist here. */
export function absent(reason: string, controls: readonly Control[] = []): Finding {
  return { verdict: 'ABSENT', reason, evidence: [], controls }
}

/** It could not be found out; `reason` ends with what to do. */
export function inconclusive(reason: string, controls: readonly Control[] = []): Finding {
  return { verdict: 'INCONCLUSIVE', reason, evidence: [], controls }
}
