import { test } from 'node:test'
import assert from 'node:assert/strict'
import { HEALTH_STARTING, nextHealth, nextProbeIn, probePlan } from './health-state.ts'
import type { Health } from './types.ts'

const plan = probePlan({ test: ['CMD', 'check'], retries: 2, startPeriod: 5e9, interval: 1e9 }, [
  '/bin/sh',
  '-c',
])
const probe = (exitCode: number) => ({ start: 1, end: 2, exitCode, output: '' })

test('probePlan understands CMD, CMD-SHELL and NONE, and fills in Docker’s defaults', () => {
  assert.deepEqual(probePlan({ test: ['CMD-SHELL', 'a | b'] }, ['/bin/sh', '-c']), {
    argv: ['/bin/sh', '-c', 'a | b'],
    interval: 30_000,
    timeout: 30_000,
    startPeriod: 0,
    startInterval: 5_000,
    retries: 3,
  })
  for (const test of [['NONE'], [], ['CMD'], ['what', 'x']]) assert.equal(probePlan({ test }, []), undefined)
  assert.equal(probePlan(undefined, []), undefined)
})

test('nextHealth becomes unhealthy after the retries and healthy with one success', () => {
  assert.ok(plan)
  let health: Health = HEALTH_STARTING
  health = nextHealth(health, probe(1), plan, 10_000)
  assert.deepEqual([health.status, health.failingStreak], ['starting', 1])
  health = nextHealth(health, probe(-1), plan, 10_000)
  assert.deepEqual([health.status, health.failingStreak], ['unhealthy', 2])
  health = nextHealth(health, probe(0), plan, 10_000)
  assert.deepEqual([health.status, health.failingStreak], ['healthy', 0])
  health = nextHealth(health, probe(1), plan, 10_000)
  assert.deepEqual([health.status, health.failingStreak], ['healthy', 1])
})

test('nextHealth does not count failures in the start period, and logs five', () => {
  assert.ok(plan)
  let health: Health = HEALTH_STARTING
  for (let n = 0; n < 9; n += 1) health = nextHealth(health, probe(1), plan, 4_999)
  assert.deepEqual([health.status, health.failingStreak, health.log.length], ['starting', 0, 5])
  health = nextHealth(health, probe(1), plan, 5_000)
  assert.equal(health.failingStreak, 1)
})

test('nextProbeIn is quicker while starting up', () => {
  const quick = probePlan({ test: ['CMD', 'x'], startPeriod: 60e9, startInterval: 2e9 }, [])
  assert.ok(quick)
  assert.equal(nextProbeIn(HEALTH_STARTING, quick, 0), 2_000)
  assert.equal(nextProbeIn(HEALTH_STARTING, quick, 60_000), 30_000)
  assert.equal(nextProbeIn({ ...HEALTH_STARTING, status: 'healthy' }, quick, 0), 30_000)
})

test('probePlan has no time that is longer than a timer’s longest, which would be over at once', () => {
  const year = 365 * 86_400e9
  const times = { interval: year, timeout: year, startInterval: year, startPeriod: 292 * year }
  const slow = probePlan({ test: ['CMD', 'x'], ...times }, [])
  assert.ok(slow)
  for (const wait of [slow.interval, slow.timeout, slow.startInterval, nextProbeIn(HEALTH_STARTING, slow, 0)])
    assert.equal(wait, 2 ** 31 - 1)
})

test('probePlan probes no oftener than create would let it, whatever an image says', () => {
  const hasty = probePlan({ test: ['CMD', 'x'], interval: -1, timeout: 999_999, startInterval: 1 }, [])
  assert.deepEqual([hasty?.interval, hasty?.timeout, hasty?.startInterval], [30_000, 30_000, 5_000])
  assert.equal(probePlan({ test: ['CMD', 'x'], interval: 1e6 }, [])?.interval, 1)
})
