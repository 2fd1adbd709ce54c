import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeFlows } from './network.ts'

test('judgeFlows says taken of most of them, not taken of next to none, and nothing of what lies between', () => {
  assert.equal(judgeFlows(2000), 'taken')
  assert.equal(judgeFlows(1001), 'taken')
  assert.equal(judgeFlows(900), 'unclear')
  assert.equal(judgeFlows(200), 'unclear')
  assert.equal(judgeFlows(-1500), 'unclear', 'of others so many ended, and perhaps more')
  assert.equal(judgeFlows(12), 'not taken')
})
