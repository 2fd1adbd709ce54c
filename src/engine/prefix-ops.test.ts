import { test } from 'node:test'
import assert from 'node:assert/strict'
import {
  decodeOps,
  encodeChunk,
  encodeEntry,
  FILE_END,
  MAGIC,
  STREAM_END,
  type OpsEvent,
} from '../store/ops.ts'
import { prefixOps } from './prefix-ops.ts'

const common = { mode: 0o644, uid: 1, gid: 2, mtime: { sec: 3, ns: 4 } }

async function* stream(...parts: Buffer[]): AsyncGenerator<Buffer> {
  yield* parts
}

test('prefixOps moves entries and hard links, leaves symlinks and content as they are', async () => {
  const source = stream(
    MAGIC,
    encodeEntry({ kind: 'dir', path: '.', ...common }),
    encodeEntry({ kind: 'file', path: 'a', size: 2, ...common }),
    encodeChunk(2, 0),
    Buffer.from('hi'),
    FILE_END,
    encodeEntry({ kind: 'hardlink', path: 'b', link: 'a', ...common }),
    encodeEntry({ kind: 'symlink', path: 'c', link: '/x', ...common }),
    STREAM_END,
  )
  const events: OpsEvent[] = []
  for await (const event of decodeOps(prefixOps(source, 'in/here'))) events.push(event)
  const entries = events.flatMap((event) =>
    event.type === 'entry' ? [[event.entry.kind, event.entry.path, event.entry.link]] : [],
  )
  assert.deepEqual(entries, [
    ['dir', 'in/here', ''],
    ['file', 'in/here/a', ''],
    ['hardlink', 'in/here/b', 'in/here/a'],
    ['symlink', 'in/here/c', '/x'],
  ])
  assert.deepEqual(events[2], { type: 'data', offset: 0, bytes: Buffer.from('hi') })
})
