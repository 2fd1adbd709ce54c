import { isRecord } from '../../client/connect.ts'

/** A nil pointer of a known type: empty to `if`, <nil> when printed, null in JSON. */
export const TYPED_NIL = Object.freeze({ toJSON: () => null })

/** How Go's templates print a value (fmt's %v): [a b], map[k:v] in the order of keys, <no value> for nothing. */
export function printValue(value: unknown): string {
  if (value === null || value === undefined) return '<no value>'
  return inner(value)
}

function inner(value: unknown): string {
  if (value === null || value === undefined || value === TYPED_NIL) return '<nil>'
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return `[${value.map(structure).join(' ')}]`
  if (isRecord(value))
    return `map[${Object.keys(value)
      .sort()
      .map((key) => `${key}:${member(value[key])}`)
      .join(' ')}]`
  if (typeof value === 'number') return goNumber(value)
  return typeof value === 'boolean' ? String(value) : goType(value)
}

/** In docker's answers what is in a list is a struct, which Go prints without names. */
function structure(value: unknown): string {
  return isRecord(value) && value !== TYPED_NIL
    ? `{${Object.values(value).map(inner).join(' ')}}`
    : inner(value)
}

/** And an empty object in a map is an empty struct. */
function member(value: unknown): string {
  return isRecord(value) && Object.keys(value).length === 0 ? '{}' : inner(value)
}

function goNumber(value: number): string {
  if (Number.isInteger(value)) return BigInt(value).toString()
  return String(value)
}

/** Go's encoding/json of a value without HTML escapes: maps in the order of their keys only where `sortKeys`. */
export function goJson(value: unknown, sortKeys: boolean): string {
  if (value === undefined) return 'null'
  return JSON.stringify(sortKeys ? sorted(value) : value)
    .replace(/\u2028/g, '\\u2028')
    .replace(/\u2029/g, '\\u2029')
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  )
}

const VERB = /%([-+# 0]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g

/** Go's Sprintf as far as templates use it: %s %v %d %q %t %x %X %f %g %c %%, with width, precision and flags. */
export function sprintf(format: string, values: readonly unknown[]): string {
  let next = 0
  const text = format.replace(
    VERB,
    (_, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%'
      if (next >= values.length) return `%!${verb}(MISSING)`
      const shown = formatVerb(
        verb,
        values[next],
        precision === undefined ? undefined : Number(precision),
        flags,
      )
      next += 1
      return pad(shown, Number(width ?? 0), flags)
    },
  )
  if (next >= values.length) return text
  return `${text}%!(EXTRA ${values
    .slice(next)
    .map((value) => `${goType(value)}=${inner(value)}`)
    .join(', ')})`
}

function pad(text: string, width: number, flags: string): string {
  if (flags.includes('-')) return text.padEnd(width)
  if (flags.includes('0') && /^[+-]?[\d.]+$/.test(text)) return text.padStart(width, '0')
  return text.padStart(width)
}

function formatVerb(verb: string, value: unknown, precision: number | undefined, flags: string): string {
  const numeric = typeof value === 'number'
  const plus = flags.includes('+') && numeric && value >= 0 ? '+' : ''
  if (verb === 'v') return plus + inner(value)
  if (verb === 's' && !numeric && typeof value !== 'boolean')
    return precision === undefined ? inner(value) : inner(value).slice(0, precision)
  if (verb === 'q' && typeof value === 'string') return JSON.stringify(value)
  if (verb === 'd' && numeric && Number.isInteger(value)) return plus + goNumber(value)
  if (verb === 't' && typeof value === 'boolean') return String(value)
  if (verb === 'f' && numeric) return plus + value.toFixed(precision ?? 6)
  if (verb === 'g' && numeric)
    return plus + String(precision === undefined ? value : Number(value.toPrecision(precision)))
  if ((verb === 'x' || verb === 'X') && (numeric || typeof value === 'string')) {
    const hex = numeric ? value.toString(16) : Buffer.from(String(value)).toString('hex')
    return verb === 'X' ? hex.toUpperCase() : hex
  }
  if (verb === 'c' && numeric) return String.fromCodePoint(value)
  return `%!${verb}(${goType(value)}=${inner(value)})`
}

export function goType(value: unknown): string {
  if (value === null || value === undefined) return '<nil>'
  if (typeof value === 'string') return 'string'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64'
  return Array.isArray(value) ? '[]interface {}' : 'map[string]interface {}'
}
