import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pack } from 'tar-stream'
import { TarReader } from './tar-read.ts'

async function tar(): Promise<Buffer> {
  const archive = pack()
  archive.entry({ name: 'a' }, 'x'.repeat(600))
  archive.entry({ name: 'b' }, 'y'.repeat(100))
  archive.finalize()
  const parts: Buffer[] = []
  for await (const part of archive) parts.push(Buffer.from(part as Uint8Array))
  return Buffer.concat(parts)
}

function read(bytes: Buffer): string[] {
  const reader = new TarReader()
  const names = [...reader.push(bytes)].flatMap((event) => (event.type === 'entry' ? [event.entry.name] : []))
  reader.finish()
  return names
}

test('TarReader takes an archive that ends after the last content, without padding or end mark', async () => {
  const whole = await tar()
  // Two headers, 600 bytes padded to 1,024, 100 bytes.
  const end = 512 + 1024 + 512 + 100
  assert.deepEqual(read(whole), ['a', 'b'])
  for (const length of [end, end + 1, end + 412])
    assert.deepEqual(read(whole.subarray(0, length)), ['a', 'b'])
})

test('TarReader refuses an archive that ends inside of a header or a content', async () => {
  const whole = await tar()
  for (const length of [100, 600, 1536 + 511, 2048 + 99])
    assert.throws(() => read(whole.subarray(0, length)), /unexpected end of archive/, String(length))
})
