/** The instructions of a Dockerfile, and one line read as one of them. Pure; dockerd's rules and words. */
import { DewarError } from '../../base/errors.ts'
import type { Healthcheck } from '../types.ts'
import type { Heredoc, Line } from './dockerfile-lines.ts'
import {
  cutFlags,
  jsonList,
  listOrWords,
  namesWithValues,
  quotedWords,
  type Pair,
} from './dockerfile-words.ts'
import { flagsOf, type FlagNames } from './instruction-flags.ts'
import { parseHealthcheck } from './instruction-health.ts'

export type { Pair }

/** A command line: a JSON list as it is, or text for the shell. */
export interface CommandLine {
  readonly words: readonly string[]
  readonly shell: boolean
}

/** `value` undefined: the name alone. */
export interface ArgPair {
  readonly key: string
  readonly value?: string
}

export type Instruction =
  | { readonly kind: 'env' | 'label'; readonly pairs: readonly Pair[]; readonly literal?: boolean }
  | { readonly kind: 'arg'; readonly args: readonly ArgPair[] }
  | { readonly kind: 'run'; readonly command: CommandLine; readonly flags: ReadonlyMap<string, string> }
  | { readonly kind: 'cmd' | 'entrypoint'; readonly command: CommandLine }
  | Copy
  | { readonly kind: 'workdir'; readonly value: string }
  | { readonly kind: 'user' | 'stopsignal' | 'maintainer' | 'onbuild'; readonly value: string }
  | { readonly kind: 'expose' | 'volume' | 'shell'; readonly values: readonly string[] }
  | { readonly kind: 'healthcheck'; readonly check: Healthcheck }

export interface Copy {
  readonly kind: 'copy' | 'add'
  readonly sources: readonly string[]
  readonly heredocs: readonly Heredoc[]
  readonly target: string
  readonly flags: ReadonlyMap<string, string>
}

export interface Step {
  readonly instruction: Instruction
  /** As `Step 1/3 : …` shows it. */
  readonly code: string
}

export interface From {
  readonly image: string
  readonly name: string
  readonly platform: string
  readonly code: string
}

type Parse = (rest: Rest) => Instruction

interface Rest {
  readonly name: string
  readonly line: Line
  /** Without flags. */
  readonly text: string
  readonly flags: readonly string[]
  readonly escape: string
}

const INSTRUCTIONS: ReadonlyMap<string, Parse> = new Map<string, Parse>([
  ['ENV', (rest) => ({ kind: 'env', pairs: pairsOf(rest) })],
  ['LABEL', (rest) => ({ kind: 'label', pairs: pairsOf(rest) })],
  ['ARG', (rest) => ({ kind: 'arg', args: argsOf(rest) })],
  ['RUN', parseRun],
  ['CMD', (rest) => ({ kind: 'cmd', command: commandOf(noFlags(rest).text) })],
  ['ENTRYPOINT', (rest) => ({ kind: 'entrypoint', command: commandOf(noFlags(rest).text) })],
  ['COPY', (rest) => parseCopy('copy', rest, { value: ['from', 'chown', 'chmod'], flag: ['link'] })],
  ['ADD', (rest) => parseCopy('add', rest, { value: ['chown', 'chmod', 'checksum'], flag: ['link'] })],
  ['WORKDIR', (rest) => ({ kind: 'workdir', value: exactlyOne(rest) })],
  ['USER', (rest) => ({ kind: 'user', value: exactlyOne(rest) })],
  ['STOPSIGNAL', (rest) => ({ kind: 'stopsignal', value: exactlyOne(rest) })],
  ['MAINTAINER', (rest) => ({ kind: 'maintainer', value: exactlyOne(rest) })],
  [
    'EXPOSE',
    (rest) => ({ kind: 'expose', values: atLeastOne(rest, wordsOf(noFlags(rest).text)).toSorted() }),
  ],
  ['VOLUME', parseVolume],
  ['SHELL', parseShell],
  ['ONBUILD', parseOnbuild],
  ['HEALTHCHECK', ({ text, flags }) => ({ kind: 'healthcheck', check: parseHealthcheck(text, flags) })],
])

/** The name in capitals and what stands after it. */
export function nameOf(text: string): { readonly name: string; readonly rest: string } {
  const [, name = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(text.trim()) ?? []
  return { name: name.toUpperCase(), rest }
}

/** Throws invalid-argument in dockerd's words, without the line's number. */
export function parseInstruction(line: Line, escape: string): Step {
  const { name, rest } = nameOf(line.text)
  const parse = INSTRUCTIONS.get(name)
  if (parse === undefined) throw bad(`unknown instruction: ${name}`)
  const flagged = cutFlags(rest, escape)
  const instruction = parse({ name, line, text: flagged.rest, flags: flagged.flags, escape })
  return { instruction, code: line.text.trim() }
}

const PLATFORM: FlagNames = { value: ['platform'], flag: [] }
const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/

export function parseFrom(line: Line, escape: string): From {
  const { flags, rest } = cutFlags(nameOf(line.text).rest, escape)
  const words = wordsOf(rest)
  const [image = '', as = '', name = ''] = words
  const named = words.length === 3 && as.toLowerCase() === 'as'
  if (named && !STAGE_NAME.test(name.toLowerCase()))
    throw bad(
      `invalid name for build stage: ${JSON.stringify(name)}, name can't start with a number or contain symbols`,
    )
  if (!named && words.length !== 1) throw bad('FROM requires either one or three arguments')
  const platform = flagsOf(flags, PLATFORM).get('platform') ?? ''
  return { image, name: named ? name.toLowerCase() : '', platform, code: line.text.trim() }
}

function bad(message: string): DewarError {
  return new DewarError('invalid-argument', message)
}

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '')

