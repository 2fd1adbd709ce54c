import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { DewarError } from '../../src/base/errors.ts'
import { fakeEngine, serve } from './fake-engine.ts'
import { ask, dial } from './raw-client.ts'

/** The message of an error answer. */
function messageIn(body: string): string {
  const parsed: unknown = JSON.parse(body)
  return typeof parsed === 'object' && parsed !== null && 'message' in parsed ? String(parsed.message) : ''
}

test('_ping says what clients negotiate with, with GET and HEAD, with and without a version', async () => {
  await using served = await serve(fakeEngine())
  for (const path of ['/_ping', '/v1.24/_ping', '/v1.51/_ping']) {
    for (const method of ['GET', 'HEAD']) {
      const reply = await ask(served, path, { method })
      assert.equal(reply.status, 200)
      assert.equal(reply.body, method === 'GET' ? 'OK' : '')
      assert.deepEqual(
        ['api-version', 'docker-experimental', 'ostype', 'builder-version', 'server', 'content-type'].map(
          (name) => reply.headers[name],
        ),
        ['1.51', 'false', 'linux', '1', 'Dewar/9.9.9 (linux)', 'text/plain; charset=utf-8'],
      )
    }
  }
})

test('an idle connection is never closed: a client would find that out by its next request', async () => {
  await using served = await serve(fakeEngine())
  const accepted = new Promise<Socket>((resolve) => served.server.once('connection', resolve))
  const client = await dial(served)
  client.write('GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n')
  const answer = await new Promise<Buffer>((resolve) => client.once('data', resolve))
  assert.match(String(answer), /^HTTP\/1.1 200 /)
  assert.equal((await accepted).timeout ?? 0, 0)
  client.destroy()
})

test('a version that is not served is refused in dockerd’s words', async () => {
  await using served = await serve(fakeEngine())
  const message = async (path: string): Promise<[number, string]> => {
    const { status, body } = await ask(served, path)
    return [status, messageIn(body)]
  }
  assert.deepEqual(await message('/v1.23/info'), [
    400,
    'client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version',
  ])
  assert.deepEqual(await message('/v1.52/info'), [
    400,
    'client version 1.52 is too new. Maximum supported API version is 1.51',
  ])
  assert.deepEqual(await message('/v2.0/info'), [
    400,
    'client version 2.0 is too new. Maximum supported API version is 1.51',
  ])
})

test('paths nobody serves are answered with 404 page not found', async () => {
  await using served = await serve(fakeEngine())
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/nope'],
    ['GET', '/v1.41'],
    ['GET', '/v1.41/'],
    ['PUT', '/info'],
    ['POST', '/containers/json'],
    ['GET', '/images/x/nope'],
    ['GET', '/vx/info'],
    ['PATCH', '/containers/x'],
    ['GET', '/debug/vars'],
    ['GET', '/v1.48/debug/pprof/heap'],
  ] as const) {
    const reply = await ask(served, path, { method })
    assert.deepEqual([path, reply.status, reply.body], [path, 404, '{"message":"page not found"}\n'])
  }
})

test('answers are dockerd’s: JSON without a charset, a line feed at the end, errors as a message', async () => {
  await using served = await serve(fakeEngine())
  const list = await ask(served, '/v1.41/containers/json')
  assert.deepEqual([list.status, list.headers['content-type'], list.body], [200, 'application/json', '[]\n'])
  const missing = await ask(served, '/containers/x/json')
  assert.deepEqual(
    [missing.status, missing.headers['content-type'], missing.body],
    [404, 'application/json', '{"message":"No such object"}\n'],
  )
})

test('304 has no body', async () => {
  const engine = fakeEngine({
    containers: {
      start: async () => {
        throw new DewarError('not-modified', 'already started')
      },
    },
  })
  await using served = await serve(engine)
  const reply = await ask(served, '/containers/x/start', { method: 'POST' })
  assert.deepEqual([reply.status, reply.body], [304, ''])
})

test('a defect of ours is a 500 without a stack', async (t) => {
  const lines: string[] = []
  t.mock.method(process.stderr, 'write', (text: string) => lines.push(text) > 0)
  const engine = fakeEngine({
    info: async () => {
      throw new TypeError('boom')
    },
  })
  await using served = await serve(engine)
  const reply = await ask(served, '/info')
  assert.deepEqual([reply.status, reply.body], [500, '{"message":"internal error: boom"}\n'])
  assert.match(lines.join(''), /TypeError: boom\n\s+at /)
})

test('what Dewar leaves out is said in dockerd’s words', async () => {
  await using served = await serve(fakeEngine())
  for (const path of [
    '/nodes',
    '/services',
    '/tasks',
    '/secrets',
    '/configs',
    '/swarm',
    '/nodes/x',
    '/v1.41/services/x/logs',
  ]) {
    const reply = await ask(served, path)
    assert.equal(reply.status, 503, path)
    assert.match(reply.body, /^{"message":"This node is not a swarm manager\. Use \\"docker swarm init\\"/)
  }
  assert.equal((await ask(served, '/plugins')).body, '[]\n')
  assert.deepEqual(
    (await ask(served, '/plugins/foo/json')).body,
    '{"message":"plugin \\"foo\\" not found"}\n',
  )
  for (const [method, path] of [
    ['POST', '/build?version=2'],
    ['POST', '/swarm/init'],
  ] as const) {
    assert.equal((await ask(served, path, { method })).status, 501, path)
  }
  assert.equal(
    (await ask(served, '/build/prune', { method: 'POST' })).body,
    '{"CachesDeleted":null,"SpaceReclaimed":0}\n',
  )
  assert.equal((await ask(served, '/session', { method: 'POST' })).status, 400)
})

test('a request costs well under half a millisecond of our own', async () => {
  await using served = await serve(fakeEngine())
  const socket = await dial(served)
  const rounds = 500
  let answers = 0
  const all = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      answers += chunk.toString('latin1').split('HTTP/1.1 200').length - 1
      if (answers >= rounds) resolve()
    })
  })
  const started = process.cpuUsage()
  socket.write('GET /v1.45/containers/json?all=1 HTTP/1.1\r\nHost: d\r\n\r\n'.repeat(rounds))
  await all
  const { user, system } = process.cpuUsage(started)
  const each = (user + system) / 1000 / rounds
  // Of the processor, with the client's part; budget 0.5 ms, and four times that on a slow machine.
  assert.ok(each < 2, `${each.toFixed(3)} ms`)
  process.stdout.write(`# ${each.toFixed(3)} ms for each request\n`)
  socket.destroy()
})
