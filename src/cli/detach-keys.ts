/** ctrl-p ctrl-q. */
export const DEFAULT_DETACH_KEYS: readonly number[] = [16, 17]

/**
 * Reads docker's notation of keys: "ctrl-p,ctrl-q", "a,b". Throws Error for what is no key.
 *
 * @example
 * parseDetachKeys('ctrl-a,d') // [1, 100]
 */
export function parseDetachKeys(text: string): number[] {
  return text.split(',').map((key) => {
    if ([...key].length === 1) return key.charCodeAt(0)
    const letter = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1]
    if (letter === undefined) throw new Error(`Unknown character: '${key}'`)
    // ctrl clears the two high bits of the capital letter, as on the first terminals.
    return letter.toUpperCase().charCodeAt(0) - 64
  })
}

export interface Scan {
  /** What goes to the container. */
  readonly bytes: Buffer
  readonly detached: boolean
}

/** Watches input for the detach sequence. Bytes of a sequence that does not complete are passed on, in order. */
export class DetachScanner {
  readonly #keys: readonly number[]
  #matched = 0

  constructor(keys: readonly number[]) {
    this.#keys = keys
  }

  push(chunk: Buffer): Scan {
    const out: number[] = []
    for (const byte of chunk) {
      if (byte !== this.#keys[this.#matched]) {
        out.push(...this.#keys.slice(0, this.#matched))
        this.#matched = byte === this.#keys[0] ? 1 : 0
        if (this.#matched === 0) out.push(byte)
        continue
      }
      this.#matched += 1
      if (this.#matched === this.#keys.length) return { bytes: Buffer.from(out), detached: true }
    }
    return { bytes: Buffer.from(out), detached: false }
  }
}
