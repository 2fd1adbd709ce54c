import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { RLIMITS, RLIM_INFINITY, rlimitAction, ulimitToRlimit } from './rlimits.ts'

test('RLIMITS has the numbers of the kernel header', () => {
  const header = readFileSync('/usr/include/asm-generic/resource.h', 'utf8')
  for (const [name, number] of Object.entries(RLIMITS)) {
    assert.match(header, new RegExp(`define ${name}\\s+${number}\\b`))
  }
})

test("ulimitToRlimit refuses unknown names and a soft limit above the hard one in dockerd's words", () => {
  assert.deepEqual(ulimitToRlimit({ name: 'nofile', soft: 10, hard: 20 }), {
    type: 'RLIMIT_NOFILE',
    soft: 10,
    hard: 20,
  })
  assert.throws(
    () => ulimitToRlimit({ name: 'bogus', soft: 1, hard: 1 }),
    /^DewarError: invalid ulimit type: bogus$/,
  )
  assert.throws(() => ulimitToRlimit({ name: 'NOFILE', soft: 1, hard: 1 }), /invalid ulimit type: NOFILE/)
  assert.throws(
    () => ulimitToRlimit({ name: 'core', soft: 2, hard: 1 }),
    /less than or equal to hard limit: 2 > 1/,
  )
  assert.throws(() => ulimitToRlimit({ name: 'core', soft: -1, hard: 1 }), /-1 > 1/)
  assert.deepEqual(ulimitToRlimit({ name: 'core', soft: 2, hard: -1 }).hard, -1)
})

test('rlimitAction turns -1 and 2^64-1 into RLIM_INFINITY and keeps the rest', () => {
  assert.deepEqual(rlimitAction({ type: 'RLIMIT_CORE', soft: 0, hard: -1 }), {
    op: 'rlimit',
    resource: 4,
    soft: 0n,
    hard: RLIM_INFINITY,
  })
  assert.deepEqual(rlimitAction({ type: 'RLIMIT_NOFILE', soft: 1024, hard: 2 ** 64 }), {
    op: 'rlimit',
    resource: 7,
    soft: 1024n,
    hard: RLIM_INFINITY,
  })
  assert.throws(() => rlimitAction({ type: 'RLIMIT_X', soft: 0, hard: 0 }), /RLIMIT_X/)
  assert.throws(() => rlimitAction({ type: 'RLIMIT_CPU', soft: 0.5, hard: 1 }), /whole number/)
})
