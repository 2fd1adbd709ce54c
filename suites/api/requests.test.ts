import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { DewarError } from '../../src/base/errors.ts'
import { counted } from '../../src/api/image-view.ts'
import type { CreateContainer, ImageView } from '../../src/engine/types.ts'
import { fakeEngine, serve } from './fake-engine.ts'
import { ask, dial, readAll, readHead } from './raw-client.ts'

/** The message of an error answer. */
function messageIn(body: string): string {
  const parsed: unknown = JSON.parse(body)
  return typeof parsed === 'object' && parsed !== null && 'message' in parsed ? String(parsed.message) : ''
}

test('names with slashes reach the engine whole, raw and percent-encoded', async () => {
  const seen: string[] = []
  const note = async (ref: string): Promise<never> => {
    seen.push(ref)
    throw new DewarError('not-found', 'x')
  }
  await using served = await serve(
    fakeEngine({ images: { inspect: note, history: note, push: note, tag: note, remove: note } }),
  )
  await ask(served, '/v1.45/images/a/b:c/json')
  await ask(served, '/images/127.0.0.1:5000/x/y:1/json')
  await ask(served, '/images/127.0.0.1%3A5000%2Fx%2Fy%3A1/json')
  await ask(served, `/images/a/b@sha256:${'0'.repeat(64)}/history`)
  await ask(served, '/images/127.0.0.1:5000/x/y/push?tag=1', { method: 'POST' })
  await ask(served, '/images/a/b/tag?repo=c&tag=d', { method: 'POST' })
  await ask(served, '/images/a/json/json')
  await ask(served, '/images/a/b', { method: 'DELETE' })
  assert.deepEqual(seen, [
    'a/b:c',
    '127.0.0.1:5000/x/y:1',
    '127.0.0.1:5000/x/y:1',
    `a/b@sha256:${'0'.repeat(64)}`,
    '127.0.0.1:5000/x/y',
    'a/b',
    'a/json',
    'a/b',
  ])
})

test('names that climb or hold control characters never reach the engine', async () => {
  const reached: string[] = []
  const note = async (ref: string): Promise<never> => {
    reached.push(ref)
    throw new DewarError('system', 'reached')
  }
  const engine = fakeEngine({
    containers: { inspect: note, start: note },
    images: { inspect: note },
    volumes: { inspect: note },
    networks: { inspect: note },
    execs: { inspect: note },
  })
  await using served = await serve(engine)
  const bad = [
    '..',
    '.',
    '..%2f..%2fetc',
    '../../etc',
    '%00',
    'a%00b',
    '%0a',
    'a%2f..%2fb',
    '%ff',
    '%zz',
    'x'.repeat(5000),
  ]
  for (const name of bad) {
    for (const path of [
      `/containers/${name}/json`,
      `/volumes/${name}`,
      `/networks/a%2f${name}`,
      `/images/a/../${name}/json`,
      `/exec/${name}/json`,
    ]) {
      const { status } = await ask(served, path)
      assert.ok(status === 400 || status === 404, `${path.slice(0, 60)} → ${status}`)
    }
  }
  assert.deepEqual(reached, [])
})

test('create parses the body once, whatever the case of its keys, and ignores what it does not know', async () => {
  const seen: CreateContainer[] = []
  const create = async (request: CreateContainer): Promise<{ id: string; warnings: string[] }> => {
    seen.push(request)
    return { id: 'i', warnings: [] }
  }
  await using served = await serve(fakeEngine({ containers: { create } }))
  const reply = await ask(served, '/v1.41/containers/create?name=n&platform=linux/arm64', {
    method: 'POST',
    json: {
      image: 'busybox',
      Cmd: 'echo',
      ENV: null,
      Tty: false,
      MacAddress: '02:00:00:00:00:01',
      Nonsense: { x: 1 },
      Labels: { __proto__x: 'y', 'Some.Key': 'v' },
      HostConfig: {
        memory: 5,
        NetworkMode: 'net',
        PortBindings: { '80/tcp': [{ HostPort: '8080' }], '81/tcp': null },
        Init: false,
        ShmSize: 0,
      },
      NetworkingConfig: { EndpointsConfig: { net: { Aliases: ['a'] } } },
    },
    headers: { 'content-type': 'Application/JSON; charset=utf-8' },
  })
  assert.deepEqual([reply.status, reply.body], [201, '{"Id":"i","Warnings":[]}\n'])
  assert.deepEqual(seen, [
    {
      name: 'n',
      platform: 'linux/arm64',
      config: { image: 'busybox', cmd: ['echo'], labels: { __proto__x: 'y', 'Some.Key': 'v' } },
      hostConfig: {
        memory: 5,
        networkMode: 'net',
        portBindings: { '80/tcp': [{ hostIp: '', hostPort: '8080' }], '81/tcp': null },
        init: false,
      },
      endpoints: { net: { macAddress: '02:00:00:00:00:01', aliases: ['a'] } },
    },
  ])
})

