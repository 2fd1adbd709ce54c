import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { DewarError } from '../base/errors.ts'
import { resolveUser } from './passwd.ts'

const files = {
  passwd:
    'root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\nweb:x:33:33::/srv:/bin/false\nbig:x:4294967296:1::/:\n12:x:99:99::/twelve:\n',
  group: 'root:x:0:\nwww:x:33:\naudio:x:29:web,other\nhuge:x:9999999999:web\n',
}

test('resolveUser without a name is root with the home of /etc/passwd', () => {
  assert.deepEqual(resolveUser('', files), { uid: 0, gid: 0, additionalGids: [], home: '/root' })
})

test('resolveUser finds a name with its groups', () => {
  assert.deepEqual(resolveUser('web', files), { uid: 33, gid: 33, additionalGids: [29], home: '/srv' })
})

test('resolveUser finds members by their whole names', () => {
  const group = 'root:x:0:\nwheel:x:10:anna,bob\nodd:x:11:,\n'
  const groups = (spec: string, passwd: string): readonly number[] =>
    resolveUser(spec, { passwd, group }).additionalGids
  assert.deepEqual(groups('bob', 'bob:x:5:5::/:\n'), [10])
  assert.deepEqual(groups('ann', 'ann:x:5:5::/:\n'), [])
  assert.deepEqual(groups('anna,bob', 'anna,bob:x:5:5::/:\n'), [])
  assert.deepEqual(groups('5', ':x:5:5::/:\n'), [], 'nobody without a name is a member')
})

test('resolveUser with an explicit group leaves the supplementary groups out', () => {
  assert.deepEqual(resolveUser('web:audio', files), { uid: 33, gid: 29, additionalGids: [], home: '/srv' })
  assert.deepEqual(resolveUser('5:6', files), { uid: 5, gid: 6, additionalGids: [], home: '/' })
})

test('resolveUser adds --group-add by name and number', () => {
  assert.deepEqual(resolveUser('web', files, ['www', 'audio', '77']).additionalGids, [29, 77])
})

test('resolveUser prefers the entry whose name is a number', () => {
  assert.equal(resolveUser('12', files).uid, 99)
})

test('resolveUser refuses unknown names and numbers out of range, in the words of runc', () => {
  assert.throws(
    () => resolveUser('nobody', files),
    /^DewarError: unable to find user nobody: no matching entries in passwd file/,
  )
  assert.throws(
    () => resolveUser('0:none', files),
    /unable to find group none: no matching entries in group file/,
  )
  assert.throws(() => resolveUser('4294967296', files), /uids and gids must be in range 0-2147483647/)
  assert.throws(() => resolveUser('-1', files), /uids and gids must be in range/)
  assert.throws(() => resolveUser('0:2147483648', files), /uids and gids must be in range/)
  assert.throws(() => resolveUser('big', files), /uids and gids must be in range/)
})

test('resolveUser needs no files for numbers', () => {
  assert.deepEqual(resolveUser('1000', { passwd: '', group: '' }), {
    uid: 1000,
    gid: 0,
    additionalGids: [],
    home: '/',
  })
})

test('resolveUser answers ids in range or a DewarError, whatever the files hold', () => {
  const line = fc
    .array(fc.oneof(fc.string(), fc.integer().map(String)), { maxLength: 8 })
    .map((parts) => parts.join(':'))
  const text = fc.array(line, { maxLength: 5 }).map((lines) => lines.join('\n'))
  fc.assert(
    fc.property(text, text, fc.string(), (passwd, group, spec) => {
      try {
        const user = resolveUser(spec, { passwd, group })
        for (const id of [user.uid, user.gid, ...user.additionalGids])
          assert.ok(id >= 0 && id <= 2_147_483_647)
      } catch (error) {
        assert.ok(error instanceof DewarError)
      }
    }),
  )
})
