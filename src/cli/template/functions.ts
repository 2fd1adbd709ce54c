import { isRecord } from '../../client/connect.ts'
import { TemplateError } from './lex.ts'
import { goJson, goType, printValue, sprintf, TYPED_NIL } from './print.ts'

export type TemplateFunction = (...args: readonly unknown[]) => unknown

/** Go's idea of empty: false, 0, nothing, and empty text, lists and maps. */
export function isTrue(value: unknown): boolean {
  if (
    value === null ||
    value === undefined ||
    value === TYPED_NIL ||
    value === false ||
    value === 0 ||
    value === ''
  )
    return false
  if (Array.isArray(value)) return value.length > 0
  if (isRecord(value)) return Object.keys(value).length > 0
  return true
}

function textOf(value: unknown, name: string): string {
  if (typeof value === 'string') return value
  throw new TemplateError(
    `error calling ${name}: wrong type for value; expected string; got ${goType(value)}`,
  )
}

function numberOf(value: unknown, name: string): number {
  if (typeof value === 'number') return value
  throw new TemplateError(`error calling ${name}: wrong type for value; expected int; got ${goType(value)}`)
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.length
  if (isRecord(value)) return Object.keys(value).length
  if (value === null || value === undefined) return 0
  throw new TemplateError(`error calling len: len of type ${goType(value)}`)
}

function indexInto(value: unknown, ...keys: readonly unknown[]): unknown {
  return keys.reduce<unknown>((current, key) => {
    if (Array.isArray(current)) {
      const index = numberOf(key, 'index')
      if (index < 0 || index >= current.length)
        throw new TemplateError(`error calling index: index out of range: ${index}`)
      return current[index]
    }
    if (isRecord(current)) return current[textOf(key, 'index')] ?? emptyMember(current)
    if (current === null || current === undefined)
      throw new TemplateError('error calling index: index of untyped nil')
    throw new TemplateError(`error calling index: can't index item of type ${goType(current)}`)
  }, value)
}

/** A map of texts answers with the empty text for what it does not hold. */
function emptyMember(map: Record<string, unknown>): string | undefined {
  return Object.values(map).every((value) => typeof value === 'string') ? '' : undefined
}

function sliceOf(value: unknown, from: unknown = 0, to?: unknown): unknown {
  const start = numberOf(from, 'slice')
  const end = to === undefined ? undefined : numberOf(to, 'slice')
  if (typeof value === 'string' || Array.isArray(value)) {
    const limit = value.length
    if (start > limit || (end ?? limit) > limit)
      throw new TemplateError(`error calling slice: index out of range: ${end ?? start}`)
    return value.slice(start, end)
  }
  throw new TemplateError(`error calling slice: can't slice item of type ${goType(value)}`)
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
  throw new TemplateError('error calling lt: incompatible types for comparison')
}

function equal(a: unknown, ...others: readonly unknown[]): boolean {
  for (const b of others) {
    if ((a ?? null) === (b ?? null)) return true
    const comparable = a === null || a === undefined || b === null || b === undefined || typeof a === typeof b
    if (!comparable) throw new TemplateError('error calling eq: incompatible types for comparison')
  }
  return false
}

/** Separated as Go's Sprint does: a space between two operands when neither is text. */
function sprint(...args: readonly unknown[]): string {
  return args.reduce<string>((text, value, index) => {
    const gap = index > 0 && typeof value !== 'string' && typeof args[index - 1] !== 'string' ? ' ' : ''
    return text + gap + printValue(value)
  }, '')
}

function truncate(text: unknown, length: unknown): string {
  const value = textOf(text, 'truncate')
  return value.slice(0, Math.max(0, numberOf(length, 'truncate')))
}

const HTML: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
}

/** The functions docker gives its templates, and Go's own. */
export const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  json: (value) => goJson(value, false),
  split: (text, separator) => textOf(text, 'split').split(textOf(separator, 'split')),
  join: (list, separator) =>
    Array.isArray(list) ? list.map(printValue).join(textOf(separator, 'join')) : '',
  title: (text) =>
    textOf(text, 'title').replace(
      /(^|[^\p{L}\p{N}_'])(\p{L})/gu,
      (_, before: string, letter: string) => before + letter.toUpperCase(),
    ),
  lower: (text) => textOf(text, 'lower').toLowerCase(),
  upper: (text) => textOf(text, 'upper').toUpperCase(),
  pad: (text, before, after) =>
    `${' '.repeat(numberOf(before, 'pad'))}${textOf(text, 'pad')}${' '.repeat(numberOf(after, 'pad'))}`,
  truncate,
  len: lengthOf,
  index: indexInto,
  slice: sliceOf,
  eq: equal,
  ne: (a, b) => !equal(a, b),
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
  not: (value) => !isTrue(value),
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  print: sprint,
  println: (...values) => `${values.map(printValue).join(' ')}\n`,
  printf: (format, ...values) => sprintf(textOf(format, 'printf'), values),
  html: (...values) => sprint(...values).replace(/[&<>"']/g, (char) => HTML[char] ?? char),
  urlquery: (...values) => encodeURIComponent(sprint(...values)).replaceAll('%20', '+'),
}
