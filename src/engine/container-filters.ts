/** `ps --filter`: which containers are listed. Docker's keys and rules. Pure. */
import { DewarError } from '../base/errors.ts'
import { linearPattern } from '../base/linear-pattern.ts'
import type { Container } from './container.ts'
import { matchesLabel } from './events.ts'
import { withoutUntil } from './filter-values.ts'
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
  // By the image that the name means now, as with dockerd: a container of the image before is none of its.
  ancestor: (container, value, { ancestors }) => ancestors(value).includes(container.record.imageId),
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
  publish: (container, value) => portMatches(portsOf(container, 'published'), value),
  expose: (container, value) => portMatches(portsOf(container, 'private'), value),
  health: (container, value) => (container.health?.health.status ?? 'none') === value,
  isolation: (container, value) => container.record.level === value || value === 'default',
  'is-task': (_, value) => value === 'false' || value === '0',
}

const STATUSES = new Set(['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'])
/** All values must hold, for the others one is enough. */
const ALL = new Set(['label', 'label!'])

/** Throws invalid-argument for an unknown key or value, also when there is nothing to filter; not-found for whom `find` does. */
export function checkFilters(filters: Filters, find?: FilterContext['find']): void {
  for (const [key, values] of filters) {
    if (TESTS[key] === undefined) throw new DewarError('invalid-argument', `invalid filter '${key}'`)
    for (const value of values) {
      checkValue(key, value)
      if (key === 'before' || key === 'since') find?.(value)
    }
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
  if (key === 'publish' || key === 'expose') portRange(value)
}

/** dockerd takes the value as a regular expression over `/name` and `name`. */
function nameMatches(name: string, value: string): boolean {
  const matches = linearPattern(value)
  return matches === undefined ? name.includes(value) : matches(name) || matches(`/${name}`)
}

/**
 * As in the column PORTS of `ps`: what a container has published, `8080/tcp`, or its own side of all that is
 * exposed or published, `80/tcp`.
 */
function portsOf({ record }: Container, side: 'published' | 'private'): string[] {
  if (side === 'private') return [...Object.keys(record.config.exposedPorts), ...Object.keys(record.ports)]
  return Object.entries(record.ports).flatMap(([port, bindings]) =>
    (bindings ?? []).map(({ hostPort }) => `${hostPort}/${port.split('/')[1] ?? 'tcp'}`),
  )
}

/** `80`, `80/tcp` or `80-90/tcp`. */
function portMatches(ports: readonly string[], value: string): boolean {
  const { first, last, protocol } = portRange(value)
  return ports.some((port) => {
    const [number, kind = 'tcp'] = port.split('/')
    return kind === protocol && Number(number) >= first && Number(number) <= last
  })
}

function portRange(value: string): { first: number; last: number; protocol: string } {
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?(?:\/(tcp|udp|sctp))?$/.exec(value)
  if (match === null) throw new DewarError('invalid-argument', `invalid port ${JSON.stringify(value)}`)
  return { first: Number(match[1]), last: Number(match[2] ?? match[1]), protocol: match[3] ?? 'tcp' }
}

/** Which containers a prune takes. Throws invalid-argument even where there are none. */
export function pruneFilter(filters: Filters): (container: Container) => boolean {
  const { rest, oldEnough } = withoutUntil(filters)
  checkFilters(rest)
  return (container) =>
    oldEnough(container.record.created) &&
    matchesFilters(container, rest, { ancestors: () => [], find: () => container })
}
