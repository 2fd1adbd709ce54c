import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { ClientError, connect, older, parseAddress } from './connect.ts'

/** A server of one's own on a unix socket; `upgrade` echoes what it gets after our half-close. */
async function engine(answer: RequestListener): Promise<AsyncDisposable & { readonly socket: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'dwtclient-'))
  const socket = join(folder, 's')
  const server: Server = createServer((request, response) => {
    response.setHeader('Api-Version', '1.44')
    if (request.url === '/_ping') response.end()
    else answer(request, response)
  })
  server.on('upgrade', (_request, connection) => {
    connection.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly ')
    let seen = ''
    connection.on('data', (chunk: Buffer) => (seen += chunk.toString()))
    connection.on('end', () => connection.end(seen.toUpperCase()))
  })
  await new Promise<void>((resolve) => server.listen({ path: socket }, resolve))
  return {
    socket,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true })
    },
  }
}

test('connect speaks the older of both versions', async () => {
  const urls: (string | undefined)[] = []
  await using server = await engine((request, response) => {
    urls.push(request.url)
    response.end('[]')
  })
  await using client = await connect({ socket: server.socket })
  await client.containers.list({ all: true, filters: { name: ['a'] } })
  assert.equal(client.apiVersion, '1.44')
  assert.deepEqual(urls, ['/v1.44/containers/json?all=1&filters=%7B%22name%22%3A%7B%22a%22%3Atrue%7D%7D'])
  assert.equal(older('1.9', '1.24'), '1.9')
})

test('connect says that nothing is there in words docker uses, and that starting could help', async () => {
  const error = await connect({ socket: '/nonexistent/socket' }).catch((caught: unknown) => caught)
  assert.ok(error instanceof ClientError)
  assert.equal(error.unreachable, true)
  assert.match(error.message, /^Cannot connect to the Docker daemon at unix:\/\/\/nonexistent\/socket\./)
})

test('Client turns an answer ≥ 400 into a ClientError with status and message', async () => {
  await using server = await engine((_request, response) => {
    response.statusCode = 404
    response.end('{"message":"No such container: x"}')
  })
  await using client = await connect({ socket: server.socket })
  await assert.rejects(client.containers.inspect('x'), (error: unknown) => {
    return error instanceof ClientError && error.status === 404 && error.message === 'No such container: x'
  })
})

test('Client reads null and missing fields as empty and refuses a field of the wrong kind', async () => {
  let body = '[{"Id":"a","Names":null}]'
  await using server = await engine((_request, response) => response.end(body))
  await using client = await connect({ socket: server.socket })
  const [container] = await client.containers.list()
  assert.deepEqual([container?.Names, container?.Labels, container?.State], [[], {}, ''])
  body = '[{"Id":7}]'
  await assert.rejects(client.containers.list(), /containers\[0\]\.Id is not a string/)
})

test('attach gives a duplex whose end closes only our side', async () => {
  await using server = await engine(() => undefined)
  await using client = await connect({ socket: server.socket })
  const connection = await client.containers.attach('x', { stdin: true, stdout: true })
  connection.end('and more')
  assert.equal(await text(connection), 'early AND MORE')
})

test('wait resolves at the headers and gives the exit later', async () => {
  let finish: () => void = () => undefined
  await using server = await engine((_request, response) => {
    response.flushHeaders()
    finish = () => response.end('{"StatusCode":7}')
  })
  await using client = await connect({ socket: server.socket })
  const waiting = await client.containers.wait('x', { condition: 'next-exit' })
  finish()
  assert.equal((await waiting.result).StatusCode, 7)
})

test('an aborted call fails with ABORT_ERR', async () => {
  await using server = await engine(() => undefined)
  await using client = await connect({ socket: server.socket })
  const stop = new AbortController()
  const call = client.containers.logs('x', { stdout: true, signal: stop.signal })
  stop.abort()
  await assert.rejects(call, (error: unknown) => error instanceof ClientError && error.code === 'ABORT_ERR')
})

test('parseAddress reads docker’s notation and refuses what it cannot reach', () => {
  assert.deepEqual(parseAddress('unix:///a/b'), { kind: 'unix', path: '/a/b' })
  assert.deepEqual(parseAddress('/a/b'), { kind: 'unix', path: '/a/b' })
  assert.deepEqual(parseAddress('tcp://[::1]:99'), { kind: 'tcp', host: '::1', port: 99 })
  assert.deepEqual(parseAddress('tcp://host'), { kind: 'tcp', host: 'host', port: 2375 })
  for (const bad of ['ssh://x', 'unix://', '', 'x']) assert.throws(() => parseAddress(bad), ClientError)
})

test('connect says what to check when nothing answers over TCP', async () => {
  // Port 1 (tcpmux): nobody listens there; and a name that no resolver knows.
  for (const socket of ['tcp://127.0.0.1:1', 'tcp://nowhere.invalid:2375'])
    await assert.rejects(connect({ socket }), (error) => {
      assert.ok(error instanceof ClientError)
      assert.match(error.message, /nowhere\.invalid|127\.0\.0\.1:1/)
      assert.match(error.message, /\(check host and port of -H or DOCKER_HOST/)
      return true
    })
})

test('Client survives a signal that comes while the end of the answer is at hand', async () => {
  await using server = await engine((_request, response) => response.end('{}\n'))
  await using client = await connect({ socket: server.socket })
  for (let round = 0; round < 20; round++) {
    const stop = new AbortController()
    const reading = async (): Promise<void> => {
      for await (const _event of client.system.events({ signal: stop.signal })) stop.abort()
    }
    await reading().catch((error: Error) => assert.match(error.message, /aborted/))
    await new Promise((resolve) => setImmediate(resolve))
  }
})
