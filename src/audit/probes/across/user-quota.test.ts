import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeLacks } from './user-quota.ts'

test('judgeLacks says shared where all that one holds is lacking in each round', () => {
  assert.equal(judgeLacks([24, 23, 26]), 'shared')
})

test('judgeLacks says own only where next to nothing is lacking in each round', () => {
  assert.equal(judgeLacks([0, -1, 2]), 'own')
  // Neither all nor nothing: others make and end some meanwhile, so it proves neither.
  for (const odd of [7, 17, 24, 31, -17]) assert.equal(judgeLacks([0, odd, 0]), 'unclear', `${odd} fewer`)
  assert.equal(judgeLacks([17, 31, 17]), 'unclear')
  assert.equal(judgeLacks([]), 'unclear')
})
