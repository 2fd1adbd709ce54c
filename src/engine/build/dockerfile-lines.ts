/**
 * A Dockerfile's text as instructions' lines: directives, comments, continuations, here-documents. Pure; the rules are
 * those of dockerd's parser (moby/buildkit frontend/dockerfile/parser), which are not those of any shell.
 */
import { DewarError } from '../../base/errors.ts'
import { findHeredocs, type HeredocStart } from './heredoc.ts'

export interface Heredoc extends HeredocStart {
  readonly content: string
}

export interface Line {
  /** Of the instruction's first line, from 1. */
  readonly number: number
  /** Without continuations and comments. */
  readonly text: string
  readonly heredocs: readonly Heredoc[]
}

export interface Lines {
  readonly lines: readonly Line[]
  readonly escape: string
  /** Instructions with an empty line after a continuation, which dockerd warns about. */
  readonly emptyContinuations: readonly string[]
}

/** Far above any real Dockerfile. */
export const DOCKERFILE_BYTES_MAX = 4 * 1024 * 1024

export function readLines(text: string): Lines {
  const source = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const escape = escapeDirective(source)
  const lines: Line[] = []
  const emptyContinuations: string[] = []
  for (let at = 0; at < source.length;) {
    const first = (source[at] ?? '').trimStart()
    if (first === '' || isComment(first)) {
      at += 1
      continue
    }
    const joined = joinContinued(source, at, escape)
    const heredocs = readHeredocs(source, joined.end, findHeredocs(joined.text, escape))
    if (joined.empty) emptyContinuations.push(joined.text)
    lines.push({ number: at + 1, text: joined.text, heredocs: heredocs.found })
    at = heredocs.end
  }
  if (lines.length === 0) throw malformed('file with no instructions')
  return { lines, escape, emptyContinuations }
}

function malformed(why: string): DewarError {
  return new DewarError('invalid-argument', `failed to parse Dockerfile: ${why}`)
}

const isComment = (line: string): boolean => line.trimStart().startsWith('#')

/** Directives stand before everything else, one a line; the first other comment or empty line ends them. */
function escapeDirective(source: readonly string[]): string {
  const seen = new Set<string>()
  let escape = '\\'
  for (const line of source) {
    const [, name, value] = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(line) ?? []
    if (name === undefined || value === undefined) break
    const key = name.toLowerCase()
    if (key !== 'escape' && key !== 'syntax' && key !== 'check') break
    if (seen.has(key)) throw malformed(`only one ${key} parser directive can be used`)
    seen.add(key)
    if (key !== 'escape') continue
    if (value !== '\\' && value !== '`')
      throw malformed(`invalid escape token '${value}' does not match \` or \\`)
    escape = value
  }
  return escape
}

interface Joined {
  readonly text: string
  /** Index of the first line after it. */
  readonly end: number
  readonly empty: boolean
}

function joinContinued(source: readonly string[], start: number, escape: string): Joined {
  let part = cutContinuation((source[start] ?? '').trimStart(), escape)
  let text = part.text
  let empty = false
  let at = start + 1
  while (part.continues && at < source.length) {
    const line = source[at] ?? ''
    at += 1
    if (isComment(line)) continue
    if (line.trim() === '') {
      // The end of the file is no empty line.
      if (at < source.length) empty = true
      continue
    }
    part = cutContinuation(line, escape)
    text += part.text
  }
  return { text: text.trimEnd(), end: at, empty }
}

/** A doubled escape character at the end stands for itself. */
function cutContinuation(
  line: string,
  escape: string,
): { readonly text: string; readonly continues: boolean } {
  const trimmed = line.replace(/[ \t]+$/, '')
  if (!trimmed.endsWith(escape) || trimmed.endsWith(escape + escape)) return { text: line, continues: false }
  return { text: trimmed.slice(0, -1), continues: true }
}

function readHeredocs(
  source: readonly string[],
  start: number,
  starts: readonly HeredocStart[],
): { readonly found: readonly Heredoc[]; readonly end: number } {
  const found: Heredoc[] = []
  let at = start
  for (const heredoc of starts) {
    let content = ''
    for (;;) {
      if (at >= source.length) throw malformed('unterminated heredoc')
      const line = heredoc.chomp ? (source[at] ?? '').replace(/^\t+/, '') : (source[at] ?? '')
      at += 1
      if (line === heredoc.name) break
      content += `${line}\n`
    }
    found.push({ ...heredoc, content })
  }
  return { found, end: at }
}
