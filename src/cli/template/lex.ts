/** Go's template language, cut into pieces. Errors carry Go's words, because docker prints them. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError'
}

export type Token =
  | { readonly kind: 'field' | 'variable' | 'name' | 'operator'; readonly text: string; readonly at: number }
  | {
      readonly kind: 'literal'
      readonly value: string | number | boolean | null
      readonly text: string
      readonly at: number
    }

export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly tokens: readonly Token[]; readonly at: number }

/** Text and actions in turn; `{{-` and `-}}` have eaten the white space beside them, comments are gone. */
export function lexTemplate(source: string): Piece[] {
  const pieces: Piece[] = []
  let at = 0
  let trimNext = false
  while (at <= source.length) {
    const open = source.indexOf('{{', at)
    const end = open < 0 ? source.length : open
    let text = source.slice(at, end)
    if (trimNext) text = text.trimStart()
    if (open >= 0 && /^\{\{-\s/.test(source.slice(open, open + 4))) text = text.trimEnd()
    if (text !== '') pieces.push({ kind: 'text', text })
    if (open < 0) break
    const action = readAction(source, open)
    if (action.tokens !== undefined) pieces.push({ kind: 'action', tokens: action.tokens, at: open })
    trimNext = action.trimNext
    at = action.end
  }
  return pieces
}

function readAction(source: string, open: number): { tokens?: Token[]; end: number; trimNext: boolean } {
  let at = open + 2
  if (/^-\s/.test(source.slice(at, at + 2))) at += 1
  const comment = /^\s*\/\*[^]*?\*\/\s*(-?)\}\}/.exec(source.slice(at))
  if (comment !== null) return { end: at + comment[0].length, trimNext: comment[1] === '-' }
  const tokens: Token[] = []
  for (;;) {
    const rest = source.slice(at)
    const close = /^(\s+-)?\s*\}\}/.exec(rest)
    if (close !== null) return { tokens, end: at + close[0].length, trimNext: close[1] !== undefined }
    const space = /^\s+/.exec(rest)?.[0].length ?? 0
    if (space === rest.length) throw new TemplateError(`template: :${lineOf(source, open)}: unclosed action`)
    const token = readToken(source, at + space)
    if (space > 0 && tokens.length > 0) tokens.push({ kind: 'operator', text: ' ', at })
    tokens.push(token)
    at = token.at + token.text.length
  }
}

const PATTERNS: readonly (readonly [RegExp, (text: string, at: number) => Token])[] = [
  [/^"(?:[^"\\\n]|\\.)*"/, (text, at) => ({ kind: 'literal', value: unquote(text), text, at })],
  [/^`[^`]*`/, (text, at) => ({ kind: 'literal', value: text.slice(1, -1), text, at })],
  [
    /^[+-]?\d[\d_]*(?:\.\d+)?(?![\w.])/,
    (text, at) => ({ kind: 'literal', value: Number(text.replaceAll('_', '')), text, at }),
  ],
  [/^(?:true|false)(?!\w)/, (text, at) => ({ kind: 'literal', value: text === 'true', text, at })],
  [/^nil(?!\w)/, (text, at) => ({ kind: 'literal', value: null, text, at })],
  [/^\$\w*/, (text, at) => ({ kind: 'variable', text, at })],
  [/^\.[\p{L}_][\p{L}\p{N}_]*/u, (text, at) => ({ kind: 'field', text, at })],
  [/^[\p{L}_][\p{L}\p{N}_]*/u, (text, at) => ({ kind: 'name', text, at })],
  [/^(?::=|=|\||\(|\)|,|\.)/, (text, at) => ({ kind: 'operator', text, at })],
]

function readToken(source: string, at: number): Token {
  const rest = source.slice(at)
  for (const [pattern, make] of PATTERNS) {
    const match = pattern.exec(rest)
    if (match !== null) return make(match[0], at)
  }
  const line = lineOf(source, at)
  if (rest.startsWith('"')) throw new TemplateError(`template: :${line}: unterminated quoted string`)
  const bad = [...rest][0] ?? ''
  const code = bad.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0') ?? '0000'
  throw new TemplateError(
    `template: :${line}: unexpected ${code === '007D' ? '"}" in operand' : `unrecognized character in action: U+${code} '${bad}'`}`,
  )
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '"': '"',
  "'": "'",
  '\\': '\\',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
}

function unquote(text: string): string {
  return text.slice(1, -1).replace(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|.)/g, (_, escape: string) => {
    if (escape.length > 1) return String.fromCodePoint(parseInt(escape.slice(1), 16))
    return ESCAPES[escape] ?? escape
  })
}

export function lineOf(source: string, at: number): number {
  return source.slice(0, at).split('\n').length
}
