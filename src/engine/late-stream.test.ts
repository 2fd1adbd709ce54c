import { test } from 'node:test'
import assert from 'node:assert/strict'
import { Duplex, PassThrough } from 'node:stream'
import { LateStream } from './late-stream.ts'

function pair(): { inner: Duplex; toContainer: PassThrough; fromContainer: PassThrough } {
  const toContainer = new PassThrough()
  const fromContainer = new PassThrough()
  return {
    inner: Duplex.from({ readable: fromContainer, writable: toContainer }),
    toContainer,
    fromContainer,
  }
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  let all = ''
  for await (const chunk of stream) all += chunk.toString()
  return all
}

test('LateStream keeps what is written until it is connected, in order, with its end', async () => {
  const late = new LateStream()
  const { inner, toContainer, fromContainer } = pair()
  late.write('one ')
  late.end('two')
  late.connect(inner)
  fromContainer.end('out')
  assert.equal(await text(toContainer), 'one two')
  assert.equal(await text(late), 'out')
})

test('LateStream ends when it is abandoned', async () => {
  const late = new LateStream()
  late.write('lost')
  late.abandon()
  assert.equal(await text(late), '')
})

test('LateStream lets go of a connection that comes after its client has left', () => {
  const late = new LateStream()
  late.destroy()
  const inner = new PassThrough()
  late.connect(inner)
  assert.equal(inner.destroyed, true)
})

test('LateStream passes many megabytes without holding them', async () => {
  const late = new LateStream()
  const { inner, fromContainer } = pair()
  late.connect(inner)
  const chunk = Buffer.alloc(64 * 1024)
  void (async () => {
    for (let n = 0; n < 200; n += 1)
      if (!fromContainer.write(chunk)) await new Promise((done) => fromContainer.once('drain', done))
    fromContainer.end()
  })()
  let total = 0
  for await (const part of late) total += Buffer.isBuffer(part) ? part.length : 0
  assert.equal(total, 200 * chunk.length)
})
