import assert from 'node:assert/strict'
import { test } from 'node:test'
import { splitWords } from './run-arguments.ts'

test('splitWords parts as a shell does', () => {
  assert.deepEqual(splitWords(`  -e A='b c' -e "D=\\"e\\" f"\t-v /a\\ b:/c '' x"y"z `), [
    ...['-e', 'A=b c', '-e', 'D="e" f', '-v', '/a b:/c', '', 'xyz'],
  ])
  assert.deepEqual(splitWords(''), [])
  assert.deepEqual(splitWords('$HOME `id` *'), ['$HOME', '`id`', '*'], 'nothing is expanded')
})

test('splitWords refuses a quote that is not closed', () => {
  for (const text of ["-v 'a b", 'x "y', 'end\\'])
    assert.throws(() => splitWords(text), /a quote is not closed/)
})
