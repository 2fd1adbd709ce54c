import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { answers } from './choose-image.ts'

test('answers takes "unauthorized" for an answer and a server error for none', async () => {
  for (const [status, expected] of [
    [401, true],
    [200, true],
    [502, false],
  ] as const) {
    const server = createServer((_request, response) => response.writeHead(status).end()).listen(
      0,
      '127.0.0.1',
    )
    await once(server, 'listening')
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    assert.equal(await answers(`http://127.0.0.1:${address.port}`), expected, String(status))
    server.close()
  }
})

test('answers gives up on a registry that accepts and says nothing', async () => {
  const server = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  assert.equal(await answers(`http://127.0.0.1:${address.port}`, 100), false)
  server.closeAllConnections()
  server.close()
})

test('answers is false for a name that does not resolve and for what is no address', async () => {
  assert.equal(await answers('http://nowhere.invalid'), false)
  assert.equal(await answers('not an address'), false)
})
