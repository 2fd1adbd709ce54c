import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { DewarError } from '../base/errors.ts'
import {
  CAPABILITIES,
  DEFAULT_CAPABILITIES,
  capabilityMask,
  capabilityNames,
  capsAction,
  containerCapabilities,
  normalizeCapabilities,
  processCapabilities,
} from './capabilities.ts'

const plain = { add: [], drop: [], privileged: false }

test('CAPABILITIES has the bits of the kernel header', () => {
  const header = readFileSync('/usr/include/linux/capability.h', 'utf8')
  for (const [bit, name] of CAPABILITIES.entries()) {
    assert.match(header, new RegExp(`#define ${name}\\s+${bit}\\b`))
  }
  assert.equal(CAPABILITIES.length, 41)
})

test('DEFAULT_CAPABILITIES is the set dockerd gives (mask a80425fb)', () => {
  assert.equal(capabilityMask(DEFAULT_CAPABILITIES), 0xa80425fbn)
})

test("normalizeCapabilities takes any case, with and without CAP_, and refuses others in dockerd's words", () => {
  assert.deepEqual(normalizeCapabilities(['net_admin', 'Cap_Chown', 'all'], 'CapAdd'), [
    'CAP_NET_ADMIN',
    'CAP_CHOWN',
    'ALL',
  ])
  assert.throws(
    () => normalizeCapabilities(['nope'], 'CapDrop'),
    (e) =>
      e instanceof DewarError &&
      e.status === 400 &&
      e.message === 'invalid CapDrop: unknown capability: "CAP_NOPE"',
  )
})

test('containerCapabilities follows Docker for drop, add, ALL and privileged', () => {
  assert.equal(capabilityMask(containerCapabilities(plain)), 0xa80425fbn)
  const dropped = containerCapabilities({ ...plain, drop: ['mknod'] })
  assert.equal(dropped.includes('CAP_MKNOD'), false)
  assert.equal(dropped.length, 13)
  assert.deepEqual(containerCapabilities({ ...plain, drop: ['ALL'], add: ['NET_ADMIN', 'CHOWN'] }), [
    'CAP_CHOWN',
    'CAP_NET_ADMIN',
  ])
  const all = containerCapabilities({ ...plain, add: ['ALL'], drop: ['SYS_ADMIN'] })
  assert.equal(all.length, 40)
  assert.equal(all.includes('CAP_SYS_ADMIN'), false)
  assert.equal(
    containerCapabilities({ ...plain, add: ['mknod'], drop: ['mknod'] }).includes('CAP_MKNOD'),
    true,
  )
  assert.equal(containerCapabilities({ ...plain, privileged: true, drop: ['ALL'] }).length, 41)
})

test('containerCapabilities leaves out what the kernel lacks, and refuses to add it', () => {
  assert.equal(containerCapabilities({ ...plain, privileged: true, last: 37 }).length, 38)
  assert.throws(
    () => containerCapabilities({ ...plain, add: ['bpf'], last: 37 }),
    /not supported by your kernel/,
  )
})

test('capabilityNames undoes capabilityMask', () => {
  assert.deepEqual(
    capabilityNames(capabilityMask(DEFAULT_CAPABILITIES)).toSorted(),
    [...DEFAULT_CAPABILITIES].toSorted(),
  )
  assert.throws(() => capabilityMask(['CHOWN']), /CHOWN.*CAP_CHOWN/)
})

test('capsAction gives a user who is not root a bounding set and nothing else', () => {
  const action = capsAction(processCapabilities(DEFAULT_CAPABILITIES, 1000))
  assert.deepEqual(action, {
    op: 'caps',
    bounding: 0xa80425fbn,
    held: 0n,
  })
})
