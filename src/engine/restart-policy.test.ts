import { test } from 'node:test'
import assert from 'node:assert/strict'
import { decideRestart, startsWithEngine, type Ended } from './restart-policy.ts'

const ended: Ended = { exitCode: 1, manuallyStopped: false, restartCount: 0, ranFor: 5, lastDelay: 0 }
const policy = (name: string, maximumRetryCount = 0) => ({ name, maximumRetryCount })

test('decideRestart doubles the delay from 100 ms to one minute', () => {
  const delays: number[] = []
  let lastDelay = 0
  for (let run = 0; run < 12; run += 1) {
    const decision = decideRestart(policy('always'), { ...ended, lastDelay })
    assert.ok(decision.restart)
    lastDelay = decision.delay
    delays.push(decision.delay)
  }
  assert.deepEqual(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000])
})

test('decideRestart begins the back-off anew after a run of ten seconds', () => {
  assert.deepEqual(decideRestart(policy('always'), { ...ended, lastDelay: 6400, ranFor: 10_000 }), {
    restart: true,
    delay: 100,
  })
})

test('decideRestart with on-failure counts retries and leaves success alone', () => {
  assert.equal(decideRestart(policy('on-failure', 2), { ...ended, restartCount: 1 }).restart, true)
  assert.equal(decideRestart(policy('on-failure', 2), { ...ended, restartCount: 2 }).restart, false)
  assert.equal(decideRestart(policy('on-failure'), { ...ended, restartCount: 99 }).restart, true)
  assert.equal(decideRestart(policy('on-failure'), { ...ended, exitCode: 0 }).restart, false)
})

test('decideRestart never restarts what was stopped by hand, nor without a policy', () => {
  for (const name of ['always', 'unless-stopped', 'on-failure']) {
    assert.equal(decideRestart(policy(name), { ...ended, manuallyStopped: true }).restart, false)
  }
  assert.equal(decideRestart(policy('no'), ended).restart, false)
  assert.equal(decideRestart(policy(''), ended).restart, false)
})

test('startsWithEngine brings back "always" even when stopped by hand', () => {
  assert.equal(startsWithEngine(policy('always'), { ...ended, manuallyStopped: true }), true)
  assert.equal(startsWithEngine(policy('unless-stopped'), { ...ended, manuallyStopped: true }), false)
  assert.equal(startsWithEngine(policy('unless-stopped'), ended), true)
  assert.equal(startsWithEngine(policy('on-failure', 1), { ...ended, restartCount: 1 }), false)
})
