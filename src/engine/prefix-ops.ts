/** Moves everything in an operation stream below a folder: how `cp` unpacks into a path of the container's root. */
import {
  CHUNK_HEADER_BYTES,
  decodeOps,
  encodeChunk,
  encodeEntry,
  FILE_END,
  MAGIC,
  STREAM_END,
  type Entry,
  type OpsEvent,
} from '../store/ops.ts'

/** `folder`: a byte string without a leading slash; empty for the root itself. Its symlinks are resolved in the root. */
export async function* prefixOps(ops: AsyncIterable<Buffer>, folder: string): AsyncGenerator<Buffer> {
  if (folder === '') {
    yield* ops
    return
  }
  yield MAGIC
  for await (const event of decodeOps(ops)) yield encodeEvent(event, folder)
  yield STREAM_END
}

function encodeEvent(event: OpsEvent, folder: string): Buffer {
  switch (event.type) {
    case 'entry':
      return encodeEntry(moved(event.entry, folder))
    case 'data':
      return Buffer.concat(
        [encodeChunk(event.bytes.length, event.offset), event.bytes],
        CHUNK_HEADER_BYTES + event.bytes.length,
      )
    case 'file-end':
      return FILE_END
  }
}

function moved(entry: Entry, folder: string): Entry {
  const below = (path: string): string => (path === '.' || path === '' ? folder : `${folder}/${path}`)
  const link = entry.kind === 'hardlink' && entry.link !== undefined ? { link: below(entry.link) } : {}
  return { ...entry, ...link, path: below(entry.path) }
}
