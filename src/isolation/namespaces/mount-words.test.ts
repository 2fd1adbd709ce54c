import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ATTR, mountWords } from './mount-words.ts'

test('mountWords lets later words take earlier ones back', () => {
  assert.equal(mountWords(['noexec', 'nosuid', 'nodev', 'exec']).attrs, ATTR.nosuid | ATTR.nodev)
  assert.equal(mountWords(['ro', 'rw', 'noatime', 'atime']).attrs, 0)
  assert.equal(mountWords(['exec', 'noexec']).attrs, ATTR.noexec)
})
