import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { fakeRegistry } from './fake-registry.ts'
import {
  listener,
  makeImage,
  openStore,
  pullOptions,
  scratch,
  sha256,
  tarOf,
  writeLayout,
} from './harness.ts'
import type { Store } from './harness.ts'

const image = makeImage([
  tarOf([{ name: 'big', data: randomBytes(300_000) }]),
  tarOf([{ name: 'small', data: 'x' }]),
])
const big = image.layers[0] ?? Buffer.alloc(0)
const quick = { stallMs: 300, attempts: 3, pauseMs: 10 }

/** No layer, no name, no staged folder, no half blob under a real name. */
async function assertNothingKept({ service, root }: Store): Promise<void> {
  assert.deepEqual(await service.list({ all: true, filters: new Map() }), [])
  assert.deepEqual(
    readdirSync(join(root, 'layers')).filter((name) => name.startsWith('.tmp-')),
    [],
  )
  assert.deepEqual(
    readdirSync(join(root, 'blobs/sha256')).filter((name) => name.startsWith('.tmp-')),
    [],
  )
}

test('pull goes on with Range where a connection was cut', async () => {
  using folder = scratch()
  let cuts = 0
  await using registry = await fakeRegistry(image, (request, response, blob) => {
    if (blob !== big || cuts === 2) return false
    cuts += 1
    const from = Number(/\d+/.exec(request.headers.range ?? '0')?.[0])
    response.writeHead(from === 0 ? 200 : 206, {
      'content-length': blob.length - from,
      ...(from === 0 ? {} : { 'content-range': `bytes ${from}-${blob.length - 1}/${blob.length}` }),
    })
    response.write(blob.subarray(from, from + 100_000), () => response.destroy())
    return true
  })
  await using store = await openStore({ root: folder.path, registry: quick })
  const { lines, onProgress } = listener()
  await store.service.pull(`${registry.host}/app`, pullOptions(onProgress))
  const ranges = registry.seen.flatMap(({ range }) => (range === undefined ? [] : [range]))
  assert.equal(ranges.length, 2, ranges.join())
  assert.ok(lines.some((line) => line.includes('Retrying in 1 second')))
})

test('pull goes on where an engine that was killed had stopped, and starts over when that part is bad', async () => {
  for (const [name, part, wanted] of [
    ['good', big.subarray(0, 50_000), ['bytes=50000-']],
    ['bad', randomBytes(50_000), []],
    ['too long', Buffer.concat([big, big]), []],
  ] as const) {
    using folder = scratch()
    await using registry = await fakeRegistry(image)
    await using store = await openStore({ root: folder.path, registry: quick })
    const digest = [...image.blobs].find(([, blob]) => blob === big)?.[0] ?? ''
    writeFileSync(join(folder.path, 'blobs/partial', digest.slice(7)), part)
    await store.service.pull(`${registry.host}/app`, pullOptions())
    const ranges = registry.seen.flatMap(({ range }) => (range === undefined ? [] : [range]))
    if (name !== 'bad') assert.deepEqual(ranges, wanted, name)
    assert.deepEqual(readdirSync(join(folder.path, 'blobs/partial')), [], name)
  }
})

test('pull from a registry that falls silent ends with a message and keeps nothing half', async () => {
  using folder = scratch()
  await using registry = await fakeRegistry(image, (_request, response, blob) => {
    if (blob !== big) return false
    response.writeHead(200, { 'content-length': blob.length })
    response.write(blob.subarray(0, 1000))
    return true
  })
  await using store = await openStore({ root: folder.path, registry: quick })
  await assert.rejects(
    store.service.pull(`${registry.host}/app`, pullOptions()),
    /stall|no data for 0\.3 seconds/,
  )
  await assertNothingKept(store)
})

test('pull of a manifest from a silent registry ends too', async () => {
  using folder = scratch()
  await using registry = await fakeRegistry(image, () => true)
  await using store = await openStore({ root: folder.path, registry: quick })
  await assert.rejects(store.service.pull(`${registry.host}/app`, pullOptions()), /no data for 0\.3 seconds/)
})

