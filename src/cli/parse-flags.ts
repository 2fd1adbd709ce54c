import type { AnyFlag, CommandSpec } from './command-spec.ts'

export interface ParsedFlags {
  readonly values: ReadonlyMap<string, unknown>
  readonly given: ReadonlySet<string>
  readonly words: readonly string[]
  readonly help: boolean
}

/** A command line that docker would refuse too, in docker's words. */
export class FlagError extends Error {
  override readonly name = 'FlagError'
}

/** What of a command the parser needs. */
export type Grammar = Pick<CommandSpec, 'flags' | 'stopsAtWord'>

/**
 * Reads argv as docker does (POSIX with GNU long options, Go's pflag): -it, -p80:80, -p=80:80, --name x, --name=x,
 * --rm=false, `--` ends the flags. commander has no --switch=false, and scripts use it.
 */
export function parseFlags(argv: readonly string[], grammar: Grammar): ParsedFlags {
  const state = new State(grammar)
  const words: string[] = []
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? ''
    if (word === '--') {
      words.push(...argv.slice(at + 1))
      break
    }
    if (!word.startsWith('-') || word === '-') {
      words.push(word)
      if (!grammar.stopsAtWord) continue
      words.push(...argv.slice(at + 1))
      break
    }
    const next = argv[at + 1]
    const used = word.startsWith('--') ? state.long(word, next) : state.shorts(word, next)
    if (used) at += 1
    if (state.help) break
  }
  return { values: state.values, given: state.given, words, help: state.help }
}

class State {
  readonly values = new Map<string, unknown>()
  readonly given = new Set<string>()
  help = false
  readonly #grammar: Grammar

  constructor(grammar: Grammar) {
    this.#grammar = grammar
    for (const [name, flag] of Object.entries(grammar.flags)) {
      if (flag.aliasOf === undefined) this.values.set(name, flag.initial)
    }
  }

  /** True when it took the next word as its value. */
  long(word: string, next: string | undefined): boolean {
    const equals = word.indexOf('=')
    const name = word.slice(2, equals < 0 ? undefined : equals)
    // Own names only: --constructor is no flag.
    const flag = Object.hasOwn(this.#grammar.flags, name) ? this.#grammar.flags[name] : undefined
    if (flag === undefined && name === 'help') {
      this.help = true
      return false
    }
    if (flag === undefined) throw new FlagError(`unknown flag: --${name}`)
    if (equals >= 0) {
      this.#set(name, flag, word.slice(equals + 1))
      return false
    }
    if (flag.value === undefined) {
      this.#set(name, flag, 'true')
      return false
    }
    if (next === undefined) throw new FlagError(`flag needs an argument: --${name}`)
    this.#set(name, flag, next)
    return true
  }

  /** -it, -p80:80, -p=80:80, -p 80:80. */
  shorts(word: string, next: string | undefined): boolean {
    for (let at = 1; at < word.length; at += 1) {
      const letter = word[at] ?? ''
      const entry = Object.entries(this.#grammar.flags).find(([, flag]) => flag.short === letter)
      if (entry === undefined && letter === 'h') {
        this.help = true
        return false
      }
      if (entry === undefined) throw new FlagError(`unknown shorthand flag: '${letter}' in ${word}`)
      const [name, flag] = entry
      const rest = word.slice(at + 1)
      if (rest.startsWith('=') && rest.length > 1) {
        this.#set(name, flag, rest.slice(1))
        return false
      }
      if (flag.value === undefined) {
        this.#set(name, flag, 'true')
        continue
      }
      if (rest !== '') {
        this.#set(name, flag, rest)
        return false
      }
      if (next === undefined) throw new FlagError(`flag needs an argument: '${letter}' in ${word}`)
      this.#set(name, flag, next)
      return true
    }
    return false
  }

  #set(name: string, flag: AnyFlag, word: string): void {
    const target = flag.aliasOf ?? name
    try {
      this.values.set(target, flag.parse(word, this.values.get(target)))
    } catch (error) {
      const shown = flag.short === undefined ? `--${name}` : `-${flag.short}, --${name}`
      throw new FlagError(
        `invalid argument "${word}" for "${shown}" flag: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
    this.given.add(target)
  }
}
