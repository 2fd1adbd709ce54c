/** A container's health as a pure state machine: probes in, status out. */
import { LONGEST_TIMER } from '../base/longest-timer.ts'
import type { Health, Healthcheck } from './types.ts'

export interface ProbeResult {
  readonly start: number
  readonly end: number
  /** 0 healthy, 1 unhealthy, 2 reserved; -1: it timed out or could not be started. */
  readonly exitCode: number
  readonly output: string
}

/** As many results as dockerd keeps, and as much output of each. */
const KEPT = 5
export const MAX_OUTPUT = 4096

export const HEALTH_STARTING: Health = { status: 'starting', failingStreak: 0, log: [] }

export interface ProbePlan {
  readonly argv: readonly string[]
  /** Milliseconds. */
  readonly interval: number
  readonly timeout: number
  readonly startPeriod: number
  readonly startInterval: number
  readonly retries: number
}

/** Below a millisecond, which `create` refuses, an image may still say, and would be probed without end: not taken. */
const ms = (nanoseconds: number | undefined, otherwise: number): number =>
  nanoseconds === undefined || nanoseconds < 1e6 ? otherwise : Math.min(nanoseconds / 1e6, LONGEST_TIMER)

/** undefined when the container has no health check (`NONE` or none at all). */
export function probePlan(check: Healthcheck | undefined, shell: readonly string[]): ProbePlan | undefined {
  const [kind, ...rest] = check?.test ?? []
  if (check === undefined || kind === undefined || kind === 'NONE') return undefined
  const argv = kind === 'CMD' ? rest : kind === 'CMD-SHELL' ? [...shell, rest.join(' ')] : undefined
  if (argv === undefined || argv.length === 0) return undefined
  return {
    argv,
    interval: ms(check.interval, 30_000),
    timeout: ms(check.timeout, 30_000),
    startPeriod: ms(check.startPeriod, 0),
    startInterval: ms(check.startInterval, 5_000),
    retries: check.retries === undefined || check.retries === 0 ? 3 : check.retries,
  }
}

/** `age`: milliseconds since the container started, at the end of the probe. */
export function nextHealth(before: Health, probe: ProbeResult, plan: ProbePlan, age: number): Health {
  const log = [...before.log, probe].slice(-KEPT)
  if (probe.exitCode === 0) return { status: 'healthy', failingStreak: 0, log }
  // Failures while it starts up are expected and do not count.
  if (before.status === 'starting' && age < plan.startPeriod) return { ...before, log }
  const failingStreak = before.failingStreak + 1
  return { status: failingStreak >= plan.retries ? 'unhealthy' : before.status, failingStreak, log }
}

/** Milliseconds until the next probe. */
export function nextProbeIn(health: Health, plan: ProbePlan, age: number): number {
  const startingUp = health.status === 'starting' && age < plan.startPeriod
  return startingUp ? Math.min(plan.startInterval, plan.interval) : plan.interval
}
