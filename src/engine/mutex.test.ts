import { test } from 'node:test'
import assert from 'node:assert/strict'
import { Mutex } from './mutex.ts'

test('Mutex runs work in call order, never two at once', async () => {
  const mutex = new Mutex()
  const seen: string[] = []
  const step = (name: string) =>
    mutex.run(async () => {
      seen.push(`${name} in`)
      await new Promise((done) => setImmediate(done))
      seen.push(`${name} out`)
    })
  await Promise.all([step('a'), step('b'), step('c')])
  assert.deepEqual(seen, ['a in', 'a out', 'b in', 'b out', 'c in', 'c out'])
  assert.equal(mutex.busy, 0)
})

test('Mutex goes on after a failure and hands it to the caller', async () => {
  const mutex = new Mutex()
  const bad = mutex.run(() => Promise.reject(new Error('no')))
  const good = mutex.run(() => Promise.resolve(7))
  await assert.rejects(bad, /no/)
  assert.equal(await good, 7)
})