function noFlags(rest: Rest): Rest {
  flagsOf(rest.flags, { value: [], flag: [] })
  return rest
}

function exactlyOne(rest: Rest): string {
  if (noFlags(rest).text === '') throw bad(`${rest.name} requires exactly one argument`)
  return rest.text
}

function atLeastOne<T>({ name }: Rest, list: readonly T[]): readonly T[] {
  if (list.length === 0) throw bad(`${name} requires at least one argument`)
  return list
}

function pairsOf(rest: Rest): readonly Pair[] {
  const pairs = atLeastOne(rest, namesWithValues(rest.name, noFlags(rest).text, rest.escape))
  if (pairs.some(({ key }) => key === '')) throw bad(`${rest.name} names can not be blank`)
  return pairs
}

function argsOf(rest: Rest): ArgPair[] {
  const words = atLeastOne(rest, quotedWords(noFlags(rest).text, rest.escape))
  return words.map((word) => {
    const equals = word.indexOf('=')
    if (equals === 0) throw bad('ARG names can not be blank')
    return equals < 0 ? { key: word } : { key: word.slice(0, equals), value: word.slice(equals + 1) }
  })
}

function commandOf(text: string): CommandLine {
  const list = jsonList(text)
  if (list !== undefined) return { words: list, shell: false }
  return { words: text === '' ? [] : [text], shell: true }
}

function parseRun(rest: Rest): Instruction {
  const flags = flagsOf(rest.flags, {
    value: ['mount', 'network', 'security'],
    flag: [],
    repeated: ['mount'],
  })
  const { heredocs } = rest.line
  if (heredocs.length === 0) return { kind: 'run', command: commandOf(rest.text), flags }
  return { kind: 'run', command: { words: [scriptOf(rest.text, heredocs)], shell: true }, flags }
}

/** A here-document alone is the script; after a command it stays the shell's own. */
function scriptOf(text: string, heredocs: readonly Heredoc[]): string {
  const [first] = heredocs
  if (first === undefined || !/^<<\S+$/.test(text))
    return `${text}\n${heredocs.map(({ content, name }) => `${content}${name}`).join('\n')}`
  if (first.content.startsWith('#!'))
    throw bad('a here-document of RUN that begins with #! requires BuildKit; COPY it and RUN it')
  return first.content
}

function parseCopy(kind: Copy['kind'], rest: Rest, names: FlagNames): Copy {
  const { name, line } = rest
  const flags = flagsOf(rest.flags, names)
  const words = listOrWords(rest.text)
  const target = words.at(-1)
  if (target === undefined) throw bad(`${name} requires at least two arguments`)
  if (words.length < 2)
    throw bad(
      `${name} requires at least two arguments, but only one was provided. Destination could not be determined`,
    )
  const operators = new Set(line.heredocs.map(({ name: end }) => end))
  const isHeredoc = (word: string): boolean =>
    line.heredocs.length > 0 &&
    operators.has(word.replace(/^<<-?["']?/, '').replace(/["']$/, '')) &&
    word.startsWith('<<')
  const sources = words.slice(0, -1).filter((word) => !isHeredoc(word))
  return { kind, sources, heredocs: line.heredocs, target, flags }
}

function parseVolume(rest: Rest): Instruction {
  const values = atLeastOne(rest, listOrWords(noFlags(rest).text))
  if (values.some((value) => value.trim() === '')) throw bad('VOLUME specified can not be an empty string')
  return { kind: 'volume', values }
}

function parseShell(rest: Rest): Instruction {
  const values = jsonList(noFlags(rest).text)
  if (values === undefined) throw bad('SHELL requires the arguments to be in JSON form')
  return { kind: 'shell', values: atLeastOne(rest, values) }
}

function parseOnbuild(rest: Rest): Instruction {
  if (rest.text === '') throw bad('ONBUILD requires at least one argument')
  const { name } = nameOf(rest.text)
  if (name === 'ONBUILD') throw bad("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
  if (name === 'FROM' || name === 'MAINTAINER') throw bad(`${name} isn't allowed as an ONBUILD trigger`)
  const heredocs = rest.line.heredocs.map(({ content, name: end }) => `\n${content}${end}`).join('')
  return { kind: 'onbuild', value: rest.text + heredocs }
}
