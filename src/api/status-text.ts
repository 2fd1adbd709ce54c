/** The words of `docker ps`: "Up 3 minutes (healthy)", "Exited (0) 2 weeks ago". Same as Go's units.HumanDuration. */
import type { ContainerState } from '../engine/types.ts'

const MINUTE = 60
const DAY = 24

/** How long ago, for a person. */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < MINUTE) return `${seconds} seconds`
  const minutes = Math.trunc(seconds / MINUTE)
  if (minutes === 1) return 'About a minute'
  if (minutes < MINUTE) return `${minutes} minutes`
  return humanHours(ms)
}

function humanHours(ms: number): string {
  const hours = Math.trunc(ms / 3_600_000 + 0.5)
  if (hours === 1) return 'About an hour'
  if (hours < 2 * DAY) return `${hours} hours`
  if (hours < 2 * 7 * DAY) return `${Math.trunc(hours / DAY)} days`
  if (hours < 2 * 30 * DAY) return `${Math.trunc(hours / DAY / 7)} weeks`
  if (hours < 2 * 365 * DAY) return `${Math.trunc(hours / DAY / 30)} months`
  return `${Math.trunc(ms / 3_600_000 / DAY / 365)} years`
}

export function statusText(state: ContainerState, now: number): string {
  if (state.running || state.paused || state.restarting) return runningText(state, now)
  if (state.status === 'removing') return 'Removal In Progress'
  if (state.dead) return 'Dead'
  if (state.startedAt === 0 && state.status === 'created') return 'Created'
  if (state.finishedAt === 0) return state.startedAt === 0 ? 'Created' : ''
  return `Exited (${state.exitCode}) ${humanDuration(now - state.finishedAt)} ago`
}

function runningText(state: ContainerState, now: number): string {
  const up = `Up ${humanDuration(now - state.startedAt)}`
  if (state.paused) return `${up} (Paused)`
  if (state.restarting) return `Restarting (${state.exitCode}) ${humanDuration(now - state.finishedAt)} ago`
  const health = state.health?.status ?? 'none'
  if (health === 'none') return up
  return `${up} (${health === 'starting' ? 'health: starting' : health})`
}