test('pull refuses a layer whose bytes, size or length are not what was announced', async () => {
  const forged = Buffer.from(big)
  forged[forged.length - 2] = (forged.at(-2) ?? 0) ^ 1
  // Unpacks to the same files: only the digest of what came tells. Byte 9 of gzip's header names the packer's system.
  const repacked = Buffer.from(big)
  repacked[9] = (repacked[9] ?? 0) ^ 1
  const answers: Record<string, [RegExp, (blob: Buffer) => { length?: number; body: Buffer }]> = {
    'other bytes': [/damaged|verification failed/, () => ({ length: forged.length, body: forged })],
    'other bytes of the same files': [
      /verification failed for digest/,
      () => ({ length: repacked.length, body: repacked }),
    ],
    'a lying Content-Length': [/announces 10 bytes/, (blob) => ({ length: 10, body: blob.subarray(0, 10) })],
    'too many bytes': [
      /more than the \d+ bytes|damaged|verification/,
      (blob) => ({ body: Buffer.concat([blob, blob]) }),
    ],
    'too few bytes': [/unexpected EOF/, (blob) => ({ body: blob.subarray(0, 1000) })],
  }
  for (const [name, [message, change]] of Object.entries(answers)) {
    using folder = scratch()
    await using registry = await fakeRegistry(image, (_request, response, blob) => {
      if (blob !== big) return false
      const { length, body } = change(blob)
      response.writeHead(200, length === undefined ? {} : { 'content-length': length })
      response.end(body)
      return true
    })
    await using store = await openStore({ root: folder.path, registry: quick })
    await assert.rejects(store.service.pull(`${registry.host}/app`, pullOptions()), message, name)
    await assertNothingKept(store)
  }
})

test('pull refuses a layer that does not unpack to what the config says', async () => {
  using folder = scratch()
  const tar = tarOf([{ name: 'a', data: 'x' }])
  const forged = makeImage([tar], { diffIds: [sha256('another')] })
  await using registry = await fakeRegistry(forged)
  await using store = await openStore({ root: folder.path, registry: quick })
  await assert.rejects(store.service.pull(`${registry.host}/app`, pullOptions()), /it unpacks to sha256:/)
  await assertNothingKept(store)
})

test('pull and load refuse a history that tells of more layers than there are', async () => {
  const tar = tarOf([{ name: 'a', data: 'x' }])
  const forged = makeImage([tar], { moreHistory: [{ created_by: 'RUN more' }] })
  const message = /too many non-empty layers in History section/
  for (const docker of [forged, makeImage([tar], { moreHistory: [{}, {}], docker: true })]) {
    using folder = scratch()
    await using registry = await fakeRegistry(docker)
    await using store = await openStore({ root: folder.path, registry: quick })
    await assert.rejects(store.service.pull(`${registry.host}/app`, pullOptions()), message)
    await assertNothingKept(store)
  }
  using folder = scratch()
  await using store = await openStore({ root: join(folder.path, 'store') })
  const layout = join(folder.path, 'layout')
  writeLayout(forged, layout)
  const load = () =>
    store.service.load(Readable.from([execFileSync('tar', ['-cC', layout, '.'])]), listener().onProgress)
  await assert.rejects(load(), message)
  const entries = [{ Config: `blobs/sha256/${forged.id.slice(7)}`, RepoTags: ['a:1'], Layers: [] }]
  writeFileSync(join(layout, 'manifest.json'), JSON.stringify(entries))
  await assert.rejects(load(), message)
  await assertNothingKept(store)
  // Steps that made no layer are told as such, and fewer may be told.
  const honest = makeImage([tar], { moreHistory: [{ created_by: 'CMD', empty_layer: true }] })
  await using registry = await fakeRegistry(honest)
  await store.service.pull(`${registry.host}/app`, pullOptions())
})

test('pull refuses a manifest and a config that are not what their digests say', async () => {
  for (const part of ['manifests/sha256', `blobs/${image.id}`]) {
    using folder = scratch()
    await using registry = await fakeRegistry(image, (request, response) => {
      if (request.url?.includes(part) !== true) return false
      response.end(image.manifest.toString().replace('"size"', '"Size"').slice(0, image.config.length))
      return true
    })
    await using store = await openStore({ root: folder.path, registry: quick })
    await assert.rejects(
      store.service.pull(`${registry.host}/app@${image.digest}`, pullOptions()),
      /verification failed/,
    )
    await assertNothingKept(store)
  }
})

