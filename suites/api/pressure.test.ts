/**
 * Streams under pressure: a gigabyte, some twenty seconds of two processors. DEWAR_PRESSURE_MB=64 is enough to see that
 * it works.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { Unframe } from '../../src/api/unframe.ts'
import { until } from '../harness/until.ts'
import { create, expectStatus, hijack, inspect, run, skip, startLive, type Live } from './live.ts'

const MB = 1024 * 1024
const SIZE = Number(process.env['DEWAR_PRESSURE_MB'] ?? 1024) * MB
/** What the engine may grow by meanwhile: buffers, not content. */
const GROWTH = 160 * MB
const LINE = `${'0123456789abcdef'.repeat(31)}fedcba987654321\n`

let live: Live

const NONE = { NetworkMode: 'none' }
const printing = { Cmd: ['sh', '-c', `yes '${LINE.trim()}' | head -c ${SIZE}`], HostConfig: NONE }
const status = async (id: string): Promise<unknown> =>
  Reflect.get(Object((await inspect(live.server, id))['State']), 'Status')

function expected(): string {
  const hash = createHash('sha256')
  const block = Buffer.from(LINE.repeat(2048))
  for (let left = SIZE; left > 0; left -= block.length)
    hash.update(left < block.length ? block.subarray(0, left) : block)
  return hash.digest('hex')
}

/** Reads it all; how much it was, its hash, and the most memory the engine had meanwhile. */
async function drain(stream: Readable): Promise<{ bytes: number; hash: string; peak: number }> {
  const hash = createHash('sha256')
  let [bytes, peak, done] = [0, 0, false]
  const watch = (async () => {
    while (!done) {
      peak = Math.max(peak, await live.rss())
      await sleep(50)
    }
  })()
  for await (const chunk of stream.pipe(new Unframe())) {
    if (!Buffer.isBuffer(chunk)) continue
    bytes += chunk.length
    hash.update(chunk)
  }
  done = true
  await watch
  return { bytes, hash: hash.digest('hex'), peak }
}

function get(path: string): Promise<Readable> {
  return new Promise((resolve, reject) => {
    request({ socketPath: live.server.socket, path, agent: false }, resolve).once('error', reject).end()
  })
}

const text = async (stream: Readable): Promise<string> => {
  const parts: Buffer[] = []
  for await (const chunk of stream.pipe(new Unframe())) if (Buffer.isBuffer(chunk)) parts.push(chunk)
  return Buffer.concat(parts).toString()
}

describe('pressure', { skip, concurrency: 1 }, () => {
  before(async () => {
    live = await startLive('pressure')
  })
  after(async () => live[Symbol.asyncDispose]())

  test(`attach and logs pass ${SIZE / MB} MB without loss, and the engine does not grow`, async () => {
    const id = await create(live.server, printing)
    const socket = await hijack(live.server, `/containers/${id}/attach?stream=1&stdout=1&stderr=1`)
    const base = await live.rss()
    expectStatus(await live.server.api('POST', `/containers/${id}/start`), 204)
    const wanted = expected()
    const attached = await drain(socket)
    assert.deepEqual([attached.bytes, attached.hash], [SIZE, wanted], 'attach')
    const logged = await drain(await get(`/containers/${id}/logs?stdout=1`))
    assert.deepEqual([logged.bytes, logged.hash], [SIZE, wanted], 'logs')
    const peak = Math.max(attached.peak, logged.peak)
    assert.ok(peak - base < GROWTH, `the engine grew by ${Math.round((peak - base) / MB)} MB`)
  })

  test('clients that stop reading or vanish mid-way hold nobody up but themselves, and cost no memory', async () => {
    const id = await create(live.server, {
      Cmd: ['sh', '-c', `yes '${LINE.trim()}' | head -c ${64 * MB}`],
      HostConfig: NONE,
    })
    const base = await live.rss()
    const gone = await Promise.all(
      Array.from({ length: 5 }, () => hijack(live.server, `/containers/${id}/attach?stream=1&stdout=1`)),
    )
    expectStatus(await live.server.api('POST', `/containers/${id}/start`), 204)
    const follower = await get(`/containers/${id}/logs?stdout=1&follow=1`)
    for (const [n, socket] of gone.entries()) {
      await new Promise((resolve) => socket.once(n % 2 === 0 ? 'data' : 'readable', resolve))
      socket.destroy()
    }
    const stalled = await Promise.all(
      Array.from({ length: 10 }, () => get(`/containers/${id}/logs?stdout=1&follow=1`)),
    )
    const { bytes, peak } = await drain(follower)
    assert.equal(bytes, 64 * MB)
    assert.ok(peak - base < GROWTH, `the engine grew by ${Math.round((peak - base) / MB)} MB`)
    for (const stream of stalled) stream.destroy()
    assert.equal(await status(id), 'exited')
  })

  test('200 attachments and detachments leave the container running and nothing behind', async () => {
    const id = await run(live.server, { Cmd: ['cat'], Tty: true, OpenStdin: true, HostConfig: NONE })
    const descriptors = async () =>
      Number(Reflect.get(Object((await live.server.api('GET', '/info')).json), 'NFd'))
    const before = await descriptors()
    for (let round = 0; round < 10; round += 1) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, n) => {
          const socket = await hijack(live.server, `/containers/${id}/attach?stream=1&stdin=1&stdout=1`)
          socket.on('error', () => undefined)
          socket.resume()
          const closed = new Promise((resolve) => socket.once('close', resolve))
          if (n % 4 === 0) socket.destroy()
          else if (n % 4 === 1) socket.end()
          else socket.write('\x10\x11')
          if (n % 4 === 1) setTimeout(() => socket.destroy(), 20)
          else if (n % 4 > 1) socket.once('end', () => socket.end())
          await closed
        }),
      )
    }
    assert.equal(await status(id), 'running')
    await until('the descriptors to be closed', async () => (await descriptors()) <= before + 5)
    const last = await hijack(live.server, `/containers/${id}/attach?stream=1&stdin=1&stdout=1`)
    let seen = ''
    last.on('data', (chunk: Buffer) => (seen += chunk.toString()))
    last.write('still\n')
    await until('the echo', () => seen.includes('still\r\n'))
    last.destroy()
  })

  test('100 followers of one log all see all of it', async () => {
    const id = await create(live.server, {
      Cmd: ['sh', '-c', 'read go; seq 1 5000; sleep 0.3; seq 5001 6000'],
      OpenStdin: true,
      HostConfig: NONE,
    })
    expectStatus(await live.server.api('POST', `/containers/${id}/start`), 204)
    const followers = await Promise.all(
      Array.from({ length: 100 }, () => get(`/containers/${id}/logs?stdout=1&follow=1`)),
    )
    const all = Promise.all(followers.map(text))
    const input = await hijack(live.server, `/containers/${id}/attach?stream=1&stdin=1`)
    input.write('go\n')
    const wanted = Array.from({ length: 6000 }, (_, n) => `${n + 1}\n`).join('')
    for (const seen of await all) assert.ok(seen === wanted, `${seen.length} bytes of ${wanted.length}`)
    input.destroy()
  })
})
