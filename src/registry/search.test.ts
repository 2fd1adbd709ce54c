import { test } from 'node:test'
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { DEFAULT_REGISTRY_OPTIONS } from './endpoints.ts'
import { searchRegistry } from './search.ts'

const options = {
  limit: 7,
  credentials: undefined,
  registry: DEFAULT_REGISTRY_OPTIONS,
  signal: new AbortController().signal,
}

test('searchRegistry asks the registry that the term names', async (t) => {
  let asked = ''
  let body = JSON.stringify({
    results: [{ name: 'a/one', star_count: 5, is_official: true, description: null }],
  })
  const index = createServer((request, response) => {
    asked = request.url ?? ''
    response.end(body)
  }).listen(0, '127.0.0.1')
  t.after(() => index.close())
  await once(index, 'listening')
  const address = index.address()
  assert.ok(typeof address === 'object' && address !== null)
  const term = `127.0.0.1:${address.port}/a b`
  const found = await searchRegistry(term, options)
  assert.equal(asked, '/v1/search?q=a%20b&n=7')
  assert.deepEqual(found, [{ name: 'a/one', description: '', stars: 5, official: true }])
  for (body of ['{', '{"results":7}']) await assert.rejects(searchRegistry(term, options), /error decoding/)
})

test('searchRegistry refuses a scheme, and says who did not answer', async () => {
  await assert.rejects(searchRegistry('http://x/y', options), /should not have a scheme/)
  await assert.rejects(
    searchRegistry('127.0.0.1:9/y', options),
    /connection refused \(check that 127\.0\.0\.1:9/,
  )
})