test('create refuses wrong types, malformed JSON and other content types as dockerd does', async () => {
  await using served = await serve(fakeEngine())
  const json = { 'content-type': 'application/json' }
  const cases: readonly (readonly [string, Record<string, string>, RegExp])[] = [
    ['', json, /EOF/],
    ['{', json, /^invalid JSON/],
    ['{"Image":"x"} trailing', json, /^invalid JSON/],
    ['[]', json, /cannot unmarshal array into Go value/],
    ['{"Image":5}', json, /cannot unmarshal number into Go struct field CreateRequest\.Image of type string/],
    [
      '{"Image":"x","HostConfig":{"Memory":"x"}}',
      json,
      /cannot unmarshal string into Go struct field CreateRequest\.HostConfig\.Memory of type int64/,
    ],
    ['{"Image":"x","HostConfig":{"Memory":1.5}}', json, /number 1\.5 .* int64/],
    ['{"Image":"x","HostConfig":{"Mounts":[{"Type":"zz"}]}}', json, /mount type unknown/],
    ['{}', json, /config cannot be empty/],
    ['null', json, /config cannot be empty/],
    ['{}', { 'content-type': 'text/plain' }, /unsupported Content-Type header \(text\/plain\)/],
    ['{}', {}, /unsupported Content-Type/],
    ['{}', { 'content-type': ';;;' }, /ontent-Type|edia/],
  ]
  for (const [body, headers, message] of cases) {
    const reply = await ask(served, '/containers/create', { method: 'POST', body, headers })
    assert.equal(reply.status, 400, body)
    assert.match(messageIn(reply.body), message)
  }
})

