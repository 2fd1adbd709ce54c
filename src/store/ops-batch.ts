/**
 * Gathers small pieces into buffers of 256 KiB: one write(2) per thousand files instead of several per file. Large pieces
 * pass as they are, since copying them costs more than a write does.
 */
const SIZE = 256 * 1024
const LARGE = 16 * 1024

export class OpsBatch {
  #buffer = Buffer.allocUnsafe(SIZE)
  #begin = 0
  #used = 0

  get empty(): boolean {
    return this.#used === this.#begin
  }

  *add(bytes: Buffer): Generator<Buffer> {
    if (bytes.length >= LARGE) {
      yield* this.flush()
      yield bytes
      return
    }
    for (let rest = bytes; rest.length > 0;) {
      const copied = rest.copy(this.#buffer, this.#used)
      this.#used += copied
      rest = rest.subarray(copied)
      if (this.#used === SIZE) yield* this.flush()
    }
  }

  *flush(): Generator<Buffer> {
    if (this.empty) return
    const gathered = this.#buffer.subarray(this.#begin, this.#used)
    // The rest of the buffer is still free, and nobody else's.
    this.#begin = this.#used
    if (this.#used === SIZE) {
      this.#buffer = Buffer.allocUnsafe(SIZE)
      this.#begin = this.#used = 0
    }
    yield gathered
  }
}
