import { test } from 'node:test'
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { frame, onFrames } from './frames.ts'

const bytes = Buffer.concat([
  frame('D', Buffer.from('first')),
  frame('D'),
  frame('D', Buffer.from('second')),
  frame('O', Buffer.from('done')),
])

/** What arrives when the stream is cut into pieces of `size`. */
async function arrived(size: number, flowing: boolean): Promise<string[]> {
  const stream = new PassThrough()
  const seen: string[] = []
  const take = ({ type, payload }: { type: string; payload: Buffer }) =>
    seen.push(`${type}:${payload.toString()}`)
  onFrames(stream, take, flowing ? (part) => seen.push(`part:${part.toString()}`) : undefined)
  for (let at = 0; at < bytes.length; at += size) stream.write(bytes.subarray(at, at + size))
  stream.end()
  await new Promise((resolve) => stream.once('end', resolve))
  return seen
}

test('onFrames gives whole frames, however the stream is cut', async () => {
  for (let size = 1; size <= bytes.length; size += 1)
    assert.deepEqual(await arrived(size, false), ['D:first', 'D:', 'D:second', 'O:done'], `pieces of ${size}`)
})

test('onFrames lets the payload of data frames flow in order, and still sees what follows', async () => {
  for (let size = 1; size <= bytes.length; size += 1) {
    const seen = await arrived(size, true)
    const parts = seen.filter((one) => one.startsWith('part:')).map((one) => one.slice('part:'.length))
    assert.equal(parts.join(''), 'firstsecond', `pieces of ${size}`)
    assert.equal(seen.at(-1), 'O:done', `pieces of ${size}`)
    assert.equal(seen.length, parts.length + 1, `pieces of ${size}`)
  }
})
