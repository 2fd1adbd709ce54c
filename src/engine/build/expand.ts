/**
 * Variables and quotes in an instruction's words: `$a`, `${a}`, `${a:-b}`, `${a:+b}`, `${a:?b}`, and the same without
 * the colon (set, even if empty). Pure; dockerd's rules, not a shell's.
 */
import { DewarError } from '../../base/errors.ts'

export type Variables = ReadonlyMap<string, string>

export function variablesOf(entries: readonly string[]): Variables {
  const variables = new Map<string, string>()
  for (const entry of entries) {
    const equals = entry.indexOf('=')
    const [name, value] = equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)]
    // The first wins, as when a program looks for it.
    if (!variables.has(name)) variables.set(name, value)
  }
  return variables
}

/** One word, whatever spaces the values have. Throws invalid-argument in dockerd's words. */
export function expandWord(text: string, variables: Variables, escape: string): string {
  return new Reader(text, variables, escape).all()
}

/** As many words as there are after the replacement: EXPOSE $PORTS. */
export function expandWords(text: string, variables: Variables, escape: string): string[] {
  return expandWord(text, variables, escape)
    .split(/\s+/)
    .filter((word) => word !== '')
}

const QUOTED = new Map([
  ['"', 'double-quote'],
  ["'", 'single-quote'],
])

class Reader {
  readonly #text: string
  readonly #variables: Variables
  readonly #escape: string
  #at = 0

  constructor(text: string, variables: Variables, escape: string) {
    this.#text = text
    this.#variables = variables
    this.#escape = escape
  }

  all(): string {
    return this.#until('')
  }

  #until(stop: string): string {
    let out = ''
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] ?? ''
      if (stop !== '' && char === stop) return out
      out += this.#piece(char)
    }
    if (stop !== '') throw this.#bad(`unexpected end of statement while looking for matching ${stop}`)
    return out
  }

  #piece(char: string): string {
    if (char === "'") return this.#single()
    if (char === '"') return this.#double()
    if (char === '$') return this.#dollar()
    this.#at += 1
    if (char !== this.#escape) return char
    const next = this.#text[this.#at] ?? ''
    this.#at += 1
    return next
  }

  #single(): string {
    const end = this.#text.indexOf("'", this.#at + 1)
    if (end < 0) throw this.#unfinished("'")
    const inside = this.#text.slice(this.#at + 1, end)
    this.#at = end + 1
    return inside
  }

  #double(): string {
    let out = ''
    this.#at += 1
    for (;;) {
      const char = this.#text[this.#at]
      if (char === undefined) throw this.#unfinished('"')
      if (char === '"') break
      if (char === '$') {
        out += this.#dollar()
        continue
      }
      this.#at += 1
      const next = this.#text[this.#at]
      if (char === this.#escape && (next === '"' || next === '$' || next === this.#escape)) {
        out += next
        this.#at += 1
      } else out += char
    }
    this.#at += 1
    return out
  }

  #dollar(): string {
    this.#at += 1
    if (this.#text[this.#at] === '{') return this.#braced()
    const name = this.#name()
    return name === '' ? '$' : (this.#variables.get(name) ?? '')
  }

  #name(): string {
    const rest = this.#text.slice(this.#at)
    const name = /^([a-zA-Z_][a-zA-Z0-9_]*|[0-9@*#?!-])/.exec(rest)?.[0] ?? ''
    this.#at += name.length
    return name
  }

  #braced(): string {
    this.#at += 1
    if (this.#text[this.#at] === undefined) throw this.#bad("syntax error: missing '}'")
    if (this.#text[this.#at] === '}') throw this.#bad('syntax error: bad substitution')
    const name = this.#name()
    const modifier = this.#modifier(name)
    const word = modifier === '' ? '' : this.#until('}')
    this.#at += 1
    return this.#modified(name, modifier, word)
  }

  #modifier(name: string): string {
    const rest = this.#text.slice(this.#at)
    if (rest.startsWith('}')) return ''
    if (rest === '') throw this.#bad("syntax error: missing '}'")
    const modifier = /^:?[-+?]/.exec(rest)?.[0]
    if (modifier === undefined || name === '') {
      const what = rest.startsWith(':') ? rest.slice(0, 2) : rest.slice(0, 1)
      throw this.#bad(`unsupported modifier (${what}) in substitution`)
    }
    this.#at += modifier.length
    return modifier
  }

  #modified(name: string, modifier: string, word: string): string {
    const value = this.#variables.get(name)
    const there = modifier.startsWith(':') ? value !== undefined && value !== '' : value !== undefined
    switch (modifier.replace(':', '')) {
      case '':
        return value ?? ''
      case '-':
        return there ? (value ?? '') : word
      case '+':
        return there ? word : ''
      case '?':
        if (there) return value ?? ''
        throw this.#bad(`${name}: ${word === '' ? 'is not allowed to be unset' : word}`)
      default:
        throw this.#bad(`unsupported modifier (${modifier}) in substitution`)
    }
  }

  #unfinished(quote: string): DewarError {
    return this.#bad(`unexpected end of statement while looking for matching ${QUOTED.get(quote) ?? quote}`)
  }

  #bad(why: string): DewarError {
    return new DewarError('invalid-argument', `failed to process ${JSON.stringify(this.#text)}: ${why}`)
  }
}
