import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checked, conclude } from './verdict.ts'

const words = { leak: 'seen', contained: 'not seen' }
const held = { what: 'the observer sees a control', held: true }
const failed = { what: 'the container runs', held: false }

test('conclude says CONTAINED only when every control held', () => {
  assert.equal(conclude({ seen: [], controls: [held], ...words }).verdict, 'CONTAINED')
  const doubtful = conclude({ seen: [], controls: [held, failed], ...words })
  assert.equal(doubtful.verdict, 'INCONCLUSIVE')
  assert.match(doubtful.reason, /the container runs/)
})

test('conclude does not say CONTAINED without any control', () => {
  assert.equal(conclude({ seen: [], controls: [], ...words }).verdict, 'INCONCLUSIVE')
})

test('conclude says LEAK for what was seen, whatever the controls', () => {
  const finding = conclude({ seen: [{ kind: 'path', text: '/x' }], controls: [failed], ...words })
  assert.equal(finding.verdict, 'LEAK')
  assert.equal(finding.reason, 'seen')
})

test('checked takes a CONTAINED from a probe that did not earn it', () => {
  const finding = { verdict: 'CONTAINED', reason: 'so I say', evidence: [], controls: [failed] } as const
  assert.equal(checked(finding).verdict, 'INCONCLUSIVE')
})
