import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DewarError } from '../base/errors.ts'
import { checkLog, logLimits, logWarnings } from './log-options.ts'

const of = (type: string, config: Record<string, string> = {}) => ({ type, config })

test('checkLog refuses drivers and options it does not have, in dockerd’s words', () => {
  assert.throws(() => checkLog(of('syslog')), /no log driver named 'syslog' is registered/)
  assert.throws(() => checkLog(of('toString')), /no log driver named 'toString' is registered/)
  assert.throws(() => checkLog(of('local', { nosuch: '1' })), /unknown log opt 'nosuch' for local log driver/)
  assert.throws(() => checkLog(of('json-file', { 'max-size': 'x' })), /invalid size: 'x'/)
  assert.throws(() => checkLog(of('json-file', { mode: 'nosuch' })), /logging mode not supported: nosuch/)
  const buffer = of('json-file', { mode: 'blocking', 'max-buffer-size': '1m' })
  assert.throws(() => checkLog(buffer), /max-buffer-size option is only supported with 'mode=non-blocking'/)
})

test('checkLog refuses sizes and numbers in the words in which dockerd 20.10 and 26 do at the start', () => {
  const atoi = (text: string) => `strconv.Atoi: parsing "${text}": invalid syntax`
  const few = 'compression cannot be enabled when max file count is 1'
  const rows: [Record<string, string>, json: string | undefined, local: string | undefined][] = [
    ...['-1', '1x', '', '-5', ' 5', '5  k', '.5k', '5.', '+5', '1e3'].map(
      (size): [Record<string, string>, string, string] => [
        { 'max-size': size, 'max-file': '2' },
        `invalid size: '${size}'`,
        `invalid value for max-size: ${size}: invalid size: '${size}'`,
      ],
    ),
    ...['5 k', '1.5k', '1KiB', '1kb', '1ki', '1b', '1T', '10p', '5'].map(
      (size): [Record<string, string>, undefined, undefined] => [{ 'max-size': size }, undefined, undefined],
    ),
    [{ 'max-size': '0' }, 'max-size must be a positive number', undefined],
    [
      { 'max-size': '9'.repeat(22) },
      'max-size must be a positive number',
      'max size should be a positive number',
    ],
    ...['abc', '', '1.5', '0x2'].map((count): [Record<string, string>, string, string] => [
      { 'max-file': count },
      atoi(count),
      `invalid value for max-file: ${count}: ${atoi(count)}`,
    ]),
    [{ 'max-file': '-1' }, 'max-file cannot be less than 1', 'max file count cannot be less than 0'],
    [{ 'max-file': '0' }, 'max-file cannot be less than 1', few],
    [{ 'max-file': '01' }, undefined, few],
    [{ 'max-file': '1', compress: 'false' }, undefined, undefined],
    [{ 'max-file': '0', compress: 'f' }, 'max-file cannot be less than 1', undefined],
    [{ 'max-file': '+3' }, undefined, undefined],
    [
      { compress: 'maybe' },
      'strconv.ParseBool: parsing "maybe": invalid syntax',
      'error reading compress log option: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    ...[{ compress: 'true' }, { compress: 'true', 'max-file': '2' }, { compress: '1', 'max-size': '1k' }].map(
      (config): [Record<string, string>, string, undefined] => [
        config,
        'compress cannot be true when max-file is less than 2 or max-size is not set',
        undefined,
      ],
    ),
    [{ compress: 'true', 'max-file': '2', 'max-size': '1k' }, undefined, undefined],
  ]
  const said = (type: string, config: Record<string, string>): string | undefined => {
    try {
      checkLog(of(type, config))
      return undefined
    } catch (error) {
      return error instanceof DewarError ? error.message : String(error)
    }
  }
  for (const [config, json, local] of rows)
    assert.deepEqual(
      [said('json-file', config), said('local', config)],
      [json, local],
      JSON.stringify(config),
    )
})

test('checkLog bounds the number of files, each of which is renamed at each rotation', () => {
  checkLog(of('json-file', { 'max-file': '999' }))
  for (const count of ['1000', '9'.repeat(22)])
    assert.throws(() => checkLog(of('local', { 'max-file': count })), /max-file: '\d+' is more than 999/)
})

test('checkLog names the size of a buffer that is none', () => {
  const buffer = (size: string) => of('local', { mode: 'non-blocking', 'max-buffer-size': size })
  checkLog(buffer('0'))
  for (const size of ['1x', '-1', ''])
    assert.throws(() => checkLog(buffer(size)), {
      message: `error parsing option max-buffer-size: invalid size: '${size}'`,
    })
})

test('checkLog takes any option of the driver none, which keeps nothing', () => {
  checkLog(of('none', { nosuch: '1' }))
  assert.equal(logLimits(of('none')), undefined)
})

test('logLimits gives the local driver the limits it has with dockerd, and json-file none', () => {
  assert.deepEqual(logLimits(of('local')), { maxSize: 20 * 1024 * 1024, maxFiles: 5 })
  assert.deepEqual(logLimits(of('local', { 'max-size': '0', 'max-file': '0' })), { maxSize: 0, maxFiles: 1 })
  assert.deepEqual(logLimits(of('json-file')), { maxSize: 0, maxFiles: 1 })
  assert.deepEqual(logLimits(of('json-file', { 'max-size': '1.5 KiB', 'max-file': '+3' })), {
    // Decimal, as with dockerd, whatever the unit is called.
    maxSize: 1500,
    maxFiles: 3,
  })
})

test('logWarnings says what this engine does otherwise', () => {
  assert.equal(logWarnings(of('json-file')).length, 0)
  assert.match(logWarnings(of('json-file', { compress: 'true' })).join(), /not compressed/)
  assert.match(logWarnings(of('json-file', { mode: 'non-blocking' })).join(), /a full one loses lines/)
  assert.match(logWarnings(of('local')).join(), /json-file format/)
})
