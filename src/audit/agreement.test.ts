import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agreement, LOOKS, MOST_ROUNDS } from './agreement.ts'

const said = (yes: number, all: number): boolean[] => Array.from({ length: all }, (_, index) => index < yes)
const no = (yes: readonly boolean[]): boolean[] => yes.map((one) => !one)
const of = (yes: readonly boolean[]): string => agreement(yes, no(yes))

test('agreement wants all of seven rounds, and of more rounds a smaller part', () => {
  assert.equal(of(said(7, 7)), 'yes')
  assert.equal(of(said(6, 7)), 'more')
  assert.equal(of(said(12, 14)), 'yes')
  assert.equal(of(said(11, 14)), 'more')
  assert.equal(of(said(4, 20)), 'no')
  assert.equal(of(said(15, 20)), 'more')
  assert.equal(of(said(22, 30)), 'yes')
  assert.equal(of(said(21, 30)), 'more')
  assert.equal(of(said(31, 45)), 'yes')
  assert.equal(of(said(14, 45)), 'no')
  assert.equal(of(said(30, 45)), 'unclear')
})

test('agreement is reached by a coin in less than 3 of 100 trials on either side', () => {
  /** Chance of each number of rounds that said yes, of those trials that go on. */
  let going = [1]
  let chance = 0
  for (let rounds = 1; rounds <= MOST_ROUNDS; rounds += 1) {
    const next = Array.from({ length: rounds + 1 }, () => 0)
    for (const [yes, p] of going.entries()) {
      next[yes] = (next[yes] ?? 0) + p / 2
      next[yes + 1] = (next[yes + 1] ?? 0) + p / 2
    }
    const look = LOOKS.find((one) => one.rounds === rounds)
    if (look !== undefined) chance += next.slice(rounds - look.odd).reduce((sum, p) => sum + p, 0)
    going = next.map((p, yes) => (of(said(yes, rounds)) === 'more' ? p : 0))
  }
  assert.ok(chance < 0.03, String(chance))
})
