import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFelt } from './felt.ts'
import type { Control } from './types.ts'

const signal = new AbortController().signal

/** Stretch after stretch, what the work and the load are given; the last one goes on. */
function told(...stretches: readonly (readonly [mine: number, others: number])[]): Promise<Control> {
  const next = (side: 0 | 1) => {
    let turn = 0
    return async () => stretches[Math.min(turn++, stretches.length - 1)]?.[side] ?? 0
  }
  return isFelt({ what: 'the load', work: next(0), load: next(1), least: 0.5, signal })
}

test('isFelt does not take one odd stretch for the whole', async () => {
  // As a run of our CI had it, with a limit of a tenth of a processor, and then as it goes on.
  const { what, held } = await told([197, 71], [40, 180], [120, 131])
  assert.ok(held)
  assert.equal(
    what,
    'the load is given its part (at least 0.5 of what the work is given: 382 bursts to 357, 3 stretches)',
  )
  assert.ok((await told([500, 0], [500, 0], [100, 100])).held, 'it goes on')
})

test('isFelt does not hold of what takes next to nothing, nor where nothing was done', async () => {
  assert.ok(!(await told([100, 0])).held)
  assert.ok(!(await told([100, 10])).held)
  assert.ok(!(await told([0, 100])).held)
  // In one stretch, as by a burst of others.
  assert.ok(!(await told([100, 5], [100, 80], [100, 5])).held)
})

/** What a stretch is: either is given up to four times as much as it should have been. */
function chances(part: number): () => Promise<Control> {
  let seed = 7
  const lot = (): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return 4 ** ((seed >> 8) / 2 ** 23)
  }
  const work = async () => Math.round(100 * lot())
  const load = async () => Math.round(100 * part * lot())
  return () => isFelt({ what: 'the load', work, load, least: 0.5, signal })
}

test('isFelt holds of each load that is one, and of none that is a tenth, whatever noise makes of stretches', async () => {
  const [whole, tenth] = [chances(1), chances(0.1)]
  for (let trial = 0; trial < 1000; trial += 1) {
    assert.ok((await whole()).held)
    assert.ok(!(await tenth()).held)
  }
})
