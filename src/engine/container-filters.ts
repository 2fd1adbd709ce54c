/** `ps --filter`: which containers are listed. Docker's keys and rules. Pure. */
import { DewarError } from '../base/errors.ts'
import { linearPattern } from '../base/linear-pattern.ts'
import type { Container } from './container.ts'
import { matchesLabel } from './events.ts'
import type { Filters } from './types.ts'
import { statusOf } from './view.ts'

export interface FilterContext {
  /** Image ids an `ancestor` value stands for, descendants included. */
  readonly ancestors: (ref: string) => readonly string[]
  readonly find: (ref: string) => Container
}

type Test = (container: Container, value: string, context: FilterContext) => boolean

const TESTS: Readonly<Record<string, Test>> = {
  id: (container, value) => container.id.startsWith(value),
  name: (container, value) => nameMatches(container.name, value),
  label: (container, value) => matchesLabel(container.record.config.labels, value),
  'label!': (container, value) => !matchesLabel(container.record.config.labels, value),
  status: (container, value) => statusOf(container) === value,
  exited: (container, value) => {
    const { state } = container.record
    return container.live.kind === 'idle' && state.status === 'exited' && state.exitCode === Number(value)
  },
  ancestor: (container, value, { ancestors }) =>
    ancestors(value).includes(container.record.imageId) || container.record.config.image === value,
  before: (container, value, { find }) => container.record.created < find(value).record.created,
  since: (container, value, { find }) => container.record.created > find(value).record.created,
  volume: (container, value) =>
    container.record.mounts.some(
      ({ point }) => point.name === value || point.source === value || point.destination === value,
    ),
  network: (container, value) =>
    Object.entries(container.record.networks).some(
      ([name, state]) => name === value || state.networkID.startsWith(value),
    ),
  publish: (container, value) =>
    portMatches(
      Object.entries(container.record.ports)
        .filter(([, b]) => b !== null)
        .map(([port]) => port),
      value,
    ),
  expose: (container, value) => portMatches(Object.keys(container.record.config.exposedPorts), value),
  health: (container, value) => (container.health?.health.status ?? 'none') === value,
  isolation: (container, value) => container.record.level === value || value === 'default',
  'is-task': (_, value) => value === 'false' || value === '0',
}

const STATUSES = new Set(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'])
/** All values must hold, for the others one is enough. */
const ALL = new Set(['label', 'label!'])

/** Throws invalid-argument for an unknown key or value, also when there is nothing to filter. */
export function checkFilters(filters: Filters): void {
  for (const [key, values] of filters) {
    if (TESTS[key] === undefined) throw new DewarError('invalid-argument', `invalid filter '${key}'`)
    for (const value of values) checkValue(key, value)
  }
}

export function matchesFilters(container: Container, filters: Filters, context: FilterContext): boolean {
  checkFilters(filters)
  for (const [key, values] of filters) {
    const test = TESTS[key]
    if (test === undefined || values.length === 0) continue
    const one = (value: string): boolean => test(container, value, context)
    if (ALL.has(key) ? !values.every(one) : !values.some(one)) return false
  }
  return true
}

function checkValue(key: string, value: string): void {
  const bad =
    (key === 'status' && !STATUSES.has(value)) ||
    (key === 'exited' && !/^-?[0-9]+$/.test(value)) ||
    (key === 'is-task' && !['true', 'false', '1', '0'].includes(value)) ||
    (key === 'health' && !['none', 'starting', 'healthy', 'unhealthy'].includes(value))
  if (bad) throw new DewarError('invalid-argument', `invalid filter '${key}=${value}'`)
}

/** dockerd takes the value as a regular expression over `/name` and `name`. */
function nameMatches(name: string, value: string): boolean {
  const matches = linearPattern(value)
  return matches === undefined ? name.includes(value) : matches(name) || matches(`/${name}`)
}

/** `80`, `80/tcp` or `80-90/tcp`. */
function portMatches(ports: readonly string[], value: string): boolean {
  const match = /^([0-9]+)(?:-([0-9]+))?(?:\/(tcp|udp|sctp))?$/.exec(value)
  if (match === null) throw new DewarError('invalid-argument', `invalid port ${JSON.stringify(value)}`)
  const [first, last, protocol] = [Number(match[1]), Number(match[2] ?? match[1]), match[3] ?? 'tcp']
  return ports.some((port) => {
    const [number, kind] = port.split('/')
    return kind === protocol && Number(number) >= first && Number(number) <= last
  })
}

/** `until` is a time in seconds since the epoch, or RFC 3339; the API room hands durations over as the former. */
export function prunable(container: Container, filters: Filters): boolean {
  const { record } = container
  const until = filters.get('until')?.[0]
  if (until !== undefined) {
    const time = /^[0-9.]+$/.test(until) ? Number(until) * 1000 : Date.parse(until)
    if (Number.isNaN(time)) throw new DewarError('invalid-argument', `invalid filter 'until=${until}'`)
    if (record.created >= time) return false
  }
  const rest = new Map([...filters].filter(([key]) => key !== 'until'))
  return matchesFilters(container, rest, { ancestors: () => [], find: () => container })
}
