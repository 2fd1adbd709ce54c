/**
 * Between Docker's JSON and the engine's types. One zod schema per object, written with the engine's names, drives
 * both directions, so a field is declared once.
 *
 * In: keys are matched without regard to case, as Go's encoding/json does, so no table of spellings is needed.
 * Null, and zero values of fields that are not pointers in Go, count as absent: dockerd cannot tell them apart
 * either. Unknown keys are dropped. Wrong types throw invalid-argument in dockerd's words.
 * Out: keys are spelled by `dockerName`, in the schema's order, which is the order of Go's struct.
 */
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import { dockerName } from './docker-name.ts'

/** Fields that are pointers in Go: 0, false and "" are values here, only null is absence. */
const POINTERS = new WeakSet<z.ZodType>()
/** Fields tagged `omitempty` in Go: empty values are left out of the answer. */
const OMIT_EMPTY = new WeakSet<z.ZodType>()

/** Marks an optional field whose zero value differs from absence. */
export function pointer<T extends z.ZodType>(schema: T): z.ZodExactOptional<T> {
  const marked = z.exactOptional(schema)
  POINTERS.add(marked)
  return marked
}

/** Marks an optional field that is not sent when empty. */
export function omitEmpty<T extends z.ZodType>(schema: T): z.ZodExactOptional<T> {
  const marked = z.exactOptional(schema)
  OMIT_EMPTY.add(marked)
  return marked
}

/** An optional field. */
export function field<T extends z.ZodType>(schema: T): z.ZodExactOptional<T> {
  return z.exactOptional(schema)
}

type Walk = (value: unknown) => unknown

export interface Codec<T> {
  /** Throws invalid-argument in the words of Go's decoder. */
  decode(json: unknown): T
  encode(value: unknown): unknown
}

/** Compiles a schema once; the codec is then cheap per request. `struct` is Go's type name for messages. */
export function codec<S extends z.ZodObject>(struct: string, schema: S): Codec<z.infer<S>> {
  const inward = compileDecode(schema)
  const outward = compileEncode(schema)
  return {
    decode(json) {
      if (!isRecord(json) && json !== null) {
        throw new DewarError(
          'invalid-argument',
          `invalid JSON: json: cannot unmarshal ${jsonType(json)} into Go value of type ${struct}`,
        )
      }
      const parsed = schema.safeParse(json === null ? {} : inward(json))
      if (parsed.success) return parsed.data
      throw typeMismatch(struct, parsed.error.issues[0], inward(json))
    },
    encode: outward,
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The schema below optional and nullable wrappers. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (isOptional(schema) || schema instanceof z.ZodNullable) return unwrap(schema.def.innerType)
  return schema
}

function compileDecode(schema: z.core.$ZodType): Walk {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodObject) return decodeObject(inner)
  if (inner instanceof z.ZodArray) {
    const element = compileDecode(inner.def.element)
    return (value) => (Array.isArray(value) ? value.map(element) : value)
  }
  if (inner instanceof z.ZodRecord) return decodeRecord(inner)
  return (value) => value
}

/** zod types the shape loosely; every value in it is a schema. */
function fieldsOf(schema: z.ZodObject): { name: string; type: z.ZodType }[] {
  return Object.entries(schema.shape).flatMap(([name, type]: [string, unknown]) =>
    type instanceof z.ZodType ? [{ name, type }] : [],
  )
}

function decodeObject(schema: z.ZodObject): Walk {
  const fields = new Map<string, { name: string; walk: Walk; keepZero: boolean }>()
  for (const { name, type } of fieldsOf(schema)) {
    fields.set(name.toLowerCase(), {
      name,
      walk: compileDecode(type),
      keepZero: POINTERS.has(type) || !isOptional(type),
    })
  }
  return (value) => {
    if (!isRecord(value)) return value
    const out: Record<string, unknown> = {}
    for (const key of Object.keys(value)) {
      const known = fields.get(key.toLowerCase())
      const raw = value[key]
      if (known === undefined || raw === null) continue
      if (!known.keepZero && (raw === '' || raw === 0 || raw === false)) continue
      out[known.name] = known.walk(raw)
    }
    return out
  }
}

