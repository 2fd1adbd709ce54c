/** Values of filters that mean the same for every kind of object: booleans and times. Pure but for the clock. */
import { DewarError } from '../base/errors.ts'
import type { Filters } from './types.ts'

const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True'])
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False'])

/** A true or false in one of Go's spellings; undefined when it is not given. */
export function booleanFilter(filters: Filters, key: string): boolean | undefined {
  const values = filters.get(key)
  const value = values?.[0]
  if (values === undefined || value === undefined) return undefined
  const same = values.every((other) => other === value)
  if (same && TRUE.has(value)) return true
  if (same && FALSE.has(value)) return false
  throw new DewarError('invalid-argument', `invalid filter '${key}=[${values.join(' ')}]'`)
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** A time, Unix seconds, or a Go duration back from now ("24h", "1h30m"), in milliseconds since the epoch. */
export function untilTime(text: string, now = Date.now()): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  if (/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) {
    const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
    return now - parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNITS[unit ?? ''] ?? 0), 0)
  }
  const time = Date.parse(text)
  if (Number.isNaN(time))
    throw new DewarError(
      'invalid-argument',
      `failed to parse value as time or duration: ${JSON.stringify(text)}`,
    )
  return time
}

export function without(filters: Filters, gone: string): Filters {
  return new Map([...filters].filter(([key]) => key !== gone))
}

/** What is left of a prune's filters, and whether something of that age is old enough for it. */
export function withoutUntil(filters: Filters): {
  readonly rest: Filters
  readonly oldEnough: (created: number) => boolean
} {
  const times = (filters.get('until') ?? []).map((value) => untilTime(value))
  return {
    rest: without(filters, 'until'),
    oldEnough: (created) => times.every((time) => created < time),
  }
}
