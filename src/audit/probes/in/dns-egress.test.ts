import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Answer } from '../../guest-types.ts'
import { wasAsked } from './dns-egress.ts'

const answers = (...errors: readonly string[]): readonly Answer[] =>
  errors.map((error) => ({ value: 0n, errno: 0, error, out: [] }))

test('wasAsked wants the question sent, or a refusal of the socket', () => {
  assert.ok(wasAsked(answers('', '', 'TIMEOUT')), 'asked, and nobody answered')
  assert.ok(wasAsked(answers('', 'ENETUNREACH', 'NOT-MADE')))
  assert.ok(wasAsked(answers('EAFNOSUPPORT', 'NOT-MADE', 'NOT-MADE')))
  assert.ok(!wasAsked(answers('', 'TIMEOUT', 'NOT-MADE')), 'killed before it had asked')
  assert.ok(!wasAsked(answers('TIMEOUT', 'NOT-MADE', 'NOT-MADE')))
  assert.ok(!wasAsked([]))
})
