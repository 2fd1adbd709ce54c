/** Gathers small pieces into buffers of 256 KiB: one write(2) per thousand files instead of several per file. */
const SIZE = 256 * 1024

export class OpsBatch {
  #buffer = Buffer.allocUnsafe(SIZE)
  #used = 0

  get empty(): boolean {
    return this.#used === 0
  }

  *add(bytes: Buffer): Generator<Buffer> {
    for (let rest = bytes; rest.length > 0;) {
      const copied = rest.copy(this.#buffer, this.#used)
      this.#used += copied
      rest = rest.subarray(copied)
      if (this.#used === SIZE) yield* this.flush()
    }
  }

  *flush(): Generator<Buffer> {
    if (this.empty) return
    const full = this.#buffer.subarray(0, this.#used)
    this.#buffer = Buffer.allocUnsafe(SIZE)
    this.#used = 0
    yield full
  }
}