test('pull never gives credentials to the host a registry redirects to', async () => {
  using folder = scratch()
  await using elsewhere = await fakeRegistry(image)
  await using registry = await fakeRegistry(image, (request, response, blob) => {
    if (request.headers.authorization === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="it"' })
      response.end()
      return true
    }
    if (blob === undefined) return false
    response.writeHead(307, { location: `http://${elsewhere.host}${request.url}` })
    response.end()
    return true
  })
  await using store = await openStore({ root: folder.path, registry: quick })
  const auth = { username: 'joe', password: 'secret' }
  await store.service.pull(`${registry.host}/app`, { ...pullOptions(), auth })
  assert.ok(elsewhere.seen.length >= 3)
  for (const { authorization } of elsewhere.seen) assert.equal(authorization, undefined)
})

test('pull does not answer the challenge of a host it was redirected to (CVE-2020-15157)', async () => {
  using folder = scratch()
  await using elsewhere = await fakeRegistry(image, (_request, response) => {
    const realm = `http://${elsewhere.host}/token`
    response.writeHead(401, { 'www-authenticate': `Basic realm="evil", Bearer realm="${realm}"` })
    response.end()
    return true
  })
  await using registry = await fakeRegistry(image, (request, response, blob) => {
    if (blob === undefined) return false
    response.writeHead(307, { location: `http://${elsewhere.host}${request.url}` })
    response.end()
    return true
  })
  await using store = await openStore({ root: folder.path, registry: quick })
  const auth = { username: 'joe', password: 'secret' }
  await assert.rejects(store.service.pull(`${registry.host}/app`, { ...pullOptions(), auth }), /unauthorized/)
  for (const { authorization } of elsewhere.seen) assert.equal(authorization, undefined)
})

test('pull gets a token for what it wants to do, with the user’s credentials', async () => {
  using folder = scratch()
  let host = ''
  await using registry = await fakeRegistry(image, (request, response) => {
    if (request.url?.startsWith('/token') === true) {
      response.end('{"token":"abc","expires_in":300}')
      return true
    }
    if (request.headers.authorization === 'Bearer abc') return false
    response.writeHead(401, {
      'www-authenticate': `Bearer realm="http://${host}/token",service="it",scope="x"`,
    })
    response.end()
    return true
  })
  host = registry.host
  await using store = await openStore({ root: folder.path, registry: quick })
  const auth = { username: 'joe', password: 'secret' }
  await store.service.pull(`${registry.host}/some/app`, { ...pullOptions(), auth })
  const tokens = registry.seen.filter(({ request }) => request.startsWith('GET /token'))
  assert.equal(tokens.length, 1)
  assert.match(tokens[0]?.request ?? '', /service=it&scope=repository%3Asome%2Fapp%3Apull&account=joe/)
  assert.equal(tokens[0]?.authorization, `Basic ${Buffer.from('joe:secret').toString('base64')}`)
})

test('pull ends when it is cancelled, keeps what it has for the next time, and redirect loops end', async () => {
  using folder = scratch()
  const stop = new AbortController()
  await using registry = await fakeRegistry(image, (_request, response, blob) => {
    if (blob !== big) return false
    response.writeHead(200, { 'content-length': blob.length })
    response.write(blob.subarray(0, 120_000))
    return true
  })
  await using store = await openStore({ root: folder.path, registry: { ...quick, stallMs: 30_000 } })
  const tell = ({ progressDetail }: { progressDetail?: { current?: number } }): void => {
    if ((progressDetail?.current ?? 0) > 0) stop.abort()
  }
  await assert.rejects(
    store.service.pull(`${registry.host}/app`, pullOptions(tell, stop.signal)),
    /context canceled/,
  )
  await using loop = await fakeRegistry(image, (request, response) => {
    response.writeHead(307, { location: request.url ?? '' })
    response.end()
    return true
  })
  await assert.rejects(store.service.pull(`${loop.host}/app`, pullOptions()), /more than 10 redirects/)
  await assertNothingKept(store)
})

test('pull from where nobody listens says so as dockerd does', async () => {
  using folder = scratch()
  await using store = await openStore({ root: folder.path, registry: quick })
  await assert.rejects(
    store.service.pull('127.0.0.1:1/app', pullOptions()),
    /Get "http:\/\/127\.0\.0\.1:1\/v2\/app\/manifests\/latest": dial tcp 127\.0\.0\.1:1: connect: connection refused/,
  )
})
