/**
 * Writes of a stream that come in bursts: the first is sent at once, what follows within a few milliseconds goes
 * together. One write(2) for each event and listener was most of what telling a hundred listeners cost.
 */
import type { ServerResponse } from 'node:http'

const WINDOW_MS = 5
/** More than this is not held back. */
const HELD_MOST = 64 * 1024

export class Bursts {
  readonly #response: ServerResponse
  #held = ''
  #timer: NodeJS.Timeout | undefined

  constructor(response: ServerResponse) {
    this.#response = response
  }

  /** Like the response's own: false when the client is slower, and `drain` follows. */
  write(text: string): boolean {
    if (this.#timer === undefined) {
      this.#pause()
      return this.#response.write(text)
    }
    this.#held += text
    if (this.#held.length >= HELD_MOST) return this.#flush()
    return !this.#response.writableNeedDrain
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#flush()
    this.#response.end()
  }

  #pause(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#held === '' || this.#response.destroyed) return
      this.#flush()
      this.#pause()
    }, WINDOW_MS)
  }

  #flush(): boolean {
    const text = this.#held
    this.#held = ''
    return text === '' || this.#response.write(text)
  }
}
