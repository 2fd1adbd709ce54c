/** Go's filepath.Match for one part of a path: `*`, `?`, `[a-z]`, `[^a]`, `\c`. Pure. */
import { DewarError } from '../../base/errors.ts'

const hasWildcards = /[*?[]/

export const isWild = (path: string): boolean => hasWildcards.test(path)

/** Matched without backtracking over more than one star at a time, so no pattern makes it slow. */
export function matchPart(pattern: string, name: string): boolean {
  const tokens = tokensOf(pattern)
  let [token, char, starToken, starChar] = [0, 0, -1, 0]
  const chars = [...name]
  while (char < chars.length) {
    const at = tokens[token]
    if (at === '*') {
      starToken = token
      starChar = char
      token += 1
    } else if (at !== undefined && at(chars[char] ?? '')) {
      token += 1
      char += 1
    } else if (starToken >= 0) {
      starChar += 1
      char = starChar
      token = starToken + 1
    } else return false
  }
  return tokens.slice(token).every((rest) => rest === '*')
}

type Token = '*' | ((char: string) => boolean)

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = []
  const chars = [...pattern]
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] ?? ''
    if (char === '*') tokens.push('*')
    else if (char === '?') tokens.push(() => true)
    else if (char === '[') {
      const end = classEnd(chars, at, pattern)
      tokens.push(charClass(chars.slice(at + 1, end)))
      at = end
    } else {
      const literal = char === '\\' ? (chars[(at += 1)] ?? '') : char
      tokens.push((other) => other === literal)
    }
  }
  return tokens
}

function classEnd(chars: readonly string[], start: number, pattern: string): number {
  for (let at = start + 1; at < chars.length; at += 1) {
    if (chars[at] === '\\') at += 1
    else if (chars[at] === ']' && at > start + 1) return at
  }
  throw new DewarError('invalid-argument', `syntax error in pattern: ${JSON.stringify(pattern)}`)
}

function charClass(chars: readonly string[]): (char: string) => boolean {
  const negated = chars[0] === '^'
  const ranges: [string, string][] = []
  for (let at = negated ? 1 : 0; at < chars.length; at += 1) {
    const from = chars[at] === '\\' ? (chars[(at += 1)] ?? '') : (chars[at] ?? '')
    const to = chars[at + 1] === '-' && at + 2 < chars.length ? (chars[(at += 2)] ?? '') : from
    ranges.push([from, to])
  }
  return (char) => ranges.some(([from, to]) => from <= char && char <= to) !== negated
}
