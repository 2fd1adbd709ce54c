import { createBody } from './create/create-body.ts'
import { CREATE_FLAGS } from './create/flags.ts'
import type { CreateFlags } from './create/flags.ts'
import type { ValuesOf } from './command-spec.ts'
import { command, atLeast } from './command-spec.ts'
import { Failure } from './failure.ts'
import { FlagError, parseFlags } from './parse-flags.ts'

/** A command of which only the flags are used: its table is `run`'s. */
const GRAMMAR = command({
  name: 'run',
  summary: '',
  usage: '',
  arity: atLeast(0),
  stopsAtWord: true,
  flags: CREATE_FLAGS,
  examples: [],
  run: async () => 0,
})

/** What `run WORDS IMAGE` would ask of an engine; image and command are the caller's to set. */
export function runArgumentsBody(words: readonly string[]): Readonly<Record<string, unknown>> {
  try {
    const { values, given, words: rest } = parseFlags(words, GRAMMAR)
    if (rest.length > 0)
      throw new Failure(`--run-args takes options of \`run\` only: ${rest[0]} is none`, 125)
    const flags: unknown = { ...Object.fromEntries(values), given }
    if (!areCreateFlags(flags)) throw new Failure('reading --run-args failed', 125)
    return { ...createBody(flags, 'audit', [], { cwd: process.cwd(), env: process.env }) }
  } catch (error) {
    if (!(error instanceof FlagError)) throw error
    throw new Failure(`reading --run-args failed: ${error.message}`, 125)
  }
}

/** One piece of a word, or the blanks between two: `\\x`, `"…"`, `'…'`, plain. */
const PIECE = /\\(.)|"((?:\\.|[^"\\])*)"|'([^']*)'|([^\s"'\\]+)|\s+/sy

/** Splits as a shell does: blanks part words, quotes and backslashes keep them together; nothing is expanded. */
export function splitWords(text: string): readonly string[] {
  const words: string[] = []
  let word: string | undefined
  PIECE.lastIndex = 0
  while (PIECE.lastIndex < text.length) {
    const at = PIECE.lastIndex
    const found = PIECE.exec(text)
    if (found === null)
      throw new Failure(
        `reading --run-args failed: a quote is not closed: ${text.slice(at, at + 40)} (close it)`,
        125,
      )
    const [, escaped, double, single, plain] = found
    const piece = escaped ?? double?.replaceAll(/\\(["\\$`])/g, '$1') ?? single ?? plain
    if (piece !== undefined) word = (word ?? '') + piece
    else if (word !== undefined) {
      words.push(word)
      word = undefined
    }
  }
  return word === undefined ? words : [...words, word]
}

/** The parser fills every flag of the table, each by its own `add`; the compiler cannot follow that through the map. */
function areCreateFlags(value: unknown): value is CreateFlags & ValuesOf<typeof CREATE_FLAGS> {
  return typeof value === 'object'
}
