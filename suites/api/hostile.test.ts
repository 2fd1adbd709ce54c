/**
 * Hostile clients on a real engine: after each attack it answers others at once, has not grown, and never said more
 * than an error in Docker's shape.
 */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, afterEach, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { callApi } from '../harness/call-api.ts'
import { create, expectStatus, run, skip, startLive, type Live } from './live.ts'

const MB = 1024 * 1024
/** What it may hold of strangers' requests, and of its own rubbish until that is collected. */
const GROWTH = 250 * MB
/** Nobody waits longer than this for an answer that says no. */
const PATIENCE = 20_000
const RUNS = Number(process.env['DEWAR_FUZZ_RUNS'] ?? 150)

let live: Live
let base = 0
let bystander = ''

interface Answer {
  readonly text: string
  readonly closed: boolean
}

/** Sends bytes as they are; what came back until the connection ended, or 1 MiB, or `wait` ms of silence. */
function send(parts: readonly (string | Buffer)[], wait = 300, halfClose = true): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect({ path: live.server.socket, allowHalfOpen: true })
    let text = ''
    const done = (closed: boolean): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ text, closed })
    }
    let timer = setTimeout(() => done(false), PATIENCE)
    socket.on('connect', () => {
      for (const part of parts) socket.write(part)
      if (halfClose) socket.end()
    })
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      clearTimeout(timer)
      if (text.length > MB) done(false)
      else timer = setTimeout(() => done(false), wait)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => done(true))
    socket.on('end', () => done(true))
  })
}

/** Nothing of our insides: no stack, no path of our files, and 500 only with a message. */
function harmless({ text }: Answer): void {
  assert.ok(!/\n {4}at |node:internal|\.js:\d+|\.ts:\d+/.test(text), text.slice(0, 2000))
  for (const [, status = ''] of text.matchAll(/HTTP\/1\.1 (\d{3})/g)) {
    if (status === '500') assert.match(text, /\{"message":"[^"]+/)
  }
}

const post = (
  path: string,
  body: string | Buffer,
  head = 'Content-Type: application/json',
): (string | Buffer)[] => [
  `POST ${path} HTTP/1.1\r\nHost: d\r\n${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`,
  body,
]

