import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MOST_ROUNDS } from '../../agreement.ts'
import { judgeShares } from './network-flood.ts'
import type { Share } from './network-flood.ts'

/** Per cent of what is charged. */
const shares = (...outside: readonly number[]): Share[] =>
  outside.map((percent) => ({ inside: 100e6, outside: percent * 1e6 + 5e6, quiet: 5e6 }))

test('judgeShares says LEAK of work that nobody is charged for, and nothing where the rounds differ', () => {
  assert.equal(judgeShares(shares(30, 25, 40, 31, 25, 22, 60), 100)?.verdict, 'LEAK')
  assert.equal(judgeShares(shares(0, 3, 2, 0, 4, -9, 1), 100)?.verdict, 'CONTAINED')
  assert.equal(judgeShares(shares(0, 3, 2, 0, 40, 1, 1), 100), undefined, 'one odd round: it goes on')
  const half = Array.from({ length: MOST_ROUNDS }, (_, index) => (index % 2) * 30)
  assert.equal(judgeShares(shares(...half), 100)?.verdict, 'INCONCLUSIVE')
})

test('judgeShares proves nothing of who sent nothing, or was charged for nothing', () => {
  assert.equal(judgeShares(shares(0, 0, 0, 0, 0, 0, 0), 0)?.verdict, 'INCONCLUSIVE')
  const unpaid = { inside: 0, outside: 0, quiet: 0 }
  assert.equal(
    judgeShares(
      Array.from({ length: MOST_ROUNDS }, () => unpaid),
      9,
    )?.verdict,
    'INCONCLUSIVE',
  )
})

test('judgeShares takes a stretch in which next to nothing was charged for one that says nothing', () => {
  const unpaid = { inside: 0, outside: 0, quiet: 0 }
  const seven = [unpaid, ...shares(0, 0, 0, 0, 0, 0)]
  assert.equal(judgeShares(seven, 9), undefined, 'it goes on')
  assert.equal(judgeShares([...seven, ...shares(0, 0, 0, 0, 0, 0, 0)], 9)?.verdict, 'CONTAINED')
  const threads = [unpaid, ...shares(...Array.from({ length: 13 }, () => 40))]
  assert.equal(judgeShares(threads, 9)?.verdict, 'LEAK')
})
