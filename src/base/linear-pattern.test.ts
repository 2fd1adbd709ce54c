import { test } from 'node:test'
import assert from 'node:assert/strict'
import { linearPattern } from './linear-pattern.ts'

test('linearPattern matches as Go does', () => {
  assert.equal(linearPattern('^/web-(a|b)[0-9]{1,2}$')?.('/web-a12'), true)
  assert.equal(linearPattern('^we.*b$')?.('web-1'), false)
})

test('linearPattern refuses what would need backtracking, is no pattern, or is too long', () => {
  for (const source of ['(?=a)', '(a)\\1', '(', 'a{1,100000}', 'a'.repeat(1000)]) {
    assert.equal(linearPattern(source), undefined, source.slice(0, 20))
  }
})

// (a+)+$ takes V8's usual engine longer than the age of the universe here.
test('linearPattern does not hang on a hostile pattern', () => {
  assert.equal(linearPattern('^(a+)+$')?.(`${'a'.repeat(50_000)}b`), false)
})
