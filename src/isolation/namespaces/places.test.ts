import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Places } from './places.ts'

test('Places looks paths of /proc, /sys and /dev up in their mounts, the rest in the root', () => {
  const places = new Places(1)
  assert.deepEqual(places.of('/proc/kcore'), { at: 1, path: '/proc/kcore' })
  places.add('/proc', 2)
  places.add('/data', 3)
  assert.deepEqual(places.of('/proc/sys/kernel'), { at: 2, path: '/sys/kernel', within: '/proc' })
  for (const path of [
    '//proc/kcore',
    '/./proc/kcore',
    '/proc//x/../kcore',
    '/sys/../proc/kcore',
    '///proc/./kcore',
  ])
    assert.deepEqual(places.of(path), { at: 2, path: '/kcore', within: '/proc' }, path)
  assert.deepEqual(places.of('/proc/../etc/x'), { at: 1, path: '/etc/x' })
  assert.deepEqual(places.of('/proc/'), { at: 1, path: '/proc' })
  for (const path of ['/proc', '/process', '/data/x', '/etc/hosts'])
    assert.deepEqual(places.of(path), { at: 1, path }, path)
})
