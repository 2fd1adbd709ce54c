import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeCounts, wantsMore } from './write-back.ts'

const ALL = 8 * 2 ** 20
const rounds = (...counted: number[]): number[] => counted.map((one) => one * ALL)
const proven = (counts: Parameters<typeof judgeCounts>[0]): boolean =>
  judgeCounts(counts).controls.every(({ held }) => held)

const [NONE, EACH] = [rounds(0, 0, 0, 0, 0, 0, 0), rounds(1, 1, 1, 1, 1, 1, 1)]
const nothing = { ofGroup: NONE, beyond: NONE, own: EACH, grouped: true }

test('judgeCounts says shared where its group counts what the neighbour leaves, and nobody else adds to that', () => {
  const seen = { ...nothing, ofGroup: rounds(1, 0, 1, 0, 0, 0, 0) }
  assert.ok(judgeCounts(seen).shared)
})

test('judgeCounts does not take what others wrote in some rounds for the neighbour', () => {
  const others = { ...nothing, beyond: rounds(1, 0, 0, 1, 1, 0, 0) }
  assert.ok(!judgeCounts(others).shared)
  assert.ok(!proven(others), 'nor is it proof that nothing is shared')
  assert.ok(judgeCounts({ ...nothing, beyond: EACH, grouped: false }).shared, 'all of seven are no chance')
})

test('judgeCounts goes by the host where the data stands in no group of the neighbour', () => {
  assert.ok(judgeCounts({ ...nothing, beyond: EACH }).shared)
})

test('judgeCounts proves that nothing is shared only beside a count that others do not lower', () => {
  assert.ok(!judgeCounts(nothing).shared)
  assert.ok(proven(nothing))
  assert.ok(!proven({ ...nothing, grouped: false }), 'somebody may have had it written each time')
  assert.ok(!proven({ ...nothing, ofGroup: rounds(0, 0, 1, 0, 0, 0, 0) }), 'one round')
})

test("judgeCounts wants the auditor's own data counted in most rounds", () => {
  assert.ok(!proven({ ...nothing, own: rounds(1, 0, 0, 0, 1, 0, 1) }), 'something on the host syncs often')
  assert.ok(proven({ ...nothing, own: rounds(1, 0, 1, 0, 1, 0, 1) }))
})

test('wantsMore rounds until they agree and the auditor has seen its own, and no more than twenty', () => {
  const five = (counts: typeof nothing): typeof nothing => ({
    ...counts,
    ofGroup: counts.ofGroup.slice(0, 5),
    beyond: counts.beyond.slice(0, 5),
    own: counts.own.slice(0, 5),
  })
  const seen = { ...nothing, ofGroup: rounds(1, 0, 1, 0, 0, 0, 0) }
  assert.ok(wantsMore({ ...seen, beyond: rounds(0, 0, 0, 0) }))
  assert.ok(!wantsMore(five(seen)))
  assert.ok(wantsMore(five(nothing)), 'five of the host say nothing')
  assert.ok(!wantsMore(nothing))
  assert.ok(wantsMore({ ...nothing, beyond: rounds(0, 0, 0, 1, 0, 0, 0) }), 'somebody wrote in one round')
  assert.ok(wantsMore({ ...nothing, own: rounds(1, 0, 0, 0, 1, 0, 0) }))
  const twenty = Array.from({ length: 20 }, () => 0)
  assert.ok(!wantsMore({ ofGroup: [...twenty.slice(1), ALL], beyond: twenty, own: twenty, grouped: true }))
})