function isOptional(schema: z.core.$ZodType): schema is z.ZodExactOptional | z.ZodDefault {
  return schema instanceof z.ZodExactOptional || schema instanceof z.ZodDefault
}

/** Map keys are the user's own words and stay as they are. A null value is Go's zero value of the element. */
function decodeRecord(schema: z.ZodRecord): Walk {
  const element = compileDecode(schema.def.valueType)
  const zero = zeroOf(schema.def.valueType)
  return (value) => {
    if (!isRecord(value)) return value
    // fromEntries defines properties, so a key named __proto__ is data and nothing else.
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, item === null ? zero : element(item)]),
    )
  }
}

function zeroOf(schema: z.core.$ZodType): unknown {
  if (schema instanceof z.ZodNullable) return null
  if (schema instanceof z.ZodString) return ''
  if (schema instanceof z.ZodObject) return {}
  return null
}

function compileEncode(schema: z.core.$ZodType): Walk {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodObject) return encodeObject(inner)
  if (inner instanceof z.ZodArray) {
    const element = compileEncode(inner.def.element)
    return (value) => (Array.isArray(value) ? value.map(element) : value)
  }
  if (inner instanceof z.ZodRecord) {
    const element = compileEncode(inner.def.valueType)
    return (value) => {
      if (!isRecord(value)) return value
      return Object.fromEntries(sortedEntries(value).map(([key, item]) => [key, element(item)]))
    }
  }
  return (value) => value
}

/** Go writes the keys of a map in order (keys that are whole numbers JavaScript puts first in any case). */
function sortedEntries<T>(map: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)))
}

/** A map as Go writes it. */
export function sortedMap<T>(map: Readonly<Record<string, T>>): Record<string, T>
export function sortedMap<T>(map: Readonly<Record<string, T>> | undefined): Record<string, T> | undefined
export function sortedMap<T>(map: Readonly<Record<string, T>> | undefined): Record<string, T> | undefined {
  return map === undefined ? undefined : Object.fromEntries(sortedEntries(map))
}

function encodeObject(schema: z.ZodObject): Walk {
  const fields = fieldsOf(schema).map(({ name, type }) => ({
    name,
    docker: dockerName(name),
    walk: compileEncode(type),
    omitEmpty: OMIT_EMPTY.has(type),
  }))
  return (value) => {
    if (!isRecord(value)) return value
    const out: Record<string, unknown> = {}
    for (const { name, docker, walk, omitEmpty: omit } of fields) {
      const item = value[name]
      if (item === undefined || (omit && isEmpty(item))) continue
      out[docker] = walk(item)
    }
    return out
  }
}

/** What Go's `omitempty` leaves out. */
export function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === 0 || value === false) return true
  if (Array.isArray(value)) return value.length === 0
  return isRecord(value) && Object.keys(value).length === 0
}

/** The word Go's decoder uses for a JSON value. */
function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'number' : `number ${value}`
  return typeof value
}

const GO_TYPES: Readonly<Record<string, string>> = {
  int: 'int64',
  number: 'int64',
  boolean: 'bool',
  array: '[]string',
  object: 'map',
  record: 'map',
}

function typeMismatch(struct: string, issue: z.core.$ZodIssue | undefined, input: unknown): DewarError {
  if (issue === undefined)
    return new DewarError('invalid-argument', `invalid JSON: ${struct} has the wrong shape`)
  if (issue.code === 'invalid_value') return new DewarError('invalid-argument', issue.message)
  const path = issue.path
    .filter((part) => typeof part === 'string')
    .map(dockerName)
    .join('.')
  const found = issue.path.reduce<unknown>(
    (at, part) => (isRecord(at) || Array.isArray(at) ? Reflect.get(at, part) : undefined),
    input,
  )
  const wanted = wantedType(issue)
  return new DewarError(
    'invalid-argument',
    `invalid JSON: json: cannot unmarshal ${jsonType(found)} into Go struct field ${struct}.${path} of type ${wanted}`,
  )
}

/** The only union is a list of words or one word, the only refinement a whole number. */
function wantedType(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') return GO_TYPES[issue.expected] ?? issue.expected
  return issue.code === 'custom' ? 'int64' : '[]string'
}
