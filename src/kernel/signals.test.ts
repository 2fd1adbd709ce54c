import assert from 'node:assert/strict'
import { constants } from 'node:os'
import { test } from 'node:test'
import fc from 'fast-check'
import { DewarError } from '../base/errors.ts'
import { SIGNALS, parseSignal, signalName } from './signals.ts'

test('SIGNALS agrees with this machine', () => {
  for (const [name, number] of Object.entries(SIGNALS)) {
    const here = Object.entries(constants.signals).find(([key]) => key === `SIG${name}`)?.[1]
    if (here !== undefined) assert.equal(number, here, name)
  }
})

test('parseSignal reads names with and without SIG, any case, numbers and real-time signals', () => {
  const cases: [string, number][] = [
    ['SIGTERM', 15],
    ['TERM', 15],
    ['term', 15],
    ['15', 15],
    ['9', 9],
    ['RTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['RTMIN+15', 49],
    ['RTMAX', 64],
    ['sigrtmax-14', 50],
    ['64', 64],
    ['CLD', 17],
  ]
  for (const [text, number] of cases) assert.equal(parseSignal(text), number, text)
})

test("parseSignal refuses anything else in dockerd's words", () => {
  for (const text of [
    '',
    '0',
    'SIG',
    'SIGFOO',
    'RTMIN+16',
    'RTMIN-1',
    'RTMAX-15',
    'RTMAX+1',
    '1.5',
    '0x9',
    'toString',
  ]) {
    assert.throws(
      () => parseSignal(text),
      (e) => e instanceof DewarError && e.status === 400 && e.message === `invalid signal: ${text}`,
    )
  }
  for (const text of ['65', '-9', '99999999999'])
    assert.throws(() => parseSignal(text), /does not support signal/)
})

test('parseSignal gives 1 to 64 or a DewarError for any text', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        const number = parseSignal(text)
        assert.ok(Number.isInteger(number) && number >= 1 && number <= 64)
      } catch (error) {
        assert.ok(error instanceof DewarError)
      }
    }),
  )
})

test('signalName is read back by parseSignal', () => {
  for (let n = 1; n <= 49; n++) assert.equal(parseSignal(signalName(n)), n)
  assert.equal(signalName(15), 'SIGTERM')
  assert.equal(signalName(6), 'SIGABRT')
  assert.equal(signalName(200), '200')
})
