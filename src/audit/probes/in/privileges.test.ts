import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFree } from './privileges.ts'

test('isFree tells a label that holds nobody from one that holds', () => {
  for (const label of [
    'unconfined',
    'crun (complain)',
    'kernel',
    'unconfined_u:unconfined_r:unconfined_t:s0',
  ])
    assert.ok(isFree(label), label)
  for (const label of [
    'docker-default (enforce)',
    'system_u:system_r:container_t:s0:c1,c2',
    '/usr/bin/x (enforce)',
  ])
    assert.ok(!isFree(label), label)
  // Privileged containers of podman.
  assert.ok(isFree('system_u:system_r:spc_t:s0'))
})
