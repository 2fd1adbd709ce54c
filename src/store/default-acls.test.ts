import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DefaultAcls } from './default-acls.ts'
import { FLAG, type Entry } from './ops.ts'

const ACL = ['system.posix_acl_default', Buffer.from('acl')] as const
const OTHER = ['user.x', Buffer.from('x')] as const
const entry = (kind: Entry['kind'], path: string, more: Partial<Entry> = {}): Entry => ({
  ...{ kind, path, mode: 0o755, uid: 0, gid: 0, mtime: { sec: 0, ns: 0 } },
  ...more,
})
const sent = (...entries: readonly Entry[]): readonly string[] => {
  const acls = new DefaultAcls()
  const all = [...entries.flatMap((each) => acls.take(each)), ...acls.rest()]
  return all.map(({ kind, path, xattrs = [] }) => [kind, path, ...xattrs.map(([name]) => name)].join(' '))
}

test('DefaultAcls sets a folder’s default ACL after its content, and its times after that', () => {
  assert.deepEqual(
    sent(entry('dir', 'd', { xattrs: [OTHER, ACL] }), entry('file', 'd/f'), entry('times', 'd')),
    ['dir d user.x', 'file d/f', 'dir d user.x system.posix_acl_default', 'times d'],
  )
})

test('DefaultAcls sets those of folders without times at the end, and never in the place of something else', () => {
  const folder = entry('dir', 'd', { xattrs: [ACL] })
  assert.deepEqual(sent(folder, entry('opaque', 'd'), entry('file', 'd/f')), [
    'dir d',
    'opaque d',
    'file d/f',
    'dir d system.posix_acl_default',
  ])
  const acls = new DefaultAcls()
  acls.take(folder)
  assert.deepEqual(acls.rest(), [{ ...folder, flags: FLAG.keepType }])
})

test('DefaultAcls forgets a folder that is replaced or described anew, not one that a parent is made for', () => {
  const folder = entry('dir', 'd', { xattrs: [ACL] })
  assert.deepEqual(sent(folder, entry('file', 'd')), ['dir d', 'file d'])
  assert.deepEqual(sent(folder, entry('dir', 'd'), entry('times', 'd')), ['dir d', 'dir d', 'times d'])
  assert.deepEqual(sent(folder, entry('dir', 'd', { flags: FLAG.implicit })), [
    'dir d',
    'dir d',
    'dir d system.posix_acl_default',
  ])
})