test('malformed JSON is not quoted back: it may hold a password', async () => {
  await using served = await serve(fakeEngine())
  const reply = await ask(served, '/auth', {
    method: 'POST',
    body: '{"password":"hunter2" x}',
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(reply.status, 400)
  assert.doesNotMatch(reply.body, /hunter2/)
})

test('a body beyond the limit is refused with 413, announced or not', async () => {
  await using served = await serve(fakeEngine())
  const announced = await dial(served)
  announced.write(
    'POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{',
  )
  assert.match((await readAll(announced)).toString(), /^HTTP\/1\.1 413 /)
  announced.destroy()
  const chunked = await dial(served)
  chunked.on('error', () => undefined)
  chunked.write(
    'POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
  )
  chunked.write(`100000\r\n${' '.repeat(0x100000)}\r\n`.repeat(20))
  assert.match(await readHead(chunked), /^HTTP\/1\.1 413 /)
  chunked.destroy()
})

test('filters come in both shapes, and what is none is refused', async () => {
  const seen: unknown[] = []
  const engine = fakeEngine({
    containers: {
      list: async ({ filters }) => {
        seen.push([...filters])
        return []
      },
    },
  })
  await using served = await serve(engine)
  const list = (filters: string): Promise<{ status: number; body: string }> =>
    ask(served, `/containers/json?filters=${encodeURIComponent(filters)}`)
  await list('{"label":{"a=b":true,"c":false}}')
  await list('{"label":["a=b"],"status":["running","paused"]}')
  assert.deepEqual(seen, [
    [['label', ['a=b']]],
    [
      ['label', ['a=b']],
      ['status', ['running', 'paused']],
    ],
  ])
  for (const bad of [
    'xx',
    '5',
    '[]',
    '{"label":5}',
    '{"label":{"a":1}}',
    '{"label":[1]}',
    '{"foo":["a"]}',
    '{"__proto__":["a"]}',
  ]) {
    const reply = await list(bad)
    assert.equal(reply.status, 400, bad)
    assert.match(reply.body, /invalid filter/)
  }
})

test('query values are read as Go reads them', async () => {
  const seen: unknown[] = []
  const engine = fakeEngine({
    containers: {
      list: async ({ all, limit, size }) => {
        seen.push([all, limit, size])
        return []
      },
      stop: async (_ref, options) => void seen.push(options),
      logs: async (_ref, { since, until, tail, follow }) => {
        seen.push({ since, until, tail, follow })
        return { stream: Readable.from([]), tty: false }
      },
    },
  })
  await using served = await serve(engine)
  for (const query of ['all=1&limit=3', 'all=True', 'all=false&size=yes', 'all=None', 'all='])
    await ask(served, `/containers/json?${query}`)
  assert.deepEqual(seen.splice(0), [
    [true, 3, false],
    [true, -1, false],
    [false, -1, true],
    [false, -1, false],
    [false, -1, false],
  ])
  assert.equal((await ask(served, '/containers/json?limit=abc')).status, 400)
  await ask(served, '/containers/x/stop?t=-1&signal=SIGINT', { method: 'POST' })
  await ask(served, '/containers/x/stop', { method: 'POST' })
  assert.deepEqual(seen.splice(0), [{ timeout: -1, signal: 'SIGINT' }, {}])
  await ask(
    served,
    '/containers/x/logs?stdout=1&since=1700000000.500000000&until=2023-11-14T22:13:21Z&tail=5',
  )
  await ask(served, '/containers/x/logs?stderr=1&tail=all&follow=1')
  assert.deepEqual(seen.splice(0), [
    { since: 1_700_000_000_500, until: 1_700_000_001_000, tail: 5, follow: false },
    { since: 0, until: 0, tail: -1, follow: true },
  ])
  assert.equal((await ask(served, '/containers/x/logs')).status, 400)
  assert.equal((await ask(served, '/containers/x/logs?stdout=1&since=abc')).status, 400)
})

test('pull joins name and tag, takes digests for tags and knows when all tags are meant', async () => {
  const seen: unknown[] = []
  const engine = fakeEngine({
    images: {
      pull: async (ref, { allTags, auth, platform }) =>
        void seen.push([ref, allTags, auth?.username, platform]),
    },
  })
  await using served = await serve(engine)
  const auth = Buffer.from('{"username":"u","serveraddress":"s"}').toString('base64url')
  for (const query of [
    'fromImage=docker.io%2Flibrary%2Fbusybox&tag=latest',
    `fromImage=a/b&tag=sha256:${'1'.repeat(64)}`,
    'fromImage=127.0.0.1:5000/a',
    'fromImage=a:1&platform=linux/arm64',
  ]) {
    const reply = await ask(served, `/images/create?${query}`, {
      method: 'POST',
      headers: { 'x-registry-auth': auth },
    })
    assert.equal(reply.status, 200)
  }
  assert.deepEqual(seen, [
    ['docker.io/library/busybox:latest', false, 'u', undefined],
    [`a/b@sha256:${'1'.repeat(64)}`, false, 'u', undefined],
    ['127.0.0.1:5000/a', true, 'u', undefined],
    ['a:1', false, 'u', 'linux/arm64'],
  ])
  const bad = await ask(served, '/images/create?fromImage=a&tag=1', {
    method: 'POST',
    headers: { 'x-registry-auth': '!!!' },
  })
  assert.equal(bad.status, 400)
})

test('an image is not given for a platform that it is not for', async () => {
  const removed: string[] = []
  const engine = fakeEngine({
    images: {
      inspect: async () => anImage('sha256:a'),
      history: async () => [],
      save: async () => Readable.from(['tar']),
      remove: async (ref) => (removed.push(ref), []),
    },
  })
  await using served = await serve(engine)
  const status = async (path: string, platform: unknown, method = 'GET') => {
    const sign = path.includes('?') ? '&' : '?'
    const text = typeof platform === 'string' ? platform : JSON.stringify(platform)
    return (
      await ask(
        served,
        `/v1.50/images/${path}${sign}platform${text.startsWith('[') ? 's' : ''}=${encodeURIComponent(text)}`,
        { method },
      )
    ).status
  }
  const [amd, arm] = [
    { os: 'linux', architecture: 'amd64' },
    { os: 'linux', architecture: 'arm64' },
  ]
  for (const path of ['x/json', 'x/history', 'x/get', 'get?names=x']) {
    assert.equal(await status(path, amd), 200, path)
    assert.equal(await status(path, arm), 404, path)
    assert.equal(await status(path, 'linux/amd64'), 400, path)
  }
  assert.equal(await status('x/json?manifests=1', amd), 400)
  assert.equal(await status('x/push', arm, 'POST'), 404)
  assert.equal(await status('x', [arm], 'DELETE'), 404)
  assert.deepEqual(removed, [])
  assert.equal(await status('x', [arm, amd], 'DELETE'), 200)
  assert.deepEqual(removed, ['x'])
})

test('the list of images says how many containers use each, from API 1.51 on', async () => {
  const images = ['sha256:a', 'sha256:b'].map(anImage)
  const users = ['sha256:a', 'sha256:c', 'sha256:a'].map((imageId) => ({ imageId }))
  assert.deepEqual(
    counted(images, users).map(({ containers }) => containers),
    [2, 0],
  )
  await using served = await serve(fakeEngine({ images: { list: async () => images } }))
  const counts = async (version: string): Promise<unknown> => {
    const { body } = await ask(served, `/${version}/images/json`)
    return (JSON.parse(body) as { readonly Containers: number }[]).map(({ Containers }) => Containers)
  }
  assert.deepEqual(await counts('v1.50'), [-1, -1])
  assert.deepEqual(await counts('v1.51'), [0, 0])
})

test('maps are written in the order of their keys, as Go does', async () => {
  const image = {
    ...anImage('sha256:a'),
    config: { ...anImage('x').config, labels: { b: '1', a: '2', C: '3' } },
  }
  await using served = await serve(
    fakeEngine({ images: { list: async () => [image], inspect: async () => image } }),
  )
  const { body } = await ask(served, '/v1.45/images/json')
  assert.match(body, /"Labels":\{"C":"3","a":"2","b":"1"\}/)
  const whole = await ask(served, '/v1.45/images/x/json')
  assert.match(whole.body, /"Labels":\{"C":"3","a":"2","b":"1"\}/)
})

test('system df counts a layer once, tells what images share, and measures volumes', async () => {
  const measured: unknown[] = []
  const stack = (id: string, layers: string[], layerSizes: number[]) => ({
    ...anImage(id),
    layers,
    layerSizes,
    size: layerSizes.reduce((sum, size) => sum + size, 0),
  })
  const rows = [
    stack('a', ['base', 'one'], [100, 1]),
    stack('b', ['base', 'two'], [100, 20]),
    stack('c', ['two'], [20]),
  ]
  const engine = fakeEngine({
    images: { list: async ({ sharedSize }) => (sharedSize ? rows : []) },
    volumes: {
      list: async (_filters, options) => {
        measured.push(options)
        return []
      },
    },
  })
  await using served = await serve(engine)
  const df: unknown = JSON.parse((await ask(served, '/system/df')).body)
  assert.ok(typeof df === 'object' && df !== null && 'LayersSize' in df && 'Images' in df)
  // The layer "two" of c lies on nothing, that of b on base: they are not the same.
  assert.equal(df.LayersSize, 141)
  assert.ok(Array.isArray(df.Images))
  assert.deepEqual(
    df.Images.map((row: { SharedSize: number }) => row.SharedSize),
    [100, 100, 0],
  )
  assert.deepEqual(measured, [{ usage: true }])
})

test('wait says that nothing went wrong as each API version does', async () => {
  const wait = async () => ({ result: Promise.resolve({ code: 3 }) })
  await using served = await serve(fakeEngine({ containers: { wait } }))
  const ended = async (version: string) =>
    (await ask(served, `/${version}/containers/c/wait`, { method: 'POST' })).body
  assert.equal(await ended('v1.41'), '{"Error":null,"StatusCode":3}\n')
  assert.equal(await ended('v1.42'), '{"StatusCode":3}\n')
})

function anImage(id: string): ImageView {
  return {
    id,
    repoTags: [],
    repoDigests: [],
    parent: '',
    comment: '',
    created: 0,
    author: '',
    architecture: 'amd64',
    os: 'linux',
    size: 0,
    config: {
      user: '',
      exposedPorts: {},
      env: [],
      entrypoint: null,
      cmd: null,
      volumes: {},
      workingDir: '',
      labels: {},
    },
    layers: [],
    lastTagTime: 0,
    containers: 0,
  }
}

test('a client that leaves in the middle of its request is no failure of the engine’s', async (t) => {
  const put = async (_ref: string, _path: string, tar: Readable): Promise<void> => {
    for await (const _ of tar);
  }
  await using served = await serve(fakeEngine({ containers: { archivePut: put } }))
  const written = t.mock.method(process.stderr, 'write', () => true)
  for (const path of ['POST /containers/create', 'PUT /containers/x/archive?path=/']) {
    const socket = await dial(served)
    const type = path.startsWith('POST') ? 'application/json' : 'application/x-tar'
    socket.write(`${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: 500\r\n\r\n{"Im`)
    // The server has begun with it: it answers in order, and this one is answered by itself.
    await ask(served, '/_ping')
    socket.destroy()
    await new Promise((resolve) => socket.once('close', resolve))
    // Of what comes of it nothing can be waited for, as nothing is to come.
    await sleep(100)
  }
  const said = written.mock.calls.map((call) => String(call.arguments[0])).join('')
  assert.doesNotMatch(said, /request failed/)
})
