/** Query parameters, read the way dockerd reads them. */
import { DewarError } from '../base/errors.ts'
import type { Filters } from '../engine/types.ts'
import { parseTimestamp } from './go-time.ts'

const FALSE = new Set(['', '0', 'no', 'false', 'none'])

/** Everything but "", 0, no, false and none is true. */
export function flagOf(query: URLSearchParams, name: string, absent = false): boolean {
  const value = query.get(name)
  return value === null ? absent : !FALSE.has(value.trim().toLowerCase())
}

/** Throws invalid-argument in the words of Go's strconv. */
export function wholeOf(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name)
  if (value === null || value === '') return undefined
  if (!/^[+-]?\d{1,15}$/.test(value)) {
    throw new DewarError('invalid-argument', `strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`)
  }
  return Number(value)
}

/** Milliseconds since the epoch; undefined when absent or empty. */
export function timeOf(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name)
  return value === null || value === '' ? undefined : parseTimestamp(value, Date.now())
}

/** An absent parameter and an empty one are the same. */
export function textOf(query: URLSearchParams, name: string): string | undefined {
  const value = query.get(name)
  return value === null || value === '' ? undefined : value
}

/**
 * The `filters` parameter, in both shapes clients use: {"label":{"a=b":true}} and {"label":["a=b"]}.
 * Keys outside `accepted` throw invalid-argument.
 */
export function filtersOf(query: URLSearchParams, accepted: readonly string[]): Filters {
  const text = query.get('filters')
  const filters = new Map<string, readonly string[]>()
  if (text === null || text === '') return filters
  for (const [key, values] of Object.entries(parseFilters(text))) {
    if (!accepted.includes(key)) throw new DewarError('invalid-argument', `invalid filter '${key}'`)
    filters.set(key, filterValues(values))
  }
  return filters
}

function parseFilters(text: string): object {
  try {
    const parsed: unknown = JSON.parse(text)
    if (parsed === null) return {}
    if (typeof parsed === 'object' && !Array.isArray(parsed)) return parsed
  } catch {
    // The one message below says it.
  }
  throw new DewarError('invalid-argument', 'invalid filter: expected JSON like {"label":["key=value"]}')
}

function filterValues(values: unknown): string[] {
  if (Array.isArray(values) && values.every((value) => typeof value === 'string')) return values
  if (typeof values === 'object' && values !== null && !Array.isArray(values)) {
    const entries = Object.entries(values)
    if (entries.every(([, on]) => typeof on === 'boolean'))
      return entries.filter(([, on]) => on === true).map(([value]) => value)
  }
  throw new DewarError('invalid-argument', 'invalid filter: expected JSON like {"label":["key=value"]}')
}
