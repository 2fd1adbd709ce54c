import type { Readable } from 'node:stream'

/** The chunks of a byte stream; what is no chunk of bytes (a stream in object mode) is an error. */
export async function* bytesOf(source: Readable): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    const value: unknown = chunk
    if (Buffer.isBuffer(value)) yield value
    else if (typeof value === 'string') yield Buffer.from(value)
    else throw new TypeError('reading a stream failed: it does not give bytes')
  }
}
