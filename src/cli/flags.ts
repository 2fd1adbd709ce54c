/**
 * A command's flags as data: name, kind, default, help. The kind turns one given word into a value; the types of the
 * values follow from the table, so a command reads `flags.all` as a boolean and `flags.filter` as strings.
 */
import { isIP } from 'node:net'
import { parseDuration } from './text/duration.ts'
import { parseBytes } from './text/size.ts'

export interface Flag<T> {
  readonly short?: string
  /** The word for the value in the help; undefined for a switch, which takes a value only as --flag=false. */
  readonly value: string | undefined
  readonly summary: string
  readonly initial: T
  readonly hidden?: boolean
  /** Given words go to this flag instead (--net → --network). */
  readonly aliasOf?: string
  /** Adds one given word. Throws Error with docker's words for a bad one. */
  readonly add: (word: string, previous: T) => T
}

export type FlagTable = Readonly<Record<string, Flag<never>>>
type ValueOf<F> = F extends { readonly initial: infer T } ? T : never
export type FlagValues<F> = { readonly [K in keyof F]: ValueOf<F[K]> } & {
  /** The names that were given on the command line. */
  readonly given: ReadonlySet<string>
}

interface Extra {
  readonly short?: string
  readonly hidden?: boolean
  readonly aliasOf?: string
  readonly value?: string
}

export function bool(summary: string, extra: Extra & { readonly initial?: boolean } = {}): Flag<boolean> {
  return { initial: false, ...extra, summary, value: undefined, add: parseBool }
}

export function string(summary: string, extra: Extra & { readonly initial?: string } = {}): Flag<string> {
  return { initial: '', value: 'string', ...extra, summary, add: (word) => word }
}

/** May be given many times; `check` refuses or rewrites one value. */
export function strings(
  summary: string,
  extra: Extra & { readonly check?: (word: string) => string } = {},
): Flag<readonly string[]> {
  const { check, ...rest } = extra
  return {
    value: 'list',
    ...rest,
    summary,
    initial: [],
    add: (word, previous) => [...previous, check?.(word) ?? word],
  }
}

export function integer(summary: string, extra: Extra & { readonly initial?: number } = {}): Flag<number> {
  return { initial: 0, value: 'int', ...extra, summary, add: parseInteger }
}

/** Bytes: 512m, 1g, 1.5GiB. */
export function bytes(summary: string, extra: Extra = {}): Flag<number> {
  return { value: 'bytes', ...extra, summary, initial: 0, add: (word) => parseBytes(word) }
}

/** Nanoseconds: 1h30m, 500ms. */
export function duration(summary: string, extra: Extra = {}): Flag<number> {
  return { value: 'duration', ...extra, summary, initial: 0, add: (word) => parseDuration(word) }
}

export function custom<T>(
  summary: string,
  initial: T,
  add: (word: string, previous: T) => T,
  extra: Extra = {},
): Flag<T> {
  return { value: 'string', ...extra, summary, initial, add }
}

export function ipAddress(word: string): string {
  if (isIP(word.trim()) !== 0) return word.trim()
  throw new Error(`${word} is not an ip address`)
}

function parseBool(word: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(word)) return true
  if (/^(0|f|F|false|FALSE|False)$/.test(word)) return false
  throw new Error(`strconv.ParseBool: parsing "${word}": invalid syntax`)
}

function parseInteger(word: string): number {
  if (/^[+-]?\d+$/.test(word)) return Number(word)
  throw new Error(`strconv.ParseInt: parsing "${word}": invalid syntax`)
}
