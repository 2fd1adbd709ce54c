import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mapXattrIds, withoutNobody } from './xattr-ids.ts'

const words = (...all: number[]): Buffer => {
  const out = Buffer.alloc(4 * all.length)
  all.forEach((word, n) => out.writeUInt32LE(word, 4 * n))
  return out
}
const ACL = 'system.posix_acl_access'
const CAPABILITY = 'security.capability'
const NO_ID = 0xffff_ffff
const aclOf = (...users: number[]): Buffer =>
  words(2, 0x6_0001, NO_ID, ...users.flatMap((id) => [0x7_0002, id]), 0x4_0004, NO_ID, 0x4_0020, NO_ID)
const inside = (id: number): number | undefined => (id >= 1000 && id < 2000 ? id - 1000 : undefined)

test('mapXattrIds maps the users and groups of an ACL, and drops the entries of nobody alone', () => {
  const mapped = mapXattrIds([[ACL, aclOf(1007, 7, NO_ID, 1000)]], inside)
  assert.deepEqual(mapped, [[ACL, aclOf(7, 0)]])
})

test('mapXattrIds makes capabilities of the root inside plain, keeps the root of others, drops those of nobody', () => {
  const third = (root: number): Buffer => words(0x0300_0001, 0x2000, 0, 0, 0, root)
  const map = (root: number) => mapXattrIds([[CAPABILITY, third(root)]], inside)
  assert.deepEqual(map(1000), [[CAPABILITY, words(0x0200_0001, 0x2000, 0, 0, 0)]])
  assert.deepEqual(map(1500), [[CAPABILITY, third(500)]])
  assert.deepEqual(map(5), [])
  const plain = [[CAPABILITY, words(0x0200_0001, 0x2000, 0, 0, 0)]] as const
  assert.deepEqual(mapXattrIds(plain, inside), plain)
})

test('mapXattrIds leaves what it does not know, and what is no ACL, as it is', () => {
  for (const length of [0, 3, 5, 11]) {
    const xattrs = [[ACL, Buffer.alloc(length, 2)] as const, ['user.x', Buffer.from('y')] as const]
    assert.deepEqual(mapXattrIds(xattrs, inside), xattrs)
  }
})

test('withoutNobody drops the entries of ACLs whose id had no name, and nothing else', () => {
  const cap = [CAPABILITY, words(0x0300_0001, 0, 0, 0, 0, NO_ID)] as const
  assert.deepEqual(withoutNobody([[ACL, aclOf(1, NO_ID)], cap]), [[ACL, aclOf(1)], cap])
})
