import { test } from 'node:test'
import assert from 'node:assert/strict'
import { entryBelow } from './entry-below.ts'
import type { Entry } from './ops.ts'

const common = { mode: 0o644, uid: 1, gid: 2, mtime: { sec: 3, ns: 4 } }
const ENTRIES: readonly Entry[] = [
  { kind: 'dir', path: '.', ...common },
  { kind: 'file', path: 'a', size: 2, ...common },
  { kind: 'hardlink', path: 'b', link: 'a', ...common },
  { kind: 'symlink', path: 'c', link: '/x', ...common },
]

test('entryBelow moves entries and hard links, leaves symlinks as they are', () => {
  const moved = ENTRIES.map((entry) => entryBelow('in/here', entry))
  assert.deepEqual(
    moved.map(({ kind, path, link }) => [kind, path, link]),
    [
      ['dir', 'in/here', undefined],
      ['file', 'in/here/a', undefined],
      ['hardlink', 'in/here/b', 'in/here/a'],
      ['symlink', 'in/here/c', '/x'],
    ],
  )
})

test('entryBelow changes nothing in the root', () => {
  assert.deepEqual(
    ENTRIES.map((entry) => entryBelow('', entry)),
    ENTRIES,
  )
})
