/**
 * The part of Go's text/template that people use with --format: paths, index, range, if, with, variables, pipelines and
 * docker's functions. Values are plain JSON; a row of a list is a `Row`, whose fields are computed when asked for.
 */
import { isRecord } from '../../client/connect.ts'
import { FUNCTIONS, isTrue } from './functions.ts'
import type { TemplateFunction } from './functions.ts'
import { lineOf, TemplateError } from './lex.ts'
import { parseTemplate } from './parse.ts'
import type { Call, Node, Operand, Pipe } from './parse.ts'
import { goType, printValue, TYPED_NIL } from './print.ts'

export { TemplateError } from './lex.ts'

/** Something with named fields that are not JSON: one line of `ps`, `images`, … */
export interface Row {
  /** Go's name of docker's type, for its error text. */
  readonly typeName: string
  readonly field: (name: string) => unknown
  /** `.Label "x"`; undefined when there is no such method. */
  readonly method: (name: string, args: readonly unknown[]) => unknown
  readonly toJSON: () => unknown
}

export interface Template {
  render(data: unknown): string
}

export type MissingKey = 'error' | 'zero'

/** Compiles a template. `overrides` replace functions (docker's table headers do that). Throws TemplateError. */
export function compileTemplate(
  source: string,
  options: { overrides?: Readonly<Record<string, TemplateFunction>>; missing?: MissingKey } = {},
): Template {
  const functions = { ...FUNCTIONS, ...options.overrides }
  const nodes = parseTemplate(source, new Set(Object.keys(functions)))
  return {
    render: (data) => {
      const run = new Run(source, functions, options.missing ?? 'error', data)
      run.list(nodes, data)
      return run.output
    },
  }
}

class LoopEnd extends Error {
  readonly breaks: boolean

  constructor(breaks: boolean) {
    super('loop control outside a range')
    this.breaks = breaks
  }
}

class Run {
  output = ''
  readonly #source: string
  readonly #functions: Readonly<Record<string, TemplateFunction>>
  readonly #missing: MissingKey
  readonly #variables: { name: string; value: unknown }[]

  constructor(
    source: string,
    functions: Readonly<Record<string, TemplateFunction>>,
    missing: MissingKey,
    data: unknown,
  ) {
    this.#source = source
    this.#functions = functions
    this.#missing = missing
    this.#variables = [{ name: '$', value: data }]
  }

  list(nodes: readonly Node[], dot: unknown): void {
    for (const node of nodes) this.#node(node, dot)
  }

