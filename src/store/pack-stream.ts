/** Between a process that packs and what takes its stream apart. */
import { PassThrough } from 'node:stream'

/** Of the size that comes out of a pipe: half a megabyte. */
const CHUNKS = 8

/** Counts chunks, not bytes: a reader of bytes would be given all that waits as one copy. */
export function packStream(): PassThrough {
  const stream = new PassThrough({ objectMode: true, highWaterMark: CHUNKS })
  // Packing may fail before anybody reads, and an error nobody listens to ends the engine. Who reads later is told it.
  return stream.on('error', () => undefined)
}
