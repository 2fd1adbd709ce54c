/** How the rest of an instruction's line is cut up: flags, JSON lists, names with values. Pure; dockerd's rules. */
import { DewarError } from '../../base/errors.ts'

export interface Flagged {
  readonly flags: readonly string[]
  readonly rest: string
}

/** `--name=value` words before the first other word; `--` ends them. */
export function cutFlags(line: string, escape: string): Flagged {
  const flags: string[] = []
  let rest = line.trimStart()
  while (rest.startsWith('--')) {
    const { word, end } = firstWord(rest, escape)
    rest = rest.slice(end).trimStart()
    if (word === '--') break
    flags.push(word)
  }
  return { flags, rest }
}

/** Quotes are taken off: `--chown="a b"`. */
function firstWord(text: string, escape: string): { readonly word: string; readonly end: number } {
  let word = ''
  let quote = ''
  let at = 0
  for (; at < text.length; at += 1) {
    const char = text[at] ?? ''
    if (quote === '' && /\s/.test(char)) break
    if (char === quote) quote = ''
    else if (quote === '' && (char === '"' || char === "'")) quote = char
    else if (char === escape && quote !== "'" && at + 1 < text.length) {
      at += 1
      word += text[at] ?? ''
    } else word += char
  }
  return { word, end: at }
}

/** The strings of a JSON list; undefined for what is no JSON list. Throws for a list of other things. */
export function jsonList(text: string): string[] | undefined {
  if (!text.trimStart().startsWith('[')) return undefined
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(list)) return undefined
  if (list.every((item) => typeof item === 'string')) return list
  throw new DewarError(
    'invalid-argument',
    'failed to parse Dockerfile: when using JSON array syntax, arrays must be comprised of strings only',
  )
}

export function listOrWords(text: string): string[] {
  return jsonList(text) ?? text.split(/\s+/).filter((word) => word !== '')
}

/** Words with their quotes and escapes: they are taken off when variables are replaced. */
export function quotedWords(text: string, escape: string): string[] {
  const words: string[] = []
  let word = ''
  let quote = ''
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] ?? ''
    if (quote === '' && /\s/.test(char)) {
      if (word !== '') words.push(word)
      word = ''
      continue
    }
    if (char === escape && at + 1 < text.length && quote !== "'") {
      word += char + (text[at + 1] ?? '')
      at += 1
      continue
    }
    if (char === quote) quote = ''
    else if (quote === '' && (char === '"' || char === "'")) quote = char
    word += char
  }
  if (word !== '') words.push(word)
  return words
}

export interface Pair {
  readonly key: string
  readonly value: string
}

/** "a=1 b=2", or the old "a 1 2". */
export function namesWithValues(name: string, text: string, escape: string): Pair[] {
  const words = quotedWords(text, escape)
  if (words.length === 0) return []
  if (words[0]?.includes('=') !== true) {
    const [, key, value] = /^(\S+)\s+(.*)$/s.exec(text.trim()) ?? []
    if (key === undefined || value === undefined)
      throw new DewarError('invalid-argument', `failed to parse Dockerfile: ${name} must have two arguments`)
    return [{ key, value }]
  }
  return words.map((word) => {
    const equals = word.indexOf('=')
    if (equals < 0)
      throw new DewarError(
        'invalid-argument',
        `failed to parse Dockerfile: Syntax error - can't find = in ${JSON.stringify(word)}. Must be of the form: name=value`,
      )
    return { key: word.slice(0, equals), value: word.slice(equals + 1) }
  })
}
