import { lexTemplate, lineOf, TemplateError } from './lex.ts'
import type { Piece, Token } from './lex.ts'

export type Operand =
  | { readonly kind: 'dot'; readonly at: number }
  | { readonly kind: 'field'; readonly path: readonly string[]; readonly at: number }
  | {
      readonly kind: 'variable'
      readonly name: string
      readonly path: readonly string[]
      readonly at: number
    }
  | { readonly kind: 'chain'; readonly pipe: Pipe; readonly path: readonly string[]; readonly at: number }
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null; readonly at: number }
  | { readonly kind: 'function'; readonly name: string; readonly at: number }

/** One step of a pipeline: a function or a value with its arguments. */
export interface Call {
  readonly operands: readonly Operand[]
}

export interface Pipe {
  readonly variables: readonly string[]
  /** `=` instead of `:=`. */
  readonly assigns: boolean
  readonly calls: readonly Call[]
}

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipe: Pipe }
  | {
      readonly kind: 'if' | 'range' | 'with'
      readonly pipe: Pipe
      readonly body: readonly Node[]
      readonly otherwise: readonly Node[]
    }
  | { readonly kind: 'break' | 'continue' }

/** Parses a template; `functions` are the names it may call. Throws TemplateError in Go's words. */
export function parseTemplate(source: string, functions: ReadonlySet<string>): readonly Node[] {
  return new Parser(source, lexTemplate(source), functions).all()
}

class Parser {
  readonly #source: string
  readonly #pieces: readonly Piece[]
  readonly #functions: ReadonlySet<string>
  #next = 0
  /** Names in scope, innermost last. */
  readonly #variables = ['$']
  #ranges = 0

  constructor(source: string, pieces: readonly Piece[], functions: ReadonlySet<string>) {
    this.#source = source
    this.#pieces = pieces
    this.#functions = functions
  }

  all(): Node[] {
    const { nodes, end } = this.#list()
    if (end !== undefined) throw this.#problem(`unexpected {{${end.word}}}`, end.at)
    return nodes
  }

  /** Nodes up to {{end}} or {{else …}}, which is handed back. */
  #list(): { nodes: Node[]; end?: { word: string; rest: readonly Token[]; at: number } } {
    const nodes: Node[] = []
    for (let piece = this.#pieces[this.#next]; piece !== undefined; piece = this.#pieces[this.#next]) {
      this.#next += 1
      if (piece.kind === 'text') {
        nodes.push(piece)
        continue
      }
      const [first, ...rest] = piece.tokens
      if (first === undefined) throw this.#problem('missing value for command', piece.at)
      if (first.kind === 'name' && (first.text === 'end' || first.text === 'else')) {
        return { nodes, end: { word: first.text, rest: trimSpace(rest), at: piece.at } }
      }
      nodes.push(this.#action(first, trimSpace(rest), piece))
    }
    return { nodes }
  }

  #action(first: Token, rest: readonly Token[], piece: Extract<Piece, { kind: 'action' }>): Node {
    const word = first.kind === 'name' ? first.text : ''
    if (word === 'if' || word === 'range' || word === 'with') return this.#block(word, rest, piece.at)
    if (word === 'break' || word === 'continue') {
      if (this.#ranges === 0) throw this.#problem(`{{${word}}} outside {{range}}`, piece.at)
      return { kind: word }
    }
    return { kind: 'print', pipe: this.#pipe(piece.tokens, piece.at) }
  }

  #block(kind: 'if' | 'range' | 'with', tokens: readonly Token[], at: number): Node {
    const scope = this.#variables.length
    if (kind === 'range') this.#ranges += 1
    const node = this.#blockBody(kind, tokens, at)
    if (kind === 'range') this.#ranges -= 1
    this.#variables.length = scope
    return node
  }

