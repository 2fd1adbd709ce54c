import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_DETACH_KEYS, DetachScanner, parseDetachKeys } from './detach-keys.ts'

test('parseDetachKeys reads letters and ctrl- keys', () => {
  assert.deepEqual(parseDetachKeys('ctrl-p,ctrl-q'), [...DEFAULT_DETACH_KEYS])
  assert.deepEqual(parseDetachKeys('ctrl-a,d,ctrl-@,ctrl-_'), [1, 100, 0, 31])
  assert.throws(() => parseDetachKeys('ctrl-1'), /Unknown character/)
})

test('DetachScanner finds the keys across chunks and holds back nothing else', () => {
  const scanner = new DetachScanner(DEFAULT_DETACH_KEYS)
  assert.equal(scanner.push(Buffer.from('ab\x10')).bytes.toString(), 'ab')
  assert.equal(scanner.push(Buffer.from('c')).bytes.toString(), '\x10c')
  assert.deepEqual(scanner.push(Buffer.from('x\x10\x10\x11y')), {
    bytes: Buffer.from('x\x10'),
    detached: true,
  })
})

test('DetachScanner passes every byte on when the keys never come', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 5 })), (chunks) => {
      const input = Buffer.from(Buffer.concat(chunks).map((byte) => (byte === 17 ? 18 : byte)))
      const scanner = new DetachScanner(DEFAULT_DETACH_KEYS)
      const seen = Buffer.concat([...input].map((byte) => scanner.push(Buffer.from([byte])).bytes))
      // At most one ctrl-p is still held: nobody knows yet what follows it.
      assert.ok(input.equals(seen) || input.equals(Buffer.concat([seen, Buffer.from([16])])))
    }),
  )
})
