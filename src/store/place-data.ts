import type { OpsBatch } from './ops-batch.ts'
import { encodeChunk } from './ops.ts'

const HOLE = 4096
const ZEROS = Buffer.alloc(HOLE)

/**
 * Zeros become holes: an image of 10 GB of zeros costs nothing on disk. Looked at in pieces that end at multiples of
 * 4 KiB of the file, so that a buffer that begins anywhere leaves no fringe.
 */
export function* placeData(offset: number, bytes: Buffer, batch: OpsBatch): Generator<Buffer> {
  let from = 0
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + HOLE - ((offset + at) % HOLE))
    if (isZero(bytes, at, end)) {
      yield* addChunk(offset + from, bytes.subarray(from, at), batch)
      from = end
    }
    at = end
  }
  yield* addChunk(offset + from, bytes.subarray(from), batch)
}

function isZero(bytes: Buffer, at: number, end: number): boolean {
  if (bytes[at] !== 0 || bytes[end - 1] !== 0) return false
  return bytes.compare(ZEROS, 0, end - at, at, end) === 0
}

function* addChunk(offset: number, bytes: Buffer, batch: OpsBatch): Generator<Buffer> {
  if (bytes.length === 0) return
  yield* batch.add(encodeChunk(bytes.length, offset))
  yield* batch.add(bytes)
}