  #blockBody(kind: 'if' | 'range' | 'with', tokens: readonly Token[], at: number): Node {
    if (tokens.length === 0) throw this.#problem(`missing value for ${kind}`, at)
    const pipe = this.#pipe(tokens, at)
    const { nodes: body, end } = this.#list()
    if (end === undefined) throw this.#problem('unexpected EOF', this.#source.length)
    if (end.word === 'end') return { kind, pipe, body, otherwise: [] }
    const [next, ...rest] = end.rest
    if (next !== undefined && next.kind === 'name' && (next.text === 'if' || next.text === 'with')) {
      return { kind, pipe, body, otherwise: [this.#block(next.text, trimSpace(rest), end.at)] }
    }
    const { nodes: otherwise, end: last } = this.#list()
    if (last === undefined) throw this.#problem('unexpected EOF', this.#source.length)
    if (last.word !== 'end') throw this.#problem('expected end; found {{else}}', last.at)
    return { kind, pipe, body, otherwise }
  }

  #pipe(tokens: readonly Token[], at: number): Pipe {
    const { variables, assigns, rest } = declaration(tokens)
    const calls = splitAtBars(rest).map((part) => this.#call(part, at))
    this.#variables.push(...variables)
    return { variables, assigns, calls }
  }

  #call(tokens: readonly Token[], at: number): Call {
    const operands: Operand[] = []
    const queue = [...trimSpace(tokens)]
    while (queue.length > 0) {
      const token = queue.shift()
      if (token === undefined || token.text === ' ') continue
      operands.push(this.#operand(token, queue))
    }
    if (operands.length === 0) throw this.#problem('missing value for command', at)
    return { operands }
  }

  #operand(token: Token, queue: Token[]): Operand {
    if (token.kind === 'literal') return { kind: 'literal', value: token.value, at: token.at }
    if (token.kind === 'field') {
      const { path, at } = this.#path(token, queue)
      return { kind: 'field', path: [token.text.slice(1), ...path], at }
    }
    if (token.kind === 'variable' && !this.#variables.includes(token.text))
      throw this.#problem(`undefined variable "${token.text}"`, token.at)
    if (token.kind === 'variable') return { kind: 'variable', name: token.text, ...this.#path(token, queue) }
    if (token.kind === 'name') {
      if (!this.#functions.has(token.text))
        throw this.#problem(`function "${token.text}" not defined`, token.at)
      return { kind: 'function', name: token.text, at: token.at }
    }
    if (token.text === '(') return this.#parenthesis(token, queue)
    if (token.text === '.') return { kind: 'dot', at: token.at }
    throw this.#problem(`unexpected "${token.text}" in operand`, token.at)
  }

  #parenthesis(open: Token, queue: Token[]): Operand {
    const inner: Token[] = []
    for (let depth = 1; depth > 0;) {
      const token = queue.shift()
      if (token === undefined) throw this.#problem('unclosed left paren', open.at)
      if (token.kind === 'operator' && token.text === '(') depth += 1
      if (token.kind === 'operator' && token.text === ')') depth -= 1
      if (depth > 0) inner.push(token)
    }
    return { kind: 'chain', pipe: this.#pipe(inner, open.at), ...this.#path(open, queue) }
  }

  /** `.A.B` right behind an operand. Go reports the place of the second part of a chain; so do we. */
  #path(start: Token, queue: Token[]): { path: string[]; at: number } {
    const path: string[] = []
    let at = start.at
    for (let token = queue[0]; token !== undefined && token.kind === 'field'; token = queue[0]) {
      if (path.length === 0) at = token.at
      path.push(token.text.slice(1))
      queue.shift()
    }
    return { path, at }
  }

  #problem(text: string, at: number): TemplateError {
    return new TemplateError(`template: :${lineOf(this.#source, at)}: ${text}`)
  }
}

function trimSpace(tokens: readonly Token[]): readonly Token[] {
  const isSpace = (token: Token | undefined): boolean =>
    token !== undefined && token.kind === 'operator' && token.text === ' '
  const from = isSpace(tokens[0]) ? 1 : 0
  const to = isSpace(tokens.at(-1)) ? -1 : undefined
  return tokens.slice(from, to)
}

/** `$x :=`, `$i, $x :=`, `$x =`. */
function declaration(tokens: readonly Token[]): {
  variables: string[]
  assigns: boolean
  rest: readonly Token[]
} {
  const visible = tokens.filter((token) => token.text !== ' ' || token.kind === 'literal')
  const sign = visible.findIndex(
    (token) => token.kind === 'operator' && (token.text === ':=' || token.text === '='),
  )
  if (sign < 1 || visible.slice(0, sign).some((token) => token.kind !== 'variable' && token.text !== ',')) {
    return { variables: [], assigns: false, rest: tokens }
  }
  const variables = visible.slice(0, sign).flatMap((token) => (token.kind === 'variable' ? [token.text] : []))
  const mark = visible[sign]
  const index = mark === undefined ? 0 : tokens.indexOf(mark) + 1
  return { variables, assigns: mark?.text === '=', rest: tokens.slice(index) }
}

function splitAtBars(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]]
  let depth = 0
  for (const token of tokens) {
    if (token.kind === 'operator' && token.text === '(') depth += 1
    if (token.kind === 'operator' && token.text === ')') depth -= 1
    if (token.kind === 'operator' && token.text === '|' && depth === 0) parts.push([])
    else parts.at(-1)?.push(token)
  }
  return parts
}
