import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { DewarError } from '../../src/base/errors.ts'
import type { EngineEvent } from '../../src/engine/types.ts'
import { fakeEngine, serve } from './fake-engine.ts'
import { ask, dial, readAll, readHead } from './raw-client.ts'

test('wait sends its headers before the container ends', async () => {
  let finish: (value: { code: number }) => void = () => undefined
  const result = new Promise<{ code: number }>((resolve) => (finish = resolve))
  await using served = await serve(fakeEngine({ containers: { wait: async () => ({ result }) } }))
  const socket = await dial(served)
  socket.write(
    'POST /v1.45/containers/x/wait?condition=next-exit HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  )
  assert.match(await readHead(socket), /^HTTP\/1\.1 200 OK\r\n/)
  finish({ code: 7 })
  assert.match((await readAll(socket)).toString(), /{"StatusCode":7}\n/)
  assert.equal((await ask(served, '/containers/x/wait?condition=foo', { method: 'POST' })).status, 400)
})

test('a failure before the first line of progress keeps its status, a later one becomes an error line', async () => {
  let lines = 0
  const engine = fakeEngine({
    images: {
      pull: async (_ref, { onProgress }) => {
        for (let line = 0; line < lines; line++)
          onProgress({ status: 'Pulling fs layer', id: 'abc', progressDetail: {} })
        throw new DewarError('not-found', 'manifest unknown')
      },
    },
  })
  await using served = await serve(engine)
  const early = await ask(served, '/images/create?fromImage=x&tag=1', { method: 'POST' })
  assert.deepEqual([early.status, early.body], [404, '{"message":"manifest unknown"}\n'])
  lines = 1
  const late = await ask(served, '/images/create?fromImage=x&tag=1', { method: 'POST' })
  assert.equal(late.status, 200)
  assert.equal(
    late.body,
    '{"status":"Pulling fs layer","id":"abc","progressDetail":{}}\r\n{"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"}\r\n',
  )
})

test('a pull is aborted when its client leaves', async () => {
  let aborted: () => void = () => undefined
  const done = new Promise<void>((resolve) => (aborted = resolve))
  const engine = fakeEngine({
    images: {
      pull: (_ref, { onProgress, signal }) =>
        new Promise((_resolve, reject) => {
          onProgress({ status: 'Waiting' })
          signal.addEventListener('abort', () => {
            aborted()
            reject(new Error('aborted'))
          })
        }),
    },
  })
  await using served = await serve(engine)
  const socket = await dial(served)
  socket.write('POST /images/create?fromImage=a&tag=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n')
  await readHead(socket)
  socket.destroy()
  await done
})

test('load, import and archive uploads arrive whole, as they were sent', async () => {
  const seen: string[] = []
  const take = async (tar: Readable): Promise<void> => {
    seen.push((await buffer(tar)).toString('latin1'))
  }
  const engine = fakeEngine({
    images: {
      load: take,
      import: async (tar) => {
        await take(tar)
        return 'sha256:1'
      },
    },
    containers: { archivePut: (_ref, _path, tar) => take(tar) },
  })
  await using served = await serve(engine)
  const tar = 'not really a tar '.repeat(1000)
  const packed = gzipSync(tar)
  await ask(served, '/images/load', {
    method: 'POST',
    body: tar,
    headers: { 'content-type': 'application/x-tar' },
  })
  await ask(served, '/images/load', { method: 'POST', body: packed })
  const imported = await ask(served, '/images/create?fromSrc=-&repo=a&tag=b', { method: 'POST', body: tar })
  assert.equal(imported.body, '{"status":"sha256:1"}\r\n')
  await ask(served, '/containers/x/archive?path=/', { method: 'PUT', body: packed })
  await ask(served, '/containers/x/archive?path=/', { method: 'PUT', body: 'abc' })
  await ask(served, '/containers/x/archive?path=/', { method: 'PUT' })
  const asSent = packed.toString('latin1')
  assert.deepEqual(seen, [tar, asSent, tar, asSent, 'abc', ''])
  assert.equal((await ask(served, '/containers/x/archive?path=', { method: 'PUT', body: tar })).status, 400)
})

test('a download that fails in the middle is cut, so that half cannot pass for the whole', async (t) => {
  t.mock.method(process.stderr, 'write', () => true)
  const broken = (): Readable =>
    Readable.from(
      (async function* () {
        yield Buffer.alloc(1000)
        throw new Error('disk gone')
      })(),
    )
  const never = (): Readable =>
    new Readable({
      read() {
        this.destroy(new DewarError('system', 'cannot read'))
      },
    })
  let stream = broken
  await using served = await serve(fakeEngine({ containers: { export: async () => stream() } }))
  await assert.rejects(ask(served, '/containers/x/export'))
  stream = never
  const early = await ask(served, '/containers/x/export')
  assert.deepEqual([early.status, early.body], [500, '{"message":"cannot read"}\n'])
})

test('events flush their headers at once and stop when the client leaves', async () => {
  let stopped: () => void = () => undefined
  const done = new Promise<void>((resolve) => (stopped = resolve))
  const events = async function* ({ signal }: { signal: AbortSignal }): AsyncGenerator<EngineEvent> {
    try {
      yield {
        type: 'container',
        action: 'start',
        actor: { id: 'i', attributes: { image: 'b' } },
        time: 1_700_000_000_123,
        timeNano: 1_700_000_000_123_456_789n,
      }
      await once(signal, 'abort')
    } finally {
      stopped()
    }
  }
  await using served = await serve(fakeEngine({ events }))
  const socket = await dial(served)
  socket.write('GET /events HTTP/1.1\r\nHost: d\r\n\r\n')
  assert.match(await readHead(socket), /200 OK/)
  const line = once(socket, 'data')
  socket.resume()
  assert.match(String((await line)[0]), /"scope":"local","time":1700000000,"timeNano":1700000000123456789}\n/)
  socket.destroy()
  await done
  assert.equal((await ask(served, '/events?since=10&until=5')).status, 400)
})
