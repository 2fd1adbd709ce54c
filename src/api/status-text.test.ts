import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContainerState } from '../engine/types.ts'
import { humanDuration, statusText } from './status-text.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

test('humanDuration says what Go’s units.HumanDuration says', () => {
  const cases: readonly (readonly [number, string])[] = [
    [450, 'Less than a second'],
    [-5, 'Less than a second'],
    [SECOND, '1 second'],
    [45 * SECOND, '45 seconds'],
    [60 * SECOND, 'About a minute'],
    [119 * SECOND, 'About a minute'],
    [3 * MINUTE, '3 minutes'],
    [59 * MINUTE, '59 minutes'],
    [60 * MINUTE, 'About an hour'],
    [89 * MINUTE, 'About an hour'],
    [90 * MINUTE, '2 hours'],
    [47 * HOUR, '47 hours'],
    [48 * HOUR, '2 days'],
    [7 * DAY, '7 days'],
    [13 * DAY + 5 * HOUR, '13 days'],
    [15 * DAY, '2 weeks'],
    [59 * DAY, '8 weeks'],
    [60 * DAY, '2 months'],
    [364 * DAY, '12 months'],
    [729 * DAY, '24 months'],
    [730 * DAY, '2 years'],
  ]
  for (const [ms, text] of cases) assert.equal(humanDuration(ms), text, String(ms))
})

const STATE: ContainerState = {
  status: 'exited',
  running: false,
  paused: false,
  restarting: false,
  oomKilled: false,
  dead: false,
  pid: 0,
  exitCode: 0,
  error: '',
  startedAt: 0,
  finishedAt: 0,
}

test('statusText says what `docker ps` shows', () => {
  const now = 10 * DAY
  const at = (change: Partial<ContainerState>): string => statusText({ ...STATE, ...change }, now)
  const up = { status: 'running', running: true, startedAt: now - 3 * SECOND } as const
  const health = (status: 'none' | 'starting' | 'healthy' | 'unhealthy') => ({
    status,
    failingStreak: 0,
    log: [],
  })
  assert.equal(at({ status: 'created' }), 'Created')
  assert.equal(at(up), 'Up 3 seconds')
  assert.equal(at({ ...up, health: health('none') }), 'Up 3 seconds')
  assert.equal(at({ ...up, health: health('starting') }), 'Up 3 seconds (health: starting)')
  assert.equal(at({ ...up, health: health('unhealthy') }), 'Up 3 seconds (unhealthy)')
  assert.equal(at({ ...up, status: 'paused', paused: true }), 'Up 3 seconds (Paused)')
  assert.equal(
    at({ ...up, status: 'restarting', restarting: true, exitCode: 1, finishedAt: now - 2 * SECOND }),
    'Restarting (1) 2 seconds ago',
  )
  assert.equal(
    at({ startedAt: 1, finishedAt: now - 2 * MINUTE, exitCode: 137 }),
    'Exited (137) 2 minutes ago',
  )
  assert.equal(at({ status: 'dead', dead: true }), 'Dead')
  assert.equal(at({ status: 'removing' }), 'Removal In Progress')
})
