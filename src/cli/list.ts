import type { Cli } from './cli.ts'
import { Failure } from './failure.ts'
import { shown, type Stream } from './shown.ts'
import { compileTemplate, isRow, TemplateError } from './template/template.ts'
import type { Row } from './template/template.ts'
import { printValue } from './template/print.ts'
import { tabulate } from './text/tabwriter.ts'

/** One column that --format can name: its heading and how to get it from an item. */
export interface Column<T> {
  readonly header: string
  readonly of: (item: T) => string | boolean | number | null
}

/** How a list command shows its items. */
export interface ListView<T> {
  /** Docker's Go type, for error texts. */
  readonly typeName: string
  readonly columns: Readonly<Record<string, Column<T>>>
  /** Methods with an argument: .Label "x". */
  readonly methods?: Readonly<Record<string, (item: T, argument: string) => string>>
  /** The table shown without --format: names of columns. */
  readonly table: readonly string[]
  /** What -q shows. */
  readonly quiet: string
  /** What comes before a template's error; `ps` has words of its own. */
  readonly problems?: { readonly parse: string; readonly execute: string }
}

export interface ListOptions {
  readonly format: string
  readonly quiet: boolean
}

/** Prints items the way docker's list commands do: table, -q, --format json, --format table …, any template. */
export function printList<T>(items: readonly T[], view: ListView<T>, options: ListOptions, cli: Cli): void {
  const text = renderList(items, shownView(view, cli.stdout), options)
  if (text !== '') cli.stdout.write(text)
}

/** Where rows end stays ours, and what a format of the user's own holds. */
export function shownView<T>(view: ListView<T>, on: Stream): ListView<T> {
  if (on.isTTY !== true) return view
  const columns = Object.entries(view.columns).map(([name, { header, of }]) => {
    const cell = (item: T) => {
      const value = of(item)
      return typeof value === 'string' ? shown(value, on) : value
    }
    return [name, { header, of: cell }] as const
  })
  const methods = Object.entries(view.methods ?? {}).map(
    ([name, method]) => [name, (item: T, argument: string) => shown(method(item, argument), on)] as const,
  )
  return { ...view, columns: Object.fromEntries(columns), methods: Object.fromEntries(methods) }
}

export function renderList<T>(items: readonly T[], view: ListView<T>, options: ListOptions): string {
  const { source, table } = resolveFormat(options, view)
  try {
    const template = compileTemplate(source, { overrides: { json: jsonOfRow } })
    const lines = items.map((item) => template.render(rowOf(item, view)))
    if (!table) return lines.map((line) => `${line}\n`).join('')
    return tabulate([headerLine(source, view), ...lines, ''].join('\n'))
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error
    const words = error.message.includes(': executing ') ? view.problems?.execute : view.problems?.parse
    throw new Failure(`${words ?? 'template parsing error'}: ${error.message}`, 1)
  }
}

function resolveFormat<T>(options: ListOptions, view: ListView<T>): { source: string; table: boolean } {
  const { format, quiet } = options
  const isTable = format === '' || format === 'table' || format.startsWith('table ')
  if (quiet && (format === '' || format === 'table')) return { source: `{{.${view.quiet}}}`, table: false }
  if (format === 'json') return { source: '{{json .}}', table: false }
  if (!isTable) return { source: unescapeFormat(format), table: false }
  const custom = format.replace(/^table\s*/, '')
  if (custom !== '') return { source: unescapeFormat(custom), table: true }
  return { source: view.table.map((name) => `{{.${name}}}`).join('\t'), table: true }
}

/** A shell's '\t' and '\n' in --format are two characters; docker makes them one. */
export function unescapeFormat(format: string): string {
  return format.replaceAll('\\t', '\t').replaceAll('\\n', '\n')
}

/** The heading: the same template over the headings, with functions that change nothing. */
function headerLine<T>(source: string, view: ListView<T>): string {
  const same = (value: unknown): unknown => value
  const overrides = {
    json: same,
    split: same,
    join: same,
    title: same,
    lower: same,
    upper: same,
    pad: same,
    truncate: same,
    println: same,
  }
  const headers: Row = {
    typeName: 'formatter.SubHeaderContext',
    field: (name) => view.columns[name]?.header ?? '<no value>',
    method: (_name, args) => printValue(args[0] ?? ''),
    toJSON: () => '',
  }
  return compileTemplate(source, { overrides }).render(headers)
}

export function rowOf<T>(item: T, view: ListView<T>): Row {
  return {
    typeName: view.typeName,
    field: (name) => view.columns[name]?.of(item),
    method: (name, args) => view.methods?.[name]?.(item, printValue(args[0])),
    toJSON: () =>
      Object.fromEntries(
        Object.keys(view.columns)
          .sort()
          .map((name) => [name, view.columns[name]?.of(item)]),
      ),
  }
}

/** A whole row is escaped for HTML as Go's json.Marshal does it, a single field is not: docker does both. */
function jsonOfRow(value: unknown): string {
  const text = JSON.stringify(value ?? null)
  return isRow(value)
    ? text.replace(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)
    : text
}
