import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { DetachFilter, parseDetachKeys } from './detach-keys.ts'

test('parseDetachKeys reads control keys and characters', () => {
  assert.deepEqual([...parseDetachKeys('')], [16, 17])
  assert.deepEqual([...parseDetachKeys('ctrl-a,d')], [1, 100])
  assert.deepEqual(
    [...parseDetachKeys('ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_')],
    [0, 27, 28, 29, 30, 31],
  )
})

test('parseDetachKeys refuses what is not a key', () => {
  for (const bad of ['ctrl-', 'ctrl-ab', 'abc', 'ctrl-A', 'a,,b', 'ctrl-é']) {
    assert.throws(() => parseDetachKeys(bad), /Invalid detach keys/)
  }
})

async function feed(chunks: readonly Buffer[]): Promise<{ out: Buffer; detached: boolean }> {
  let detached = false
  const filter = new DetachFilter(Buffer.from([16, 17]), () => (detached = true))
  const out: Buffer[] = []
  filter.on('data', (chunk: Buffer) => out.push(chunk))
  const ended = new Promise((done) => filter.on('end', done))
  for (const chunk of chunks) filter.write(chunk)
  filter.end()
  await ended
  return { out: Buffer.concat(out), detached }
}

test('DetachFilter ends at the sequence, even split over chunks, and swallows it', async () => {
  const result = await feed([Buffer.from('ab\x10'), Buffer.from('\x11cd')])
  assert.deepEqual(result, { out: Buffer.from('ab'), detached: true })
})

test('DetachFilter gives back a beginning that was none', async () => {
  assert.deepEqual(await feed([Buffer.from('\x10x\x10'), Buffer.from('\x10\x12\x10')]), {
    out: Buffer.from('\x10x\x10\x10\x12\x10'),
    detached: false,
  })
})

test('DetachFilter passes anything without the sequence unchanged, however it is cut', async () => {
  const bytes = fc.array(fc.constantFrom(16, 17, 65), { maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(bytes, fc.integer({ min: 1, max: 7 }), async (values, size) => {
      const whole = Buffer.from(values)
      const chunks: Buffer[] = []
      for (let at = 0; at < whole.length; at += size) chunks.push(whole.subarray(at, at + size))
      const end = whole.indexOf(Buffer.from([16, 17]))
      const result = await feed(chunks)
      assert.equal(result.detached, end !== -1)
      assert.deepEqual(result.out, end === -1 ? whole : whole.subarray(0, end))
    }),
  )
})
