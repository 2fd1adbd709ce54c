import { readFileSync } from 'node:fs'
import { failedCall } from '../errno-text.ts'
import { cut } from './ports.ts'

/** -e: NAME=value as it is, a bare NAME with the client's own value, or as a bare name when the client has none. */
export function environmentWord(word: string, env: NodeJS.ProcessEnv): string {
  const [name, value] = cut(word, '=')
  if (name === '') throw new Error(`invalid environment variable: ${word}`)
  const own = env[name]
  return value === undefined && own !== undefined ? `${name}=${own}` : word
}

/** Lines of NAME=value: files first, then what was given by flag. A bare NAME takes the client's value, or is dropped. */
export function readKeyValues(
  files: readonly string[],
  given: readonly string[],
  env: NodeJS.ProcessEnv | undefined,
): string[] {
  return [...files.flatMap((file) => readKeyValueFile(file, env)), ...given]
}

function readKeyValueFile(file: string, env: NodeJS.ProcessEnv | undefined): string[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const problem = failedCall(file, error)
    throw new Error(problem.startsWith('read ') ? `invalid env file (${file}): ${problem}` : problem, {
      cause: error,
    })
  }
  try {
    return text
      .replace(/^\uFEFF/, '')
      .split(/\r?\n/)
      .flatMap((line) => parseLine(line.trimStart(), env))
  } catch (error) {
    throw new Error(`invalid env file (${file}): ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}

function parseLine(line: string, env: NodeJS.ProcessEnv | undefined): string[] {
  if (line === '' || line.startsWith('#')) return []
  const [name, value] = cut(line, '=')
  if (name === '') throw new Error(`no variable name on line '${line}'`)
  if (/[ \t]/.test(name)) throw new Error(`variable '${name}' contains whitespaces`)
  if (value !== undefined) return [line]
  const own = env?.[name]
  return own === undefined ? [] : [`${name}=${own}`]
}

/** key=value words as an object; a word without = has an empty value. */
export function toMap(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const [key, value] = cut(word, '=')
      return [key, value ?? '']
    }),
  )
}
