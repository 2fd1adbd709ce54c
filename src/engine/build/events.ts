/** Small turns of operation events: encoding, leaving out, placing elsewhere, the bytes of one file. */
import { DefaultAcls } from '../../store/default-acls.ts'
import {
  encodeChunk,
  encodeEntry,
  FILE_END,
  MAGIC,
  STREAM_END,
  type Entry,
  type OpsEvent,
} from '../../store/ops.ts'
import { OpsBatch } from '../../store/ops-batch.ts'

export async function* encodeEvents(events: AsyncIterable<OpsEvent>): AsyncGenerator<Buffer> {
  const batch = new OpsBatch()
  const acls = new DefaultAcls()
  yield* batch.add(MAGIC)
  for await (const event of events) {
    if (event.type === 'entry') {
      for (const entry of acls.take(event.entry)) yield* batch.add(encodeEntry(entry))
    } else if (event.type === 'data') {
      yield* batch.add(encodeChunk(event.bytes.length, event.offset))
      yield* batch.add(event.bytes)
    } else yield* batch.add(FILE_END)
  }
  for (const entry of acls.rest()) yield* batch.add(encodeEntry(entry))
  yield* batch.add(STREAM_END)
  yield* batch.flush()
}

/** Each entry as `change` gives it; those it gives none for go, with their content. */
export async function* mapEntries(
  events: AsyncIterable<OpsEvent>,
  change: (entry: Entry) => Entry | undefined,
): AsyncGenerator<OpsEvent> {
  let skipping = false
  for await (const event of events) {
    if (event.type !== 'entry') {
      if (!skipping) yield event
      continue
    }
    const entry = change(event.entry)
    skipping = entry === undefined
    if (entry !== undefined) yield { type: 'entry', entry }
  }
}

/** `folder`: bytes, relative; "" is the root. */
export function below(folder: string, path: string): string {
  if (path === '.' || path === '') return folder === '' ? '.' : folder
  return folder === '' ? path : `${folder}/${path}`
}

/** The entry and what it links to, moved below a folder. */
export function movedBelow(entry: Entry, folder: string): Entry {
  const link = entry.kind === 'hardlink' ? { link: below(folder, entry.link ?? '') } : {}
  return { ...entry, ...link, path: below(folder, entry.path) }
}

const ZEROS = Buffer.alloc(256 * 1024)

/** The content of the one file that the events describe, its holes as zeros. */
export async function* contentOf(events: AsyncIterable<OpsEvent>): AsyncGenerator<Buffer> {
  let at = 0
  let size = 0
  for await (const event of events) {
    if (event.type === 'entry') size = event.entry.size ?? 0
    const until = event.type === 'data' ? event.offset : event.type === 'file-end' ? size : 0
    for (; at < until; at += Math.min(ZEROS.length, until - at)) yield ZEROS.subarray(0, until - at)
    if (event.type !== 'data') continue
    yield event.bytes
    at += event.bytes.length
  }
}
