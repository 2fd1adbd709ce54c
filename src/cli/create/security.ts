import { readFileSync } from 'node:fs'
import { failedCall } from '../errno-text.ts'
import { cut } from './ports.ts'

export interface Security {
  readonly options: readonly string[] | null
  readonly maskedPaths: readonly string[] | null
  readonly readonlyPaths: readonly string[] | null
}

/** --security-opt: a seccomp profile is read here and sent as its content, as docker does; systempaths becomes lists. */
export function parseSecurity(words: readonly string[]): Security {
  const options = words.map(parseOption)
  const kept = options.filter((option) => option !== 'systempaths=unconfined')
  const unmasked = kept.length < options.length ? [] : null
  return { options: words.length === 0 ? null : kept, maskedPaths: unmasked, readonlyPaths: unmasked }
}

function parseOption(word: string): string {
  let [key, value] = cut(word, '=')
  if (value === undefined && key !== 'no-new-privileges') [key, value] = cut(word, ':')
  if ((value === undefined || value === '') && key !== 'no-new-privileges')
    throw new Error(`Invalid --security-opt: ${JSON.stringify(word)}`)
  if (key !== 'seccomp' || value === undefined || value === 'unconfined' || value === 'builtin') return word
  return `seccomp=${readProfile(value)}`
}

function readProfile(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`opening seccomp profile (${path}) failed: ${failedCall(path, error)}`, {
      cause: error,
    })
  }
  try {
    return JSON.stringify(JSON.parse(text))
  } catch (error) {
    throw new Error(
      `compacting json for seccomp profile (${path}) failed: ${error instanceof Error ? error.message : ''}`,
      { cause: error },
    )
  }
}
