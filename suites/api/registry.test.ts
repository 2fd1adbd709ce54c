/** Distribution inspect and search on a registry of their own. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { expectStatus, skip, startLive, REGISTRY, type Live } from './live.ts'

let live: Live
const get = (path: string) => live.server.api('GET', path)

describe('registry', { skip, concurrency: 1 }, () => {
  before(async () => {
    live = await startLive('registry')
  })
  after(async () => live[Symbol.asyncDispose]())

  test('distribution tells digest, type, size and platforms without a pull', async () => {
    const { json } = expectStatus(await get(`/v1.50/distribution/${REGISTRY}/busybox/json`), 200)
    const { Descriptor, Platforms } = json as {
      readonly Descriptor: { readonly digest: string; readonly size: number; readonly mediaType: string }
      readonly Platforms: readonly object[]
    }
    const { stdout } = await live.server.run([
      'curl',
      '-sI',
      '-H',
      `Accept: ${Descriptor.mediaType}`,
      `http://${REGISTRY}/v2/busybox/manifests/latest`,
    ])
    assert.match(stdout, new RegExp(`Docker-Content-Digest: ${Descriptor.digest}`, 'i'))
    assert.match(stdout, new RegExp(`Content-Length: ${Descriptor.size}`, 'i'))
    assert.deepEqual(Platforms, [{ architecture: 'amd64', os: 'linux' }])
    const again = expectStatus(await get(`/distribution/${REGISTRY}/busybox@${Descriptor.digest}/json`), 200)
    assert.deepEqual(again.json, json)
    const listed = await live.server.docker('images', '-q', `${REGISTRY}/busybox@${Descriptor.digest}`)
    assert.equal(listed.split('\n').length, 1)
  })

  test('distribution of what is not there is refused as a pull is', async () => {
    assert.equal((await get(`/distribution/${REGISTRY}/nosuch/json`)).status, 404)
    assert.equal((await get('/distribution/UPPER/json')).status, 400)
    assert.equal((await get('/distribution/x')).status, 404)
    const gone = await get('/distribution/127.0.0.1:9/x/json')
    assert.equal(gone.status, 500)
    assert.match(gone.text, /connection refused/)
  })

  test('search is refused in dockerd’s words where the registry has none, and for what cannot be', async () => {
    assert.match((await get('/images/search?term=127.0.0.1:9/x')).text, /connection refused/)
    assert.equal((await get(`/images/search?term=${REGISTRY}/x`)).status, 500)
    assert.match((await get(`/images/search?term=${REGISTRY}/x`)).text, /Unexpected status code 404/)
    assert.equal((await get('/images/search?term=x&limit=101')).status, 400)
    assert.equal((await get('/images/search?term=https://x')).status, 400)
    assert.equal(
      (await get(`/images/search?term=x&filters=${encodeURIComponent('{"stars":["many"]}')}`)).status,
      400,
    )
  })
})
