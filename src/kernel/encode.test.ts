import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { DewarError } from '../base/errors.ts'
import { encodePlan, OPCODES } from './encode.ts'
import { u32 } from './frames.ts'
import type { Plan } from './plan.ts'

test('OPCODES are those of the table of operations in native/plan.h', () => {
  const header = readFileSync('native/plan.h', 'utf8')
  const names = [...header.matchAll(/\bOP\((\w+), do_/g)].map(([, name]) => name ?? '')
  const expected = Object.fromEntries(
    names.map((name, i) => [name.toLowerCase().replaceAll('_', '-'), i + 1]),
  )
  assert.ok(names.length > 30)
  assert.deepEqual({ ...OPCODES }, expected)
})

test('encodePlan writes actor, operation, numbers and texts, little endian', () => {
  const bytes = encodePlan({ steps: [{ actor: 'guest', op: 'mkdir', path: '/a', mode: 0o755, uid: 1 }] })
  const expected = Buffer.concat([
    Buffer.from('DWR1\x01\0\0\0', 'latin1'),
    Buffer.from([2, 3, 4, 0, 1, 0]),
    Buffer.from('ffffffffffffffff', 'hex'), // no slot
    Buffer.from('ed01000000000000', 'hex'),
    Buffer.from('0100000000000000', 'hex'),
    Buffer.from('ffffffffffffffff', 'hex'), // no gid
    Buffer.from([2, 0, 0, 0]),
    Buffer.from('/a\0', 'latin1'),
  ])
  assert.deepEqual(bytes, expected)
})

test('encodePlan carries numbers above 32 bits and masks above 53', () => {
  const bytes = encodePlan({
    steps: [
      { actor: 'guest', op: 'rlimit', resource: 7, soft: 0xffff_ffff_ffff_ffffn, hard: 1n << 40n },
      { actor: 'guest', op: 'read', path: '/x', max: 2 ** 33 },
    ],
  })
  assert.equal(bytes.readBigUInt64LE(8 + 6 + 8), 0xffff_ffff_ffff_ffffn)
  assert.equal(bytes.readBigUInt64LE(8 + 6 + 16), 1n << 40n)
  assert.equal(bytes.readBigUInt64LE(8 + 6 + 24 + 6 + 8), 2n ** 33n)
})

test('encodePlan gives the files to try for a program: along PATH, or by its path alone', () => {
  const files = (argv: string[], env: string[], init = false): string[] => {
    const bytes = encodePlan({ steps: [{ actor: 'guest', op: 'exec', argv, env, init }] })
    const texts: string[] = []
    for (let at = 8 + 6 + 24; at < bytes.length;) {
      const size = bytes.readUInt32LE(at)
      texts.push(bytes.toString('utf8', at + 4, at + 4 + size))
      at += 5 + size
    }
    return texts.slice(argv.length, argv.length + Number(bytes.readBigUInt64LE(8 + 6 + 16)))
  }
  assert.deepEqual(files(['ls', '-l'], ['PATH=/x', 'PATH=/a::/b', 'B=c']), ['/a/ls', '/b/ls'])
  assert.deepEqual(files(['./ls'], ['PATH=/a']), ['./ls'])
  assert.deepEqual(files([''], ['PATH=/a']), [])
  assert.deepEqual(files(['ls'], ['PATH=']), [])
  assert.equal(files(['ls'], []).length, 6)
})

test('encodePlan puts docker-init before a command that runs under it, which looks for the program itself', () => {
  const plan: Plan = {
    steps: [{ actor: 'guest', op: 'exec', argv: ['ls'], env: ['PATH=/a'], init: true }],
  }
  const texts = encodePlan(plan).subarray(8 + 6 + 24)
  const text = (s: string): Buffer => Buffer.concat([u32(s.length), Buffer.from(`${s}\0`)])
  assert.deepEqual(texts, Buffer.concat(['/sbin/docker-init', '--', 'ls', 'PATH=/a'].map(text)))
})

test('encodePlan puts the instructions of a program behind the numbers, where they are aligned', () => {
  const filter = Buffer.from('0102030405060708', 'hex')
  const bytes = encodePlan({ steps: [{ actor: 'guest', op: 'seccomp', filter, flags: 4 }] })
  assert.equal(bytes.readUInt16LE(8 + 2), 2)
  assert.deepEqual(bytes.subarray(8 + 6), Buffer.concat([u32(4, 0), filter]))
})

test('encodePlan refuses a NUL byte, which would cut a path short in the core', () => {
  assert.throws(
    () => encodePlan({ steps: [{ actor: 'host', op: 'rmdir', path: '/etc/passwd\0/harmless' }] }),
    (error) => error instanceof DewarError && error.code === 'invalid-argument',
  )
})

test('encodePlan refuses more arguments than the core can count', () => {
  const argv = Array.from({ length: 70_000 }, () => 'x')
  assert.throws(
    () => encodePlan({ steps: [{ actor: 'guest', op: 'exec', argv, env: [], init: false }] }),
    DewarError,
  )
})
