import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { API_VERSION } from '../../src/api/api-version.ts'
import { DewarError, type ErrorCode } from '../../src/base/errors.ts'
import type { EngineApi } from '../../src/engine/types.ts'
import { fakeEngine, serve } from './fake-engine.ts'
import { ask, dial, readAll, readHead } from './raw-client.ts'

const ATTACH =
  'POST /v1.45/containers/c1/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n'

function attaching(stream: Duplex, tty = false): EngineApi {
  return fakeEngine({ containers: { attach: async () => ({ stream, tty }) } })
}

/** Keeps what is written and answers nothing. */
function sink(): { stream: Duplex; received: () => string; ended: Promise<unknown> } {
  const chunks: Buffer[] = []
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk)
      done()
    },
  })
  return { stream, received: () => Buffer.concat(chunks).toString(), ended: once(stream, 'finish') }
}

test('attach upgrades the connection and names the stream by version and terminal', async () => {
  for (const [tty, version, type] of [
    [false, 'v1.41', 'raw'],
    [false, 'v1.42', 'multiplexed'],
    [true, 'v1.50', 'raw'],
  ] as const) {
    const { stream } = sink()
    await using served = await serve(attaching(stream, tty))
    const socket = await dial(served)
    socket.write(ATTACH.replace('v1.45', version))
    const head = await readHead(socket)
    assert.match(head, /^HTTP\/1\.1 101 UPGRADED\r\n/)
    assert.match(head, new RegExp(`Content-Type: application/vnd\\.docker\\.${type}-stream\r\n`))
    assert.ok(head.includes(`Api-Version: ${API_VERSION}\r\n`), head)
    socket.destroy()
  }
})

test('attach delivers bytes that came together with the headers', async () => {
  const { stream, received, ended } = sink()
  await using served = await serve(attaching(stream))
  const socket = await dial(served)
  socket.end(`${ATTACH}early bytes`)
  await ended
  assert.equal(received(), 'early bytes')
  socket.destroy()
})

test('attach takes the client’s half-close as end of input and goes on with the output', async () => {
  const stream = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(),
    final(done) {
      this.push('output after the end of input')
      this.push(null)
      done()
    },
  })
  await using served = await serve(attaching(stream))
  const socket = await dial(served)
  socket.end(`${ATTACH}x`)
  await readHead(socket)
  assert.equal((await readAll(socket)).toString(), 'output after the end of input')
})

test('attach destroys the engine’s stream when a half-closed client dies and the container is silent', async () => {
  const { stream, ended } = sink()
  await using served = await serve(attaching(stream))
  const socket = await dial(served)
  socket.write(ATTACH)
  await readHead(socket)
  socket.end()
  await ended
  assert.equal(stream.destroyed, false)
  socket.destroy()
  await once(stream, 'close')
})

test('attach ends the connection of a client that keeps its side open when the output ends', async () => {
  const { stream } = sink()
  await using served = await serve(attaching(stream))
  const socket = await dial(served)
  socket.write(ATTACH)
  await readHead(socket)
  stream.push('bye')
  stream.push(null)
  assert.equal((await readAll(socket)).toString(), 'bye')
  socket.end()
})

test('attach moves 200 MB both ways without holding more than a little of it', async () => {
  const total = 200 * 1024 * 1024
  const block = Buffer.alloc(64 * 1024, 7)
  let sent = 0
  let taken = 0
  const stream = new Duplex({
    read() {
      if (sent >= total) this.push(null)
      else {
        sent += block.length
        this.push(block)
      }
    },
    write(chunk: Buffer, _encoding, done) {
      taken += chunk.length
      setImmediate(done)
    },
  })
  await using served = await serve(attaching(stream, true))
  const socket = await dial(served)
  socket.write(ATTACH)
  await readHead(socket)
  // A client that does not read: the engine's stream is asked for a bounded part only.
  await quiet(() => sent)
  assert.ok(sent < 8 * 1024 * 1024, `${sent} bytes were read for a client that takes none`)

  const before = process.memoryUsage().rss
  let received = 0
  socket.on('data', (chunk: Buffer) => (received += chunk.length))
  const done = once(socket, 'end')
  socket.resume()
  await Promise.all([done, upload(socket, block, 50 * 1024 * 1024)])
  assert.equal(received, total)
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 100 * 1024 * 1024, `memory grew by ${grown} bytes`)
  assert.ok(taken > 0)
  socket.destroy()
})

