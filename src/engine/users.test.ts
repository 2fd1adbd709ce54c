import { test } from 'node:test'
import assert from 'node:assert/strict'
import { textOf } from './users.ts'

test('textOf leaves out the line that the limit cut, and nothing of a file that ends there or earlier', () => {
  const file = Buffer.from('root:x:0:\nbig:x:10')
  assert.equal(textOf(file, file.length), 'root:x:0:\n', 'it was big:x:1000')
  assert.equal(textOf(file, file.length + 1), 'root:x:0:\nbig:x:10')
  assert.equal(textOf(Buffer.from('a\n'), 2), 'a\n')
  assert.equal(textOf(undefined), '')
})
