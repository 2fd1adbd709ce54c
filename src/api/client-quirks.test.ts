import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attachesLate, headerSize, pauseAfterHeaders, wantsContainerConfig } from './client-quirks.ts'

test('headerSize and pauseAfterHeaders are for docker-py and what is made with it', () => {
  for (const agent of ['docker-sdk-python/5.0.3', 'docker-compose/1.29.2 docker-py/5.0.3 Linux/6.1'])
    assert.ok(headerSize(agent) > 0 && pauseAfterHeaders(agent) > 0, agent)
  for (const agent of ['Docker-Client/28.2.2 (linux)', 'compose/2.26.1-4', '', undefined])
    assert.deepEqual([headerSize(agent), pauseAfterHeaders(agent)], [0, 0], agent)
})

test('wantsContainerConfig is for docker-compose v1', () => {
  assert.equal(wantsContainerConfig('docker-compose/1.29.2 docker-py/5.0.3 Linux/6.1'), true)
  for (const agent of ['compose/2.26.1-4', 'docker-sdk-python/5.0.3', undefined])
    assert.equal(wantsContainerConfig(agent), false, agent)
})

test('attachesLate is for docker-compose v1 and a container that has just started', () => {
  const v1 = 'docker-compose/1.29.2 docker-py/5.0.3 Linux/6.1'
  assert.equal(attachesLate(v1, 95_000, 100_000), true)
  assert.equal(attachesLate(v1, 80_000, 100_000), false)
  assert.equal(attachesLate(v1, 0, 100_000), false, 'it was never started')
  assert.equal(attachesLate('compose/2.26.1-4', 95_000, 100_000), false)
})