/** Resolves when the number stops changing. */
async function quiet(read: () => number): Promise<void> {
  let last = -1
  while (read() !== last) {
    last = read()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function upload(socket: Socket, block: Buffer, total: number): Promise<void> {
  for (let sent = 0; sent < total && socket.writable; sent += block.length) {
    if (!socket.write(block)) await firstOf(socket, ['drain', 'close', 'end'])
  }
}

/** Not a race of `once`: its losers would stay on the socket, three more for each block. */
function firstOf(socket: Socket, names: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const name of names) socket.off(name, done)
      resolve()
    }
    for (const name of names) socket.on(name, done)
  })
}

test('attach answers an unknown container with its status on the upgraded connection', async () => {
  const engine = fakeEngine({
    containers: {
      attach: async () => {
        throw new DewarError('not-found', 'No such container: c1')
      },
    },
  })
  await using served = await serve(engine)
  const socket = await dial(served)
  socket.write(ATTACH)
  const text = (await readAll(socket)).toString()
  assert.match(text, /^HTTP\/1\.1 404 Not Found\r\n/)
  assert.match(text, /\r\n\r\n{"message":"No such container: c1"}\n$/)
  socket.end()
})

test('attach without an Upgrade header is a plain 200 body without chunks', async () => {
  const { stream } = sink()
  stream.push('\u0001\0\0\0\0\0\0\u0002hi')
  stream.push(null)
  await using served = await serve(attaching(stream))
  const socket = await dial(served)
  socket.write(
    'POST /containers/c1/attach?stdout=1&stream=1 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n',
  )
  const text = (await readAll(socket)).toString()
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  assert.doesNotMatch(text, /chunked/i)
  assert.ok(text.endsWith('\r\n\r\n\u0001\0\0\0\0\0\0\u0002hi'))
  socket.end()
})

const EXEC = {
  id: 'e1',
  containerId: 'c1',
  running: false,
  exitCode: null,
  pid: 0,
  canRemove: false,
  entrypoint: 'x',
  arguments: [],
  openStdin: true,
  openStdout: true,
  openStderr: true,
  config: {
    attachStdin: true,
    attachStdout: true,
    attachStderr: true,
    tty: false,
    env: null,
    cmd: ['x'],
    privileged: false,
    user: '',
    workingDir: '',
  },
} as const

function execRequest(body: string, headers = ''): string {
  return `POST /v1.45/exec/e1/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n${headers}${body}`
}

test('exec start reads its body from an upgraded connection, in pieces and with input behind it', async () => {
  const { stream, received, ended } = sink()
  const seen: unknown[] = []
  const engine = fakeEngine({
    execs: {
      inspect: async () => EXEC,
      start: async (_id, options) => {
        seen.push(options)
        return { stream, tty: true }
      },
    },
  })
  await using served = await serve(engine)
  const socket = await dial(served)
  const body = '{"Detach":false,"Tty":true,"ConsoleSize":[24,80]}'
  socket.write(execRequest('', `Content-Length: ${body.length}\r\n\r\n`))
  for (const piece of [body.slice(0, 5), body.slice(5)]) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    socket.write(piece === body.slice(5) ? `${piece}input` : piece)
  }
  assert.match(await readHead(socket), /^HTTP\/1\.1 101 /)
  socket.end()
  await ended
  assert.equal(received(), 'input')
  assert.deepEqual(seen, [{ detach: false, tty: true, consoleSize: [24, 80] }])
  socket.destroy()
})

test('exec start reads a chunked body on an upgraded connection', async () => {
  const { stream, received, ended } = sink()
  const engine = fakeEngine({
    execs: { inspect: async () => EXEC, start: async () => ({ stream, tty: false }) },
  })
  await using served = await serve(engine)
  const socket = await dial(served)
  socket.end(execRequest('2\r\n{}\r\n0\r\n\r\nmore', 'Transfer-Encoding: chunked\r\n\r\n'))
  await ended
  assert.equal(received(), 'more')
  socket.destroy()
})

test('exec start tells a command that is not there in the stream, so that clients read exit code 127 from inspect', async () => {
  const engine = fakeEngine({
    execs: {
      inspect: async () => EXEC,
      start: async () => {
        throw new DewarError('command-not-found', 'exec: "nope": executable file not found in $PATH')
      },
    },
  })
  await using served = await serve(engine)
  const socket = await dial(served)
  socket.write(execRequest('{}', 'Content-Length: 2\r\n\r\n'))
  assert.match(await readHead(socket), /^HTTP\/1\.1 101 /)
  const frame = await readAll(socket)
  assert.equal(frame[0], 1)
  assert.equal(frame.subarray(8).toString(), 'exec: "nope": executable file not found in $PATH\r\n')
  socket.end()
})

