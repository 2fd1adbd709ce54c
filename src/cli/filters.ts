import type { Filters } from '../client/connect.ts'
import { strings } from './flags.ts'
import type { Flag } from './flags.ts'

/** --filter key=value; docker's error for anything else. */
export function filterFlag(
  summary = 'Filter output based on conditions provided',
  short: string | null = 'f',
): Flag<readonly string[]> {
  return strings(summary, { value: 'filter', check: checkFilter, ...(short === null ? {} : { short }) })
}

function checkFilter(word: string): string {
  if (word === '' || word.includes('=')) return word
  throw new Error('bad format of filter (expected name=value)')
}

export function toFilters(words: readonly string[], more: Filters = {}): Filters {
  const filters: Record<string, string[]> = {}
  for (const [key, values] of Object.entries(more)) filters[key] = [...values]
  for (const word of words) {
    if (word === '') continue
    const at = word.indexOf('=')
    const key = word.slice(0, at).trim().toLowerCase()
    ;(filters[key] ??= []).push(word.slice(at + 1).trim())
  }
  return filters
}
