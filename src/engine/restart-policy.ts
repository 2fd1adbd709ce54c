/** Whether and when a container that ended is started again: Docker's rules as a pure function. */

export interface RestartPolicy {
  readonly name: string
  /** Only for `on-failure`; 0 is unlimited. */
  readonly maximumRetryCount: number
}

export interface Ended {
  readonly exitCode: number
  readonly manuallyStopped: boolean
  /** Restarts since the last manual start. */
  readonly restartCount: number
  /** Milliseconds between the start and the end. */
  readonly ranFor: number
  /** Milliseconds waited before the run that ended; 0 for the first. */
  readonly lastDelay: number
}

export type RestartDecision = { readonly restart: false } | { readonly restart: true; readonly delay: number }

const FIRST_DELAY = 100
const LONGEST_DELAY = 60_000
/** A run this long counts as healthy: the back-off begins anew. */
const HEALTHY_RUN = 10_000

export function decideRestart(policy: RestartPolicy, ended: Ended): RestartDecision {
  if (ended.manuallyStopped || !wantsRestart(policy, ended)) return { restart: false }
  return { restart: true, delay: nextDelay(ended) }
}

/** Whether an engine that opens starts a container that it finds ended. */
export function startsWithEngine(policy: RestartPolicy, ended: Ended): boolean {
  // "always" brings back even what was stopped by hand; that is the whole difference to "unless-stopped".
  if (policy.name === 'always') return true
  return decideRestart(policy, ended).restart
}

function wantsRestart(policy: RestartPolicy, ended: Ended): boolean {
  if (policy.name === 'always' || policy.name === 'unless-stopped') return true
  if (policy.name !== 'on-failure' || ended.exitCode === 0) return false
  return policy.maximumRetryCount === 0 || ended.restartCount < policy.maximumRetryCount
}

function nextDelay(ended: Ended): number {
  if (ended.ranFor >= HEALTHY_RUN || ended.lastDelay === 0) return FIRST_DELAY
  return Math.min(ended.lastDelay * 2, LONGEST_DELAY)
}
