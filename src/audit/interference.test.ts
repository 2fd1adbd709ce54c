import assert from 'node:assert/strict'
import { test } from 'node:test'
import { comparePairs, fastest, tryInterference } from './interference.ts'
import type { Pair, Trial } from './interference.ts'

const pairs = (quiet: readonly number[], loaded: readonly number[]): Pair[] =>
  quiet.map((one, index) => ({ quiet: one, loaded: loaded[index] ?? Number.NaN }))
const QUIET = [10, 11, 10, 12, 10, 11, 10]

test('comparePairs says harmed or unharmed only when all of seven pairs agree', () => {
  assert.equal(comparePairs(pairs(QUIET, [30, 31, 29, 30, 33, 29, 30]), 1.5), 'yes')
  assert.equal(comparePairs(pairs(QUIET, [30, 31, 9, 30, 33, 29, 30]), 1.5), 'more')
  assert.equal(comparePairs(pairs(QUIET, [11, 10, 12, 11, 10, 11, 12]), 1.5), 'no')
})

test('comparePairs is not talked out of a harm by what others add to both', () => {
  const others = 50
  const busy = pairs(
    QUIET.map((one) => one + others),
    [30, 31, 29, 30, 33, 29, 30].map((one) => one + others),
  )
  // 1.3 times: no ratio of harm, but more than half of what the work takes at its best.
  assert.notEqual(comparePairs([{ quiet: 10, loaded: 30 }, ...busy.slice(1)], 1.5), 'no')
})

test('comparePairs of noise alone says harmed in less than 3 of 100 trials', () => {
  let seed = 42
  const noise = (): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return 10 + (seed % 1000 < 300 ? 40 : 0)
  }
  let harmed = 0
  for (let run = 0; run < 2000; run += 1) {
    const trial: Pair[] = []
    while (comparePairs(trial, 1.5) === 'more') trial.push({ quiet: noise(), loaded: noise() })
    if (comparePairs(trial, 1.5) === 'yes') harmed += 1
  }
  assert.ok(harmed < 60, String(harmed))
})

test('fastest is what the work takes when it need not wait for the processor', () => {
  assert.equal(fastest([90n, 1n, 90n, 90n, 2n, 90n, 90n, 90n, 2n, 2n]), 90)
  assert.equal(fastest([90n, 3n, 90n, 90n, 4n, 90n, 90n, 90n, 2n, 5n]), 5)
})

test('fastest is a wait for the disk, though short rounds follow it', () => {
  assert.equal(fastest([16_580n, 320n, 210n, 200n, 129_860n]), 16_580)
  assert.equal(fastest([]), 250e6)
})

/** A machine whose work takes `alone` ns, `during` beside the neighbour, `own` beside its own load. */
function machine(alone: number, during: number, own: number): Trial {
  let loads = 0
  return {
    measure: async () => (loads > 0 ? during : alone),
    load: async () => {
      loads += 1
      await new Promise((resolve) => setTimeout(resolve, 120))
      loads -= 1
      return 1
    },
    felt: { what: 'its own load', measure: async () => own },
    ...{ most: 1.5, what: 'work', unit: 'loads', signal: new AbortController().signal },
  }
}

test('tryInterference tells harm, and none only where its measure shows harm at all', async () => {
  assert.equal((await tryInterference(machine(10, 40, 40))).verdict, 'LEAK')
  assert.equal((await tryInterference(machine(10, 11, 40))).verdict, 'CONTAINED')
  const blind = await tryInterference(machine(10, 11, 11))
  assert.equal(blind.verdict, 'INCONCLUSIVE', 'the load hurts not even who makes it')
  assert.match(blind.reason, /its own load/)
})
