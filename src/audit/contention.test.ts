import assert from 'node:assert/strict'
import { test } from 'node:test'
import { harmOf, judgeStretches, waitedSince } from './contention.ts'
import type { Stretch } from './contention.ts'

/** Two processors for a second. Who has no limit gets as much as each of the others. */
const OPEN: Stretch = {
  ...{ victim: 1e9, neighbour: 1e9, all: 2e9, waited: 1.0 },
  ...{ limit: Number.POSITIVE_INFINITY, arrived: undefined },
}
const seven = (one: Stretch): Stretch[] => Array.from({ length: 7 }, () => one)

test('judgeStretches tells a neighbour that takes half from one that a limit keeps to little', () => {
  assert.equal(judgeStretches(seven(OPEN), 1.5), 'yes')
  assert.equal(judgeStretches(seven({ ...OPEN, victim: 1.8e9, neighbour: 0.2e9, limit: 0.2e9 }), 1.5), 'no')
  // By weights.
  assert.equal(judgeStretches(seven({ ...OPEN, victim: 1.99e9, neighbour: 0.01e9 }), 1.5), 'no')
})

test('judgeStretches says the same where ten others take most of the machine', () => {
  const busy = { ...OPEN, victim: 0.17e9, neighbour: 0.17e9, waited: 10 }
  assert.equal(judgeStretches(seven(busy), 1.5), 'yes')
  assert.equal(judgeStretches(seven({ ...busy, limit: 0.2e9 }), 1.5), 'no')
})

test('harmOf does not believe a limit that is not kept', () => {
  assert.ok(harmOf({ ...OPEN, limit: 0.2e9 }) > 0.5)
})

test('harmOf sees no harm where nobody has to wait', () => {
  assert.ok(harmOf({ ...OPEN, waited: 0.01 }) < 0.5, 'a machine with processors enough')
})

test('harmOf sees the processor that packets take which are dropped on their way', () => {
  assert.ok(harmOf({ ...OPEN, arrived: 0.02 }) > 0.5)
  assert.ok(harmOf({ ...OPEN, arrived: 1 }) > 0.5)
  assert.ok(harmOf({ ...OPEN, neighbour: 0.02e9, arrived: 0.02 }) < 0.5, 'it hardly ran either')
})

test('waitedSince says of who got to no processor at all that he waited all the time', () => {
  const still = new Map([['1', { ran: 5, waited: 7 }]])
  assert.equal(waitedSince(still, still), Number.POSITIVE_INFINITY)
  assert.equal(waitedSince(still, new Map([['1', { ran: 15, waited: 27 }]])), 2)
  // No thread was seen: that says nothing.
  assert.ok(Number.isNaN(harmOf({ ...OPEN, waited: waitedSince(new Map(), new Map()) })))
})
