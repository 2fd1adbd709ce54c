import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CREATE, EXEC_CREATE, HOST_CONFIG_CODEC, UPDATE } from '../../src/api/container-schema.ts'
import { parseGoDuration, parseTimestamp } from '../../src/api/go-time.ts'
import { CONNECT, NETWORK_CREATE, VOLUME_CREATE } from '../../src/api/network-view.ts'
import { DewarError } from '../../src/base/errors.ts'
import { fakeEngine, serve } from './fake-engine.ts'
import { ask, dial, readAll } from './raw-client.ts'

const KEYS = [
  'Image',
  'Cmd',
  'Env',
  'Labels',
  'HostConfig',
  'Memory',
  'Mounts',
  'Type',
  'PortBindings',
  'NetworkingConfig',
  'EndpointsConfig',
  'IPAM',
  'Config',
  'Ulimits',
  'Healthcheck',
  'Test',
  'Binds',
  'ConsoleSize',
  'Init',
  '__proto__',
  'constructor',
  'Name',
  'Container',
  'EndpointConfig',
  'LogConfig',
  'Devices',
]

/** JSON made of the words the schemas know, so that the fuzz gets past the first level. */
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(null, true, false, 0, -1, 1.5, 1e300, '', 'x', [], {}),
    fc.string(),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 5 }),
  ),
})).value

test('every codec takes any JSON: a value of its type or invalid-argument, and no key of Object.prototype changes', () => {
  const codecs = [CREATE, HOST_CONFIG_CODEC, UPDATE, EXEC_CREATE, CONNECT, NETWORK_CREATE, VOLUME_CREATE]
  fc.assert(
    fc.property(json, fc.integer({ min: 0, max: codecs.length - 1 }), (value, which) => {
      try {
        const decoded = codecs[which]?.decode(value)
        assert.ok(decoded !== undefined)
        codecs[which]?.encode(decoded)
      } catch (error) {
        assert.ok(error instanceof DewarError, String(error))
        assert.equal(error.code, 'invalid-argument')
      }
      assert.equal(Reflect.get({}, 'Image'), undefined)
    }),
    { numRuns: 3000 },
  )
})

test('parseTimestamp and parseGoDuration answer or refuse any text', () => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[-+0-9.:TZhmsu]{0,30}$/))
  fc.assert(
    fc.property(text, (value) => {
      parseGoDuration(value)
      try {
        assert.equal(typeof parseTimestamp(value, 0), 'number')
      } catch (error) {
        assert.ok(error instanceof DewarError)
      }
    }),
    { numRuns: 3000 },
  )
})

test('the running API answers any method, path, query and body below 500, and goes on', async () => {
  await using served = await serve(fakeEngine())
  const segment = fc.oneof(
    fc.constantFrom(
      'containers',
      'images',
      'exec',
      'networks',
      'volumes',
      'json',
      'create',
      'start',
      'attach',
      'logs',
      'stats',
      'wait',
      'archive',
      'x',
      '..',
      '%2f',
      '%00',
      'v1.41',
      '',
      '*',
      'push',
      'get',
    ),
    fc.webSegment({ size: 'small' }),
  )
  const query = fc.oneof(
    fc.constantFrom(
      '',
      '?filters=%7B%22',
      '?all=1',
      '?path=/',
      '?stdout=1&since=x',
      '?limit=9e9',
      '?h=1&w=1',
      '?condition=z',
      '?%zz',
      '?a=b&a=c',
    ),
    fc.webQueryParameters().map((text) => `?${text}`),
  )
  const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH')
  const type = fc.constantFrom('application/json', 'text/plain', 'application/x-tar', '')
  await fc.assert(
    fc.asyncProperty(
      method,
      fc.array(segment, { maxLength: 5 }),
      query,
      fc.oneof(
        json.map((value) => JSON.stringify(value)),
        fc.string(),
      ),
      type,
      async (verb, path, search, body, mime) => {
        const withBody = verb === 'POST' || verb === 'PUT' || verb === 'DELETE'
        const headers: Record<string, string> = mime === '' ? {} : { 'content-type': mime }
        const reply = await ask(served, `/${path.join('/')}${search}`, {
          method: verb,
          headers,
          ...(withBody ? { body } : {}),
        })
        assert.ok(
          reply.status < 500 || reply.status === 501 || reply.status === 503,
          `${verb} /${path.join('/')}${search} → ${reply.status} ${reply.body}`,
        )
        assert.doesNotMatch(reply.body, /\n\s+at .*\.js:/)
      },
    ),
    { numRuns: 600 },
  )
  assert.equal((await ask(served, '/_ping')).status, 200)
})

test('raw bytes on the socket never crash the server, never hang a connection and never disturb another', async () => {
  await using served = await serve(fakeEngine())
  const line = fc.constantFrom(
    'GET /_ping HTTP/1.1\r\n',
    'POST /containers/x/attach HTTP/1.1\r\n',
    'POST /exec/x/start HTTP/1.1\r\n',
    'Host: d\r\n',
    'Upgrade: tcp\r\n',
    'Connection: Upgrade\r\n',
    'Content-Length: 5\r\n',
    'Content-Length: -1\r\n',
    'Content-Length: 99999999999999999999\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Content-Type: application/json\r\n',
    '\r\n',
    'ffffffff\r\n',
    '0\r\n\r\n',
    '{"Tty":',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\0\0\0',
    'GET  HTTP/1.1\r\n',
    'X: \u0001\r\n',
  )
  const bytes = fc.array(
    fc.oneof(
      line.map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
    ),
    { maxLength: 12 },
  )
  await fc.assert(
    fc.asyncProperty(bytes, async (pieces) => {
      const socket = await dial(served)
      socket.on('error', () => undefined)
      socket.end(Buffer.concat(pieces))
      await readAll(socket)
      socket.destroy()
    }),
    { numRuns: 400, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
  )
  const reply = await ask(served, '/_ping')
  assert.deepEqual([reply.status, reply.body], [200, 'OK'])
})
