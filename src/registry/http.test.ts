import assert from 'node:assert/strict'
import http from 'node:http'
import { test } from 'node:test'
import { exchange } from './http.ts'

test('exchange sends a long body without heaping up listeners', async () => {
  let received = 0
  const server = http.createServer((request, response) => {
    request.on('data', (bytes: Buffer) => (received += bytes.length))
    request.on('end', () => response.end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const warnings: Error[] = []
  const warned = (warning: Error): number => warnings.push(warning)
  process.on('warning', warned)
  async function* body(): AsyncGenerator<Buffer> {
    for (let i = 0; i < 200; i++) yield Buffer.alloc(256 * 1024)
  }
  const url = new URL(`http://127.0.0.1:${address.port}/`)
  const answer = await exchange({ method: 'PUT', url, headers: {}, body: body(), stallMs: 10_000 })
  answer.body.resume()
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', warned)
  server.closeAllConnections()
  server.close()
  assert.equal(received, 200 * 256 * 1024)
  assert.deepEqual(warnings, [])
})
