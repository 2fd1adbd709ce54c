/**
 * HTML made of templates in which every value is escaped, so that nobody can forget to: only what this file made counts
 * as markup. The page shows names and bytes that a hostile guest chose.
 */
import { plainText } from './plain-text.ts'

export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Value = string | number | Markup | undefined | readonly (Markup | undefined)[]

/** `markup\`<td title="${name}">${name}</td>\``: attributes must be in double quotes. */
export function markup(strings: TemplateStringsArray, ...values: readonly Value[]): Markup {
  const parts = strings.map((part, index) => `${part}${index < values.length ? textOf(values[index]) : ''}`)
  return new Markup(parts.join(''))
}

/** For our own style sheet and script, which are no data. */
export function trusted(text: string): Markup {
  return new Markup(text)
}

function textOf(value: Value): string {
  if (value === undefined) return ''
  if (value instanceof Markup) return value.text
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value))
  return value.map((one) => one?.text ?? '').join('')
}

const ENTITY: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
}

function escapeHtml(text: string): string {
  return plainText(text).replace(/[&<>"'`]/g, (character) => ENTITY[character] ?? '')
}
