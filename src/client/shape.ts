/**
 * Checks and types an engine's JSON in one step. As in Docker's own Go clients a missing or null field reads as the
 * empty value of its kind and an unknown field is ignored, so one client reads engines of many versions; a field of the
 * wrong kind is an error that names it. (zod does more, and costs 20 ms of every command's start.)
 */
import { ClientError } from './error.ts'

export type Shape<T> = (value: unknown, where: string) => T
export type Shaped<S> = S extends Shape<infer T> ? T : never

function wrong(where: string, expected: string): never {
  throw new ClientError(0, `reading the engine's answer failed: ${where} is not ${expected}`)
}

export const text: Shape<string> = (value, where) => {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : wrong(where, 'a string')
}

export const integer: Shape<number> = (value, where) => {
  if (value === undefined || value === null) return 0
  return typeof value === 'number' ? value : wrong(where, 'a number')
}

export const flag: Shape<boolean> = (value, where) => {
  if (value === undefined || value === null) return false
  return typeof value === 'boolean' ? value : wrong(where, 'true or false')
}

/** Anything, unchecked. */
export const anything: Shape<unknown> = (value) => value

export function maybe<T>(of: Shape<T>): Shape<T | undefined> {
  return (value, where) => (value === undefined || value === null ? undefined : of(value, where))
}

export function list<T>(of: Shape<T>): Shape<readonly T[]> {
  return (value, where) => {
    if (value === undefined || value === null) return []
    if (!Array.isArray(value)) return wrong(where, 'a list')
    return value.map((item, index) => of(item, `${where}[${index}]`))
  }
}

export function map<T>(of: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return (value, where) => {
    if (value === undefined || value === null) return {}
    if (!isRecord(value)) return wrong(where, 'an object')
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, of(item, `${where}.${key}`)]))
  }
}

export type Fields<S extends Record<string, Shape<unknown>>> = { readonly [K in keyof S]: Shaped<S[K]> }

export function object<S extends Record<string, Shape<unknown>>>(shapes: S): Shape<Fields<S>> {
  return (value, where) => {
    const source = value === undefined || value === null ? {} : value
    if (!isRecord(source)) return wrong(where, 'an object')
    const result: Record<string, unknown> = {}
    for (const [key, shape] of Object.entries(shapes)) result[key] = shape(source[key], `${where}.${key}`)
    return isShaped<Fields<S>>(result) ? result : wrong(where, 'an object')
  }
}

/** The compiler cannot follow the loop above; every field was made by its own shape. */
function isShaped<T>(_value: unknown): _value is T {
  return true
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
