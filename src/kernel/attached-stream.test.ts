import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { AttachedStream } from './attached-stream.ts'

test('AttachedStream ends when its output had ended before it was made', { timeout: 20_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dwt-attached-'))
  const server = createServer((socket) => socket.end())
  try {
    server.listen(join(folder, 's.sock'))
    await once(server, 'listening')
    const output = connect({ path: join(folder, 's.sock'), allowHalfOpen: true })
    await once(output, 'end')
    assert.equal(await text(new AttachedStream(output, undefined)), '')
    output.destroy()
  } finally {
    server.close()
    await rm(folder, { recursive: true })
  }
})