  #node(node: Node, dot: unknown): void {
    switch (node.kind) {
      case 'text':
        this.output += node.text
        return
      case 'print': {
        const value = this.#pipe(node.pipe, dot)
        if (node.pipe.variables.length === 0) this.output += printValue(value)
        return
      }
      case 'break':
      case 'continue':
        throw new LoopEnd(node.kind === 'break')
      case 'range':
        return this.#scoped(() => this.#range(node, dot))
      case 'if':
      case 'with':
        return this.#scoped(() => {
          const value = this.#pipe(node.pipe, dot)
          const inner = node.kind === 'with' ? value : dot
          if (isTrue(value)) this.list(node.body, inner)
          else this.list(node.otherwise, dot)
        })
    }
  }

  #scoped(action: () => void): void {
    const mark = this.#variables.length
    try {
      action()
    } finally {
      this.#variables.length = mark
    }
  }

  #range(node: Extract<Node, { kind: 'if' | 'range' | 'with' }>, dot: unknown): void {
    const [first, second] = node.pipe.variables
    const value = this.#pipe({ ...node.pipe, variables: [] }, dot)
    const entries = rangeEntries(value)
    if (entries.length === 0) return this.list(node.otherwise, dot)
    for (const [key, item] of entries) {
      try {
        this.#scoped(() => {
          if (second !== undefined && first !== undefined)
            this.#variables.push({ name: first, value: key }, { name: second, value: item })
          else if (first !== undefined) this.#variables.push({ name: first, value: item })
          this.list(node.body, item)
        })
      } catch (error) {
        if (!(error instanceof LoopEnd)) throw error
        if (error.breaks) return
      }
    }
  }

  #pipe(pipe: Pipe, dot: unknown): unknown {
    let value: unknown
    pipe.calls.forEach((call, index) => {
      value = this.#call(call, dot, index === 0 ? [] : [value])
    })
    for (const name of pipe.variables) {
      const existing = this.#variables.findLast((variable) => variable.name === name)
      if (pipe.assigns && existing !== undefined) existing.value = value
      else this.#variables.push({ name, value })
    }
    return value
  }

  #call(call: Call, dot: unknown, piped: readonly unknown[]): unknown {
    const [head, ...rest] = call.operands
    if (head === undefined) return undefined
    if (head.kind === 'function') return this.#function({ name: head.name, at: head, rest }, dot, piped)
    const args = [...rest.map((operand) => this.#value(operand, dot)), ...piped]
    if (args.length === 0) return this.#value(head, dot)
    if (head.kind !== 'field')
      throw this.#failure(head, `can't give argument to non-function ${this.#shown(head)}`)
    return this.#method(head, dot, args)
  }

  #function(
    { name, at, rest }: { name: string; at: Operand; rest: readonly Operand[] },
    dot: unknown,
    piped: readonly unknown[],
  ): unknown {
    if (name === 'and' || name === 'or') return this.#lazy(name, rest, dot, piped)
    const args = [...rest.map((operand) => this.#value(operand, dot)), ...piped]
    try {
      return this.#functions[name]?.(...args)
    } catch (error) {
      if (error instanceof TemplateError && !error.message.startsWith('template:'))
        throw this.#failure(at, error.message, [at, ...rest].map((operand) => this.#shown(operand)).join(' '))
      throw error
    }
  }

  /** `and` and `or` stop at the first value that decides, so that `and .A .A.B` is safe. */
  #lazy(name: 'and' | 'or', rest: readonly Operand[], dot: unknown, piped: readonly unknown[]): unknown {
    let value: unknown
    for (const operand of rest) {
      value = this.#value(operand, dot)
      if (isTrue(value) === (name === 'or')) return value
    }
    return piped.length > 0 ? piped[0] : value
  }

  #value(operand: Operand, dot: unknown): unknown {
    switch (operand.kind) {
      case 'dot':
        return dot
      case 'literal':
        return operand.value
      case 'function':
        return this.#function({ name: operand.name, at: operand, rest: [] }, dot, [])
      case 'field':
        return this.#path(operand.path, dot, operand)
      case 'chain':
        return this.#path(operand.path, this.#pipe(operand.pipe, dot), operand)
      case 'variable': {
        const variable = this.#variables.findLast(({ name }) => name === operand.name)
        if (variable === undefined)
          throw new TemplateError(
            `template: :${lineOf(this.#source, operand.at)}: undefined variable "${operand.name}"`,
          )
        return this.#path(operand.path, variable.value, operand)
      }
    }
  }

  #path(path: readonly string[], start: unknown, operand: Operand): unknown {
    let value = start
    for (const [index, name] of path.entries()) {
      if (value === TYPED_NIL)
        throw this.#failure(operand, `map has no entry for key "${path[index - 1] ?? name}"`)
      value = this.#field(value, name, operand)
    }
    return value
  }

  #field(value: unknown, name: string, operand: Operand): unknown {
    if (isRow(value)) {
      const found = value.field(name)
      if (found === undefined)
        throw this.#failure(operand, `can't evaluate field ${name} in type ${value.typeName}`)
      return found
    }
    if (isRecord(value)) {
      if (Object.hasOwn(value, name)) return value[name]
      if (this.#missing === 'zero') return undefined
      throw this.#failure(operand, `map has no entry for key "${name}"`)
    }
    if (value === null || value === undefined)
      throw this.#failure(operand, `nil data; no entry for key "${name}"`)
    throw this.#failure(operand, `can't evaluate field ${name} in type ${goType(value)}`)
  }

  #method(head: Extract<Operand, { kind: 'field' }>, dot: unknown, args: readonly unknown[]): unknown {
    const name = head.path.at(-1) ?? ''
    const owner = this.#path(head.path.slice(0, -1), dot, head)
    const result = isRow(owner) ? owner.method(name, args) : undefined
    if (result === undefined)
      throw this.#failure(head, `${name} has arguments but cannot be invoked as function`)
    return result
  }

  #failure(operand: Operand, problem: string, shown = this.#shown(operand)): TemplateError {
    const line = lineOf(this.#source, operand.at)
    const column = operand.at - (this.#source.lastIndexOf('\n', operand.at - 1) + 1)
    return new TemplateError(`template: :${line}:${column}: executing "" at <${shown}>: ${problem}`)
  }

  #shown(operand: Operand): string {
    if (operand.kind === 'field') return `.${operand.path.join('.')}`
    if (operand.kind === 'variable') return [operand.name, ...operand.path].join('.')
    if (operand.kind === 'literal')
      return typeof operand.value === 'string'
        ? JSON.stringify(operand.value)
        : String(operand.value ?? 'nil')
    return operand.kind === 'function' ? operand.name : '.'
  }
}

export function isRow(value: unknown): value is Row {
  return (
    typeof value === 'object' &&
    value !== null &&
    'typeName' in value &&
    'field' in value &&
    'method' in value
  )
}

function rangeEntries(value: unknown): [string | number, unknown][] {
  if (Array.isArray(value)) return value.map((item: unknown, index) => [index, item])
  if (isRecord(value))
    return Object.keys(value)
      .sort()
      .map((key) => [key, value[key]])
  if (typeof value === 'number') return Array.from({ length: value }, (_, index) => [index, index])
  if (value === null || value === undefined) return []
  throw new TemplateError(`range can't iterate over ${printValue(value)}`)
}
