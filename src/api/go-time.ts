/** Times and durations in Go's notation. */
import { DewarError } from '../base/errors.ts'

const ZERO = '0001-01-01T00:00:00Z'

/** RFC 3339 with as many digits as needed; 0 is Go's zero time, "never". Milliseconds since the epoch. */
export function rfc3339Nano(ms: number): string {
  if (ms === 0) return ZERO
  const whole = Math.floor(ms)
  const nanos = Math.round((ms - whole) * 1e6)
  const text = new Date(whole).toISOString()
  const fraction = (text.slice(20, 23) + String(nanos).padStart(6, '0')).replace(/0+$/, '')
  return fraction === '' ? `${text.slice(0, 19)}Z` : `${text.slice(0, 19)}.${fraction}Z`
}

/** RFC 3339 in whole seconds, as volumes have it. */
export function rfc3339(ms: number): string {
  return `${new Date(Math.floor(ms)).toISOString().slice(0, 19)}Z`
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1e3,
  m: 6e4,
  h: 3.6e6,
}
const DURATION = /^[+-]?(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+$/
const PART = /(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g

/** "1h30m", "1.5s" in milliseconds; undefined when it is no Go duration. */
export function parseGoDuration(value: string): number | undefined {
  if (!DURATION.test(value)) return undefined
  let ms = 0
  for (const [, amount = '0', unit = 's'] of value.matchAll(PART)) ms += Number(amount) * (UNIT_MS[unit] ?? 0)
  return value.startsWith('-') ? -ms : ms
}

/**
 * A `since` or `until` parameter in milliseconds since the epoch: "unix", "unix.nano", RFC 3339 in its shorter
 * forms too, or a duration before now. Throws invalid-argument.
 */
export function parseTimestamp(value: string, now: number): number {
  const unix = /^(-?\d+)(?:\.(\d{1,9}))?$/.exec(value)
  if (unix !== null) return Number(unix[1]) * 1000 + Number((unix[2] ?? '0').padEnd(9, '0')) / 1e6
  const duration = parseGoDuration(value)
  if (duration !== undefined) return now - duration
  if (/^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2})?)?$/.test(value)) {
    const parsed = Date.parse(value)
    if (!Number.isNaN(parsed)) return parsed
  }
  throw new DewarError(
    'invalid-argument',
    `strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`,
  )
}
