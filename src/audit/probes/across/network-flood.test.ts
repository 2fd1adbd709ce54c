import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeShares } from './network-flood.ts'

const shares = (...outside: readonly number[]): { inside: number; outside: number }[] =>
  outside.map((percent) => ({ inside: 100e6, outside: percent * 1e6 }))

test('judgeShares says LEAK of work that nobody is charged for, and nothing where the rounds differ', () => {
  assert.equal(judgeShares(shares(30, 25, 40, 31, 5), 100).verdict, 'LEAK')
  assert.equal(judgeShares(shares(0, 3, 2, 0, 40), 100).verdict, 'CONTAINED')
  assert.equal(judgeShares(shares(0, 3, 20, 0, 40), 100).verdict, 'INCONCLUSIVE')
})

test('judgeShares proves nothing of who sent nothing, or was charged for nothing', () => {
  assert.equal(judgeShares(shares(0, 0, 0, 0, 0), 0).verdict, 'INCONCLUSIVE')
  assert.equal(judgeShares([{ inside: 0, outside: 0 }, ...shares(0, 0, 0, 0)], 9).verdict, 'INCONCLUSIVE')
})
