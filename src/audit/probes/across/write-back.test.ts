import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeCounts, wantsMore } from './write-back.ts'

const ALL = 8 * 2 ** 20
const rounds = (...counted: number[]): number[] => counted.map((one) => one * ALL)
const proven = (counts: Parameters<typeof judgeCounts>[0]): boolean =>
  judgeCounts(counts).controls.every(({ held }) => held)

test('judgeCounts says shared where the host counts what the neighbour leaves', () => {
  const { shared } = judgeCounts({ grew: rounds(1, 0, 1, 1, 1), own: rounds(1, 1, 1, 1, 1), grouped: false })
  assert.ok(shared)
})

test('judgeCounts proves that nothing is shared only beside a count that others do not lower', () => {
  const none = { grew: rounds(0, 0, 0, 0, 0), own: rounds(1, 1, 1, 1, 1), grouped: true }
  assert.ok(!judgeCounts(none).shared)
  assert.ok(proven(none))
  assert.ok(!proven({ ...none, grouped: false }), 'somebody may have had it written each time')
})

test("judgeCounts wants the auditor's own data counted in most rounds", () => {
  const none = { grew: rounds(0, 0, 0, 0, 0), grouped: true }
  assert.ok(!proven({ ...none, own: rounds(1, 0, 0, 0, 1) }), 'something on the host syncs often')
  assert.ok(proven({ ...none, own: rounds(1, 0, 1, 0, 1) }))
  assert.ok(!proven({ grew: rounds(0, 0, 1, 0, 0), own: rounds(1, 1, 1, 1, 1), grouped: true }), 'one round')
})

test('wantsMore rounds until they agree and the auditor has seen its own, and no more than twenty', () => {
  const own = rounds(1, 1, 1, 1, 1)
  const none = rounds(0, 0, 0, 0, 0)
  assert.ok(wantsMore({ grew: rounds(1, 1, 1, 1), own: rounds(1, 1, 1, 1), grouped: true }))
  assert.ok(!wantsMore({ grew: rounds(1, 0, 1, 0, 0), own, grouped: true }))
  assert.ok(!wantsMore({ grew: none, own, grouped: true }))
  assert.ok(
    wantsMore({ grew: rounds(0, 0, 1, 0, 0), own, grouped: true }),
    'somebody had one round written, or four',
  )
  assert.ok(wantsMore({ grew: none, own: rounds(1, 0, 0, 0, 1), grouped: true }))
  const twenty = Array.from({ length: 20 }, () => 0)
  assert.ok(!wantsMore({ grew: [...twenty.slice(1), ALL], own: twenty, grouped: true }))
})
