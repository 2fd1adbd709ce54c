/** The key sequence that leaves an attached terminal ("ctrl-p,ctrl-q"), parsed and recognised in a byte stream. */
import { Transform, type TransformCallback } from 'node:stream'
import { DewarError } from '../base/errors.ts'

export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q'

const NAMED_CONTROL: ReadonlyMap<string, number> = new Map([
  ['@', 0],
  ['[', 27],
  ['\\', 28],
  [']', 29],
  ['^', 30],
  ['_', 31],
])

/** Throws `invalid-argument` with dockerd's words for a key it does not know. */
export function parseDetachKeys(text: string): Buffer {
  const keys = text === '' ? DEFAULT_DETACH_KEYS : text
  return Buffer.from(keys.split(',').map((key) => keyCode(key, keys)))
}

function keyCode(key: string, whole: string): number {
  if (key.length === 1 && key.charCodeAt(0) < 128) return key.charCodeAt(0)
  const control = /^ctrl-(.)$/.exec(key)?.[1]
  const code = control === undefined ? undefined : controlCode(control)
  if (code === undefined) {
    throw new DewarError('invalid-argument', `Invalid detach keys (${whole}) provided`, {
      remedy: 'a key is one ASCII character or ctrl- followed by a-z, @, [, \\, ], ^ or _',
    })
  }
  return code
}

function controlCode(character: string): number | undefined {
  if (character >= 'a' && character <= 'z') return character.charCodeAt(0) - 96
  return NAMED_CONTROL.get(character)
}

/**
 * Passes bytes through and ends when the sequence was typed. The sequence itself never reaches the container;
 * a beginning that turns out to be something else does.
 */
export class DetachFilter extends Transform {
  readonly #keys: Buffer
  readonly #onDetach: () => void
  #matched = 0
  #detached = false

  constructor(keys: Buffer, onDetach: () => void) {
    super()
    this.#keys = keys
    this.#onDetach = onDetach
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#detached || this.#keys.length === 0) {
      done(null, this.#detached ? undefined : chunk)
      return
    }
    const out: Buffer[] = []
    for (let at = 0; at < chunk.length && !this.#detached; at += 1)
      this.#step(chunk.subarray(at, at + 1), out)
    if (out.length > 0) this.push(Buffer.concat(out))
    if (this.#detached) {
      this.#onDetach()
      this.push(null)
    }
    done()
  }

  override _flush(done: TransformCallback): void {
    // The stream ended in the middle of a sequence: those were ordinary bytes after all.
    if (!this.#detached && this.#matched > 0) this.push(this.#keys.subarray(0, this.#matched))
    done()
  }

  #step(byte: Buffer, out: Buffer[]): void {
    if (byte[0] === this.#keys[this.#matched]) {
      this.#matched += 1
      this.#detached = this.#matched === this.#keys.length
      return
    }
    if (this.#matched > 0) out.push(this.#keys.subarray(0, this.#matched))
    this.#matched = byte[0] === this.#keys[0] ? 1 : 0
    if (this.#matched === 0) out.push(byte)
    else this.#detached = this.#keys.length === 1
  }
}
