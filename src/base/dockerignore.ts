/**
 * .dockerignore: what of a folder is not part of a build's context. Pure; the rules of moby/patternmatcher. The client
 * leaves these files out, and the engine hides the Dockerfile and the list itself when they are named.
 */

export interface IgnorePattern {
  readonly excludes: boolean
  readonly matches: (path: string) => boolean
}

/** Throws Error for a pattern that is none. */
export function parseIgnore(text: string): IgnorePattern[] {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map(parsePattern)
}

function parsePattern(line: string): IgnorePattern {
  const excludes = !line.startsWith('!')
  const pattern = cleaned(excludes ? line : line.slice(1).trim())
  if (pattern === '') throw new Error('illegal exclusion pattern: "!"')
  const parts = pattern.split('/')
  return { excludes, matches: (path) => matchParts(parts, path.split('/')) }
}

/** As Go's filepath.Clean, without a leading slash. */
function cleaned(pattern: string): string {
  const parts: string[] = []
  for (const part of pattern.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop()
    else parts.push(part)
  }
  return parts.join('/') || (pattern === '' ? '' : '.')
}

/** Whether a path (relative, clean) is left out: the last pattern that matches it or a folder above it decides. */
export function isIgnored(patterns: readonly IgnorePattern[], path: string): boolean {
  const parts = path.split('/')
  const parents = parts.slice(1).map((_, n) => parts.slice(0, n + 1).join('/'))
  let ignored = false
  for (const { excludes, matches } of patterns) {
    if (ignored === excludes) continue
    if (matches(path) || parents.some(matches)) ignored = excludes
  }
  return ignored
}

/** `**` is any number of parts. Each part is compared once for each place it may stand at: no pattern makes it slow. */
function matchParts(pattern: readonly string[], path: readonly string[]): boolean {
  let places = new Set([0])
  for (const part of pattern) {
    const next = new Set<number>()
    for (const at of places) {
      if (part === '**') for (let to = at; to <= path.length; to += 1) next.add(to)
      else if (at < path.length && matchName(part, path[at] ?? '')) next.add(at + 1)
    }
    places = next
  }
  return places.has(path.length)
}

function matchName(pattern: string, name: string): boolean {
  const regex = [...pattern.matchAll(/\\(.)|\[(\^?)((?:\\.|[^\]\\])+)\]|[^]/g)]
  const tokens = regex.map(([all, escaped, negated, set]): ((char: string) => boolean) | '*' => {
    if (all === '*' || all === '**') return '*'
    if (all === '?') return () => true
    if (set !== undefined) {
      const inside = new RegExp(`^[${negated ?? ''}${set.replaceAll(/[[^]/g, '\\$&')}]$`, 's')
      return (char) => inside.test(char)
    }
    return (char) => char === (escaped ?? all)
  })
  return matchTokens(tokens, [...name])
}

function matchTokens(
  tokens: readonly (((char: string) => boolean) | '*')[],
  chars: readonly string[],
): boolean {
  let places = new Set([0])
  for (const token of tokens) {
    const next = new Set<number>()
    for (const at of places) {
      if (token === '*') for (let to = at; to <= chars.length; to += 1) next.add(to)
      else if (at < chars.length && token(chars[at] ?? '')) next.add(at + 1)
    }
    places = next
  }
  return places.has(chars.length)
}
