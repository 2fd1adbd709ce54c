import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareRounds, tryInterference } from './interference.ts'
import type { Trial } from './interference.ts'

const QUIET = [10, 11, 10, 12, 10, 11]

test('compareRounds says harmed only when the rounds agree and no quiet one is as bad', () => {
  assert.equal(compareRounds(QUIET, [30, 31, 29, 30, 33], 1.5).verdict, 'harmed')
  assert.equal(compareRounds(QUIET, [30, 31, 9, 30, 33], 1.5).verdict, 'harmed', 'one odd round')
  assert.equal(compareRounds(QUIET, [30, 11, 12, 30, 33], 1.5).verdict, 'unclear')
  assert.equal(compareRounds([10, 40, 10, 40, 12, 11], [30, 31, 29, 30, 33], 1.5).verdict, 'unclear')
})

test('compareRounds says unharmed only when the quiet rounds agree too', () => {
  assert.equal(compareRounds(QUIET, [11, 10, 12, 11, 10], 1.5).verdict, 'unharmed')
  assert.equal(compareRounds(QUIET, [11, 10, 99, 11, 10], 1.5).verdict, 'unharmed', 'one odd round')
  assert.equal(compareRounds(QUIET, [11, 10, 99, 11, 99], 1.5).verdict, 'unclear')
  // Slow quiet rounds would hide a harm.
  assert.equal(compareRounds([10, 60, 55, 10, 60, 11], [50, 50, 50, 50, 50], 1.5).verdict, 'unclear')
})

test('compareRounds of noise alone never says harmed', () => {
  let seed = 42
  const noise = (): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return 10 + (seed % 1000 < 300 ? 40 : 0)
  }
  for (let run = 0; run < 500; run += 1) {
    const loaded = Array.from({ length: 5 }, noise)
    const quiet = Array.from({ length: 6 }, noise)
    const busy = quiet.filter((one) => one > 10).length
    const { verdict } = compareRounds(quiet, loaded, 1.5)
    if (busy > 1) assert.notEqual(verdict, 'harmed', `${String(quiet)} ${String(loaded)}`)
  }
})

/** A machine whose work takes `alone` ns, `during` beside the neighbour, `own` beside its own load. */
function machine(alone: bigint, during: bigint, own: bigint): Trial {
  let loads = 0
  return {
    measure: async () => [loads > 0 ? during : alone],
    load: async () => {
      loads += 1
      await new Promise((resolve) => setTimeout(resolve, 120))
      loads -= 1
      return 1
    },
    felt: { what: 'its own load', measure: async () => [own] },
    ...{ most: 1.5, what: 'work', unit: 'loads', signal: new AbortController().signal },
  }
}

test('tryInterference tells harm, and none only where its measure shows harm at all', async () => {
  assert.equal((await tryInterference(machine(10n, 40n, 40n))).verdict, 'LEAK')
  assert.equal((await tryInterference(machine(10n, 11n, 40n))).verdict, 'CONTAINED')
  const blind = await tryInterference(machine(10n, 11n, 11n))
  assert.equal(blind.verdict, 'INCONCLUSIVE', 'the load hurts not even who makes it')
  assert.match(blind.reason, /its own load/)
})
