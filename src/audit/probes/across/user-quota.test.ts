import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MOST_ROUNDS } from '../../agreement.ts'
import { judgeLacks } from './user-quota.ts'

/** So often the first, then the others. */
const rounds = (times: number, first: number, ...others: readonly number[]): number[] => [
  ...Array.from({ length: times }, () => first),
  ...others,
]

test('judgeLacks says shared where all that one holds is lacking, in all rounds but few', () => {
  assert.equal(judgeLacks([24, 23, 26, 24, 24, 25, 24]), 'shared')
  assert.equal(judgeLacks(rounds(6, 24, 3)), 'more')
  assert.equal(judgeLacks(rounds(12, 24, 3, 90)), 'shared', 'two of fourteen in which others did something')
})

test('judgeLacks says own only where next to nothing is lacking, in all rounds but few', () => {
  assert.equal(judgeLacks([0, -1, 2, 0, 0, 0, 1]), 'own')
  // Neither all nor nothing: others make and end some meanwhile, so it proves neither.
  for (const odd of [7, 17, 24, 31, -17, Number.NaN])
    assert.equal(judgeLacks(rounds(6, 0, odd)), 'more', `${odd} fewer`)
  assert.equal(judgeLacks(rounds(12, 0, 24, Number.NaN)), 'own')
  assert.equal(judgeLacks(rounds(11, 0, 24, 24, 24)), 'more')
  for (const half of [17, Number.NaN]) assert.equal(judgeLacks(rounds(MOST_ROUNDS, half)), 'unclear')
  assert.equal(judgeLacks(rounds(MOST_ROUNDS - 20, 0, ...rounds(20, 24))), 'unclear')
})
