import { test } from 'node:test'
import assert from 'node:assert/strict'
import { parseSecurityOptions } from './security-options.ts'

test('parseSecurityOptions reads Docker’s forms', () => {
  assert.equal(parseSecurityOptions(['no-new-privileges']).noNewPrivileges, true)
  assert.equal(parseSecurityOptions(['no-new-privileges:false']).noNewPrivileges, false)
  assert.equal(parseSecurityOptions(['seccomp=unconfined']).seccomp, 'unconfined')
  assert.equal(parseSecurityOptions(['seccomp=builtin']).seccomp, 'default')
  assert.deepEqual(parseSecurityOptions(['seccomp={"a":\n1}']).seccomp, { profile: '{"a":\n1}' })
  assert.equal(parseSecurityOptions(['systempaths=unconfined', 'apparmor=unconfined']).systemPathsOpen, true)
})

test('parseSecurityOptions refuses what it cannot keep, and warns of what has no effect', () => {
  for (const bad of ['what', 'seccomp', 'systempaths=x', 'no-new-privileges=maybe', 'apparmor=mine']) {
    assert.throws(() => parseSecurityOptions([bad]), /invalid --security-opt|cannot be applied/, bad)
  }
  assert.equal(parseSecurityOptions(['label=disable']).warnings.length, 1)
})