describe('hostile clients', { skip, concurrency: 1 }, () => {
  before(async () => {
    live = await startLive('hostile')
    bystander = await run(live.server, { Cmd: ['cat'], OpenStdin: true, HostConfig: { NetworkMode: 'none' } })
    base = await live.rss()
  })
  after(async () => live[Symbol.asyncDispose]())

  afterEach(async () => {
    const asked = performance.now()
    const ping = await callApi(live.server.socket, 'GET', '/_ping', undefined, { timeout: PATIENCE })
    assert.equal(ping.status, 200)
    assert.ok(performance.now() - asked < PATIENCE)
    const { json } = expectStatus(await live.server.api('GET', `/containers/${bystander}/json`), 200)
    assert.equal(
      Reflect.get(Object(Reflect.get(Object(json), 'State')), 'Running'),
      true,
      'the bystander runs',
    )
    const grown = (await live.rss()) - base
    assert.ok(grown < GROWTH, `the engine grew by ${Math.round(grown / MB)} MB`)
    assert.ok(live.server.process.running(), live.server.process.log())
  })

  test('bytes that are no HTTP get 400 or nothing', async () => {
    const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array))
    const nearly = fc
      .tuple(
        fc.constantFrom('GET', 'POST', 'PUT', 'PRI', 'CONNECT', 'get', 'G\0T'),
        fc.constantFrom(
          '/_ping',
          '*',
          '//',
          '/v1.45/../_ping',
          'http://x/_ping',
          '/\0',
          '/%',
          '/containers/%ff/json',
          '/v999.1/info',
        ),
        fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9', '', 'HTTP/1.1\r\nHost: a\r\nHost: b'),
        fc.string({ maxLength: 60 }),
      )
      .map(([method, path, version, rest]) => Buffer.from(`${method} ${path} ${version}\r\n${rest}\r\n\r\n`))
    await fc.assert(
      fc.asyncProperty(fc.oneof(bytes, nearly), async (payload) => harmless(await send([payload], 50))),
      { numRuns: RUNS, timeout: PATIENCE },
    )
  })

  test('JSON of every kind on every route is answered with a status below 500', async () => {
    const paths = [
      '/containers/create', '/containers/create?name=x', `/containers/${bystander}/exec`, `/containers/${bystander}/update`,
      `/containers/${bystander}/rename?name=%2f`, '/volumes/create', '/networks/create', '/networks/bridge/connect',
      `/exec/${bystander}/start`, '/commit?container=x', '/networks/prune?filters={}', `/containers/${bystander}/resize?h=x`,
    ] // prettier-ignore
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, true, 0, -1, 1e308, '', 'x', '/', '..', [], {}),
        fc.string({ maxLength: 20 }),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(
          fc.constantFrom(
            'Image',
            'Cmd',
            'HostConfig',
            'Mounts',
            'Type',
            'Source',
            'Target',
            'Binds',
            'Memory',
            'Env',
            'Name',
            'IPAM',
            'Config',
            'Subnet',
            'Container',
            'Devices',
            'Ulimits',
            'PortBindings',
            'Sysctls',
            'DriverOpts',
            '__proto__',
            'constructor',
          ),
          tie('value'),
          { maxKeys: 6 },
        ),
      ),
    })).value
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), value, async (path, body) => {
        const answer = await live.server.api('POST', path, body === undefined ? null : JSON.stringify(body))
        assert.ok(
          answer.status < 500 || answer.status === 501 || answer.status === 503,
          `${path}: ${answer.status} ${answer.text}`,
        )
        assert.ok(
          answer.status < 300 ||
            answer.status === 304 ||
            typeof Reflect.get(Object(answer.json), 'message') === 'string',
          answer.text,
        )
      }),
      { numRuns: RUNS * 2 },
    )
  })

  test('deep, huge, doubled and broken JSON is refused and forgotten', async () => {
    const deep = `${'{"HostConfig":'.repeat(100_000)}1${'}'.repeat(100_000)}`
    const lists = `{"Image":"busybox","Cmd":${'['.repeat(200_000)}${']'.repeat(200_000)}}`
    const broken = Buffer.concat([
      Buffer.from('{"Image":"'),
      Buffer.from([0xff, 0xfe, 0xc0, 0x80]),
      Buffer.from('"}'),
    ])
    for (const body of [
      deep,
      lists,
      broken,
      '{"Image":"a","Image":{"x":1}}',
      '{"__proto__":{"Image":"x"}}',
      '{',
      '[]',
      'null',
      '"x"',
      '1e999',
      '\ufeff{}',
    ]) {
      const answer = await send(post('/containers/create', body), 5000)
      harmless(answer)
      assert.match(answer.text, /^HTTP\/1\.1 4\d\d /, Buffer.from(body).toString('latin1', 0, 60))
    }
    const big = Buffer.alloc(40 * MB, 0x20)
    for (let n = 0; n < 8; n += 1) harmless(await send(post('/containers/create', big), 5000))
    // Announced and never sent: nothing is kept ready for it.
    const announced = `POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 99999999999999\r\n\r\n{`
    assert.match((await send([announced], 1000)).text, /^HTTP\/1\.1 413 /)
  })

  test('tricks with lengths and chunks do not smuggle a second request', async () => {
    const hidden = 'GET /info HTTP/1.1\r\nHost: d\r\n\r\n'
    const tricks = [
      `POST /auth HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
      `POST /auth HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}${hidden}`,
      `POST /auth HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${hidden}`,
      `POST /auth HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n${hidden}`,
      `POST /auth HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n${hidden}`,
      `POST /auth HTTP/1.1\r\nHost: d\r\nContent-Length : 0\r\n\r\n${hidden}`,
      `POST /auth HTTP/1.1\r\nHost: d\r\nX: a\r\n b\rTransfer-Encoding: chunked\r\n\r\n${hidden}`,
    ]
    for (const trick of tricks) {
      const answer = await send([trick], 500)
      harmless(answer)
      assert.ok(
        !answer.text.includes('"KernelVersion"'),
        `${trick.slice(0, 120)}\n${answer.text.slice(0, 300)}`,
      )
    }
    const endless = await send(
      [
        'POST /images/load HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n',
        ...Array.from({ length: 200 }, () => `1;${'e'.repeat(20_000)}\r\nx\r\n`),
      ],
      3000,
    )
    harmless(endless)
  })

  test('headers without end or number are refused', async () => {
    const long = `GET /_ping HTTP/1.1\r\nHost: d\r\nX: ${'a'.repeat(3 * MB)}\r\n\r\n`
    assert.match((await send([long], 3000)).text, /^HTTP\/1\.1 431 |^$/)
    const many = `GET /_ping HTTP/1.1\r\nHost: d\r\n${Array.from({ length: 5000 }, (_, n) => `X-${n}: 1\r\n`).join('')}\r\n`
    harmless(await send([many], 3000))
    const url = `GET /containers/${'a'.repeat(500_000)}/json HTTP/1.1\r\nHost: d\r\n\r\n`
    assert.match((await send([url], 3000)).text, /^HTTP\/1\.1 4\d\d /)
  })

  test('paths with dots, nulls and encodings name nothing outside', async () => {
    for (const path of [
      '/../../etc/passwd',
      '/containers/../../info',
      '/containers/..%2f..%2finfo/json',
      '/images/..%2f..%2fx/json',
      '/volumes/..',
      '/volumes/..%2f..%2fetc',
      '/networks/%2e%2e',
      '/containers/%00/json',
      '/exec/%2e%2e%2f/json',
      '/images/%c0%ae%c0%ae/json',
      '/v1.45/v1.45/info',
    ]) {
      const { text } = await send([`GET ${path} HTTP/1.1\r\nHost: d\r\n\r\n`], 500)
      assert.match(text, /^HTTP\/1\.1 4\d\d /, path)
    }
    for (const path of ['../x', '/v/../../../../etc/passwd\0', '..']) {
      const query = encodeURIComponent(path)
      const answer = await live.server.api('GET', `/containers/${bystander}/archive?path=${query}`)
      assert.ok(!answer.text.includes('root:x:0:0:root:/root:/bin/bash'), path)
      assert.ok(answer.status < 500, answer.text)
    }
    const id = await create(live.server, {})
    for (const Name of ['../up', 'a/b', '.', '..', 'x'.repeat(300)])
      assert.equal((await live.server.api('POST', '/volumes/create', { Name })).status, 400, Name)
    assert.equal((await live.server.api('POST', `/containers/${id}/rename?name=..%2f..`)).status, 400)
  })

  test('upgrades that are none, or of what cannot be upgraded, are answered and let go', async () => {
    const up = 'Connection: Upgrade\r\nUpgrade: '
    const cases = [
      `GET /_ping HTTP/1.1\r\nHost: d\r\n${up}h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`,
      `POST /containers/${bystander}/attach HTTP/1.1\r\nHost: d\r\n${up}tcp\r\nContent-Length: 99999999\r\n\r\nx`,
      `POST /exec/nosuch/start HTTP/1.1\r\nHost: d\r\n${up}tcp\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
      `POST /containers/create HTTP/1.1\r\nHost: d\r\n${up}tcp\r\nContent-Length: 2\r\n\r\n{}`,
      `GET /containers/${bystander}/attach/ws?stream=1 HTTP/1.1\r\nHost: d\r\n${up}websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n`,
      `GET /containers/${bystander}/attach/ws HTTP/1.1\r\nHost: d\r\n${up}websocket\r\nSec-WebSocket-Version: 99\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
      `GET /containers/%zz/attach/ws HTTP/1.1\r\nHost: d\r\n${up}websocket\r\n\r\n`,
      `POST /session HTTP/1.1\r\nHost: d\r\n${up}h2c\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
    ]
    for (const request of cases) {
      const answer = await send([request], 500)
      harmless(answer)
      assert.match(answer.text, /^HTTP\/1\.1 (200|4\d\d|501) /, `${request.slice(0, 100)}\n${answer.text}`)
    }
  })

  test('300 connections that send a byte now and then keep nobody else waiting', async () => {
    const slow = Array.from({ length: 300 }, (_, n) => {
      const socket = connect({ path: live.server.socket })
      socket.on('error', () => undefined)
      socket.write(
        n % 2 === 0
          ? 'GET /inf'
          : 'POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"Im',
      )
      return socket
    })
    try {
      for (let round = 0; round < 5; round += 1) {
        for (const socket of slow) socket.write(' ')
        assert.equal(
          (await callApi(live.server.socket, 'GET', '/info', undefined, { timeout: PATIENCE })).status,
          200,
        )
      }
    } finally {
      for (const socket of slow) socket.destroy()
    }
  })

  test('tars and streams that lie are refused, and clients that vanish in them leave nothing', async () => {
    const junk = Buffer.alloc(2 * MB, 0xa5)
    for (const path of [
      '/images/load',
      '/images/create?fromSrc=-',
      `/containers/${bystander}/archive?path=/`,
    ]) {
      const method = path.includes('archive') ? 'PUT' : 'POST'
      // So much the kernel takes at once: who is still writing when the engine has answered and closed gets EPIPE, as from dockerd.
      const answer = await live.server.api(method, path, junk.subarray(0, 64 * 1024))
      assert.ok(
        answer.status < 500 || typeof Reflect.get(Object(answer.json), 'message') === 'string',
        answer.text,
      )
      const cut = await send(
        [`${method} ${path} HTTP/1.1\r\nHost: d\r\nContent-Length: ${junk.length * 2}\r\n\r\n`, junk],
        2000,
        false,
      )
      harmless(cut)
    }
    for (let n = 0; n < 20; n += 1) {
      const socket = connect({ path: live.server.socket })
      socket.on('error', () => undefined)
      socket.write(
        `GET /events HTTP/1.1\r\nHost: d\r\n\r\nGET /containers/${bystander}/stats HTTP/1.1\r\nHost: d\r\n\r\n`,
      )
      await new Promise((resolve) => socket.once('data', resolve))
      socket.destroy()
    }
  })
})