test('exec start fills the buffer through which docker-py reads headers, so that no output comes with them', async () => {
  const engine = fakeEngine({
    execs: { inspect: async () => EXEC, start: async () => ({ stream: sink().stream, tty: false }) },
  })
  await using served = await serve(engine)
  for (const [agent, size] of [
    ['docker-sdk-python/5.0.3', 8192],
    ['Docker-Client/28.2.2 (linux)', undefined],
  ] as const) {
    const socket = await dial(served)
    socket.write(execRequest('{}', `User-Agent: ${agent}\r\nContent-Length: 2\r\n\r\n`))
    const head = await readHead(socket)
    assert.match(head, /^HTTP\/1\.1 101 /)
    if (size === undefined) assert.ok(head.length < 1000, `${head.length} bytes for ${agent}`)
    else assert.equal(head.length, size, agent)
    socket.destroy()
  }
})

test('exec start tells whatever fails at the start in the stream, and refuses what does not run', async () => {
  const failure: { code: ErrorCode } = { code: 'invalid-argument' }
  const engine = fakeEngine({
    execs: {
      inspect: async () => EXEC,
      start: async () => {
        throw new DewarError(failure.code, 'unable to find user nosuch: no matching entries in passwd file')
      },
    },
  })
  await using served = await serve(engine)
  const told = await dial(served)
  told.write(execRequest('{}', 'Content-Length: 2\r\n\r\n'))
  assert.match(await readHead(told), /^HTTP\/1\.1 101 /)
  assert.match((await readAll(told)).toString(), /unable to find user nosuch.*\r\n$/)
  failure.code = 'conflict'
  const refused = await dial(served)
  refused.write(execRequest('{}', 'Content-Length: 2\r\n\r\n'))
  assert.match(await readHead(refused), /^HTTP\/1\.1 409 /)
  told.destroy()
  refused.destroy()
})

test('exec start refuses malformed and oversized bodies on an upgraded connection', async () => {
  await using served = await serve(fakeEngine({ execs: { inspect: async () => EXEC } }))
  for (const [request, status] of [
    [execRequest('{', 'Content-Length: 1\r\n\r\n'), 400],
    [execRequest('', 'Content-Length: 99999999\r\n\r\n'), 413],
    [execRequest('5', 'Content-Length: 1\r\n\r\n'), 400],
    [execRequest('{"Tty":"x"}', 'Content-Length: 11\r\n\r\n'), 400],
  ] as const) {
    const socket = await dial(served)
    socket.write(request)
    assert.match((await readAll(socket)).toString(), new RegExp(`^HTTP/1\\.1 ${status} `))
    socket.destroy()
  }
})

test('exec start detached answers 200 with nothing', async () => {
  const engine = fakeEngine({ execs: { inspect: async () => EXEC, start: async () => ({ tty: false }) } })
  await using served = await serve(engine)
  const reply = await ask(served, '/v1.45/exec/e1/start', { method: 'POST', json: { Detach: true } })
  assert.deepEqual([reply.status, reply.body], [200, ''])
})

test('an Upgrade header on any other request is ignored or refused, never left hanging', async () => {
  await using served = await serve(fakeEngine())
  const upgrade = { connection: 'Upgrade', upgrade: 'h2c' }
  const ping = await ask(served, '/_ping', { headers: upgrade })
  assert.deepEqual([ping.status, ping.body], [200, 'OK'])
  assert.equal((await ask(served, '/session', { method: 'POST', headers: upgrade })).status, 501)
  assert.equal((await ask(served, '/grpc', { method: 'POST', headers: upgrade })).status, 501)
  assert.equal(
    (await ask(served, '/containers/create', { method: 'POST', json: {}, headers: upgrade })).status,
    400,
  )
  assert.equal(
    (await ask(served, '/v1.99/containers/c/attach', { method: 'POST', headers: upgrade })).status,
    400,
  )
})

test('splice survives 200 clients that attach and vanish', async () => {
  const streams: Duplex[] = []
  const engine = fakeEngine({
    containers: {
      attach: async () => {
        const { stream } = sink()
        streams.push(stream)
        return { stream, tty: false }
      },
    },
  })
  await using served = await serve(engine)
  for (let round = 0; round < 200; round++) {
    const socket = await dial(served)
    socket.write(ATTACH)
    await readHead(socket)
    if (round % 2 === 0) socket.destroy()
    else socket.end(() => socket.destroy())
  }
  assert.equal(streams.length, 200)
  await Promise.all(streams.filter((stream) => !stream.destroyed).map((stream) => once(stream, 'close')))
  assert.equal((await ask(served, '/_ping')).status, 200)
})
