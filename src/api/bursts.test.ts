import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Bursts } from './bursts.ts'

async function chunksOf(
  speak: (bursts: Bursts, first: Promise<unknown>) => Promise<void>,
): Promise<string[]> {
  let heard: (value: unknown) => void = () => undefined
  const first = new Promise((resolve) => (heard = resolve))
  const server = createServer((_, response) => void speak(new Bursts(response), first))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const answer = await new Promise<IncomingMessage>((resolve) => get({ port, host: '127.0.0.1' }, resolve))
  const chunks: string[] = []
  answer.on('data', (chunk: Buffer) => {
    chunks.push(chunk.toString())
    heard(undefined)
  })
  await once(answer, 'end')
  server.close()
  return chunks
}

test('Bursts sends the first line at once, and what follows it closely together and in order', async () => {
  const lines = Array.from({ length: 500 }, (_, n) => `${n}\n`)
  const chunks = await chunksOf(async (bursts, first) => {
    bursts.write('begin\n')
    // Never comes if the first line waits for more.
    await first
    for (const line of lines) bursts.write(line)
    bursts.end()
  })
  assert.equal(chunks.join(''), `begin\n${lines.join('')}`)
  assert.ok(chunks.length < 50, `${chunks.length} chunks`)
})

test('Bursts sends what was held back without being told to', async () => {
  const chunks = await chunksOf(async (bursts, first) => {
    bursts.write('one\n')
    bursts.write('two\n')
    await first
    await new Promise((resolve) => setTimeout(resolve, 30))
    bursts.write('three\n')
    await new Promise((resolve) => setTimeout(resolve, 30))
    bursts.end()
  })
  assert.equal(chunks.join(''), 'one\ntwo\nthree\n')
})

test('Bursts asks to wait for a client that takes nothing, also when no burst is large', async () => {
  const server = createServer((_, response) => server.emit('bursts', new Bursts(response)))
  const path = join(tmpdir(), `dwt-bursts-${process.pid}`)
  server.listen(path)
  await once(server, 'listening')
  const client = connect(path).pause()
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const [bursts] = (await once(server, 'bursts')) as [Bursts]
  const text = 'x'.repeat(10_000)
  let written = 0
  // Unix sockets hold some 200 kB.
  while (written < 400 && bursts.write(text)) {
    written += 1
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  client.destroy()
  server.close()
  assert.ok(written < 400, 'it takes 4 MB that nobody reads')
})
