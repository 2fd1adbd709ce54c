import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeReadings, numbersIn } from './host-activity.ts'

const judged = {
  ...{ least: 1600, leak: 'seen', contained: 'not seen' },
  sees: { what: 'the program inside runs', held: true },
}

function readings(host: string, inside: string): Parameters<typeof judgeReadings>[0] {
  return new Map([['/proc/sys/fs/file-nr', { host: numbersIn(host), inside: numbersIn(inside) }]])
}

test('judgeReadings tells what moves with the host from what does not', () => {
  const before = readings('1000 0 99999', '1000 0 99999')
  assert.equal(judgeReadings(before, readings('3000 0 99999', '3010 0 99999'), judged).verdict, 'LEAK')
  assert.equal(judgeReadings(before, readings('3000 0 99999', '1001 0 99999'), judged).verdict, 'CONTAINED')
})

test('judgeReadings proves nothing by counters that do not move on the host either', () => {
  const still = readings('1000 0 99999', '7 0 99999')
  const { verdict, reason } = judgeReadings(still, still, judged)
  assert.equal(verdict, 'INCONCLUSIVE')
  assert.match(reason, /none of \/proc\/sys\/fs\/file-nr/)
})

test('judgeReadings says ABSENT only where the host has no such file', () => {
  assert.equal(judgeReadings(readings('', ''), readings('', ''), judged).verdict, 'ABSENT')
})
