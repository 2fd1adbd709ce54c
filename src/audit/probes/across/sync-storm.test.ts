import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MOST_ROUNDS } from '../../agreement.ts'
import { judgeSyncs, LONGEST, syncStorm } from './sync-storm.ts'
import type { Left } from './sync-storm.ts'

const times = (count: number, one: Left): Left[] => Array.from({ length: count }, () => one)
const STAYS: Left = { after: 0.98, without: Number.NaN }
const GONE: Left = { after: 0, without: 0.97 }
/** Somebody else had all written. */
const SPOILT: Left = { after: 0, without: 0.02 }

test('judgeSyncs says yes of what goes with the sync and stays without, no of what stays', () => {
  assert.equal(judgeSyncs(times(7, GONE)), 'yes')
  assert.equal(judgeSyncs(times(7, STAYS)), 'no')
  assert.equal(judgeSyncs([...times(6, STAYS), GONE]), 'more')
  assert.equal(judgeSyncs([...times(12, STAYS), GONE, GONE]), 'no')
  assert.equal(judgeSyncs([...times(MOST_ROUNDS - 20, STAYS), ...times(20, GONE)]), 'unclear')
})

test('judgeSyncs takes nothing from rounds in which the data goes without a sync, too', () => {
  assert.equal(judgeSyncs(times(200, SPOILT)), 'more')
  assert.equal(judgeSyncs([...times(50, SPOILT), ...times(7, GONE)]), 'yes')
  assert.equal(judgeSyncs([...times(50, SPOILT), ...times(7, STAYS)]), 'no')
})

test('judgeSyncs is not persuaded by a part', () => {
  assert.equal(judgeSyncs(times(MOST_ROUNDS, { after: 0.5, without: 0.97 })), 'unclear')
})

test('syncStorm has time for all rounds that a verdict may want, where a sync takes 3 s', () => {
  assert.ok(LONGEST > MOST_ROUNDS * 2 * 3000)
  assert.ok((syncStorm.timeout ?? 0) > LONGEST + 40_000, 'and for the control, and to begin')
})
