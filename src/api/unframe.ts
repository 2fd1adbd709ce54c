/** Takes the heads off Docker's multiplexed frames. */
import { Transform, type TransformCallback } from 'node:stream'

const HEAD = 8

/** Reads `stream type, 0, 0, 0, u32 length` heads; passes what they announce, both streams as one. */
export class Unframe extends Transform {
  #head: Buffer = Buffer.alloc(0)
  /** Bytes of the current frame yet to come. */
  #left = 0

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    for (let at = 0; at < chunk.length;) {
      const take = Math.min(this.#left === 0 ? HEAD - this.#head.length : this.#left, chunk.length - at)
      const part = chunk.subarray(at, at + take)
      at += take
      if (this.#left > 0) {
        this.#left -= take
        this.push(part)
        continue
      }
      this.#head = Buffer.concat([this.#head, part])
      if (this.#head.length < HEAD) continue
      this.#left = this.#head.readUInt32BE(4)
      this.#head = Buffer.alloc(0)
    }
    done()
  }
}
