import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkLog, logLimits, logWarnings } from './log-options.ts'

const of = (type: string, config: Record<string, string> = {}) => ({ type, config })

test('checkLog refuses drivers and options it does not have, in dockerd’s words', () => {
  assert.throws(() => checkLog(of('syslog')), /no log driver named 'syslog' is registered/)
  assert.throws(() => checkLog(of('toString')), /no log driver named 'toString' is registered/)
  assert.throws(() => checkLog(of('local', { nosuch: '1' })), /unknown log opt 'nosuch' for local log driver/)
  assert.throws(() => checkLog(of('json-file', { 'max-size': 'x' })), /invalid size: 'x'/)
  assert.throws(() => checkLog(of('json-file', { compress: 'maybe' })), /invalid compress value 'maybe'/)
  assert.throws(() => checkLog(of('json-file', { mode: 'nosuch' })), /logging mode not supported: nosuch/)
  const buffer = of('json-file', { mode: 'blocking', 'max-buffer-size': '1m' })
  assert.throws(() => checkLog(buffer), /max-buffer-size option is only supported with 'mode=non-blocking'/)
})

test('checkLog takes any option of the driver none, which keeps nothing', () => {
  checkLog(of('none', { nosuch: '1' }))
  assert.equal(logLimits(of('none')), undefined)
})

test('logLimits gives the local driver the limits it has with dockerd, and json-file none', () => {
  assert.deepEqual(logLimits(of('local')), { maxSize: 20 * 1024 * 1024, maxFiles: 5 })
  assert.deepEqual(logLimits(of('local', { 'max-size': '-1' })), { maxSize: 0, maxFiles: 5 })
  assert.deepEqual(logLimits(of('json-file')), { maxSize: 0, maxFiles: 1 })
  assert.deepEqual(logLimits(of('json-file', { 'max-size': '1k', 'max-file': '3' })), {
    maxSize: 1024,
    maxFiles: 3,
  })
})

test('logWarnings says what this engine does otherwise', () => {
  assert.equal(logWarnings(of('json-file')).length, 0)
  assert.match(logWarnings(of('json-file', { compress: 'true' })).join(), /not compressed/)
  assert.match(logWarnings(of('json-file', { mode: 'non-blocking' })).join(), /blocking mode/)
  assert.match(logWarnings(of('local')).join(), /json-file format/)
})
