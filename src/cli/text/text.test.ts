import assert from 'node:assert/strict'
import { test } from 'node:test'
import { humanDuration, parseDuration } from './duration.ts'
import { layOutJson } from './json.ts'
import { displayPorts } from './ports.ts'
import { binarySize, decimalSize, parseBytes } from './size.ts'
import { ellipsis, tabulate } from './tabwriter.ts'
import { parseTimestamp } from './time.ts'

test('parseBytes reads docker’s sizes and refuses the rest', () => {
  const sizes = [
    ['0', 0],
    ['512m', 536870912],
    ['1g', 2 ** 30],
    ['1.5GiB', 1610612736],
    ['100kb', 102400],
    ['7 MB', 7340032],
    ['3b', 3],
  ] as const
  for (const [word, bytes] of sizes) assert.equal(parseBytes(word), bytes, word)
  for (const bad of ['', 'abc', '-1', '1x', '1ib', '1.', '.5', '1 m b'])
    assert.throws(() => parseBytes(bad), { message: `invalid size: '${bad}'` })
})

test('decimalSize and binarySize print as docker does', () => {
  assert.deepEqual(
    [0, 999, 1984172, 12_345_678_901].map((value) => decimalSize(value, 3)),
    ['0B', '999B', '1.98MB', '12.3GB'],
  )
  assert.equal(decimalSize(999_999, 3), '1e+03kB')
  assert.equal(binarySize(25276514304), '23.54GiB')
})

test('parseDuration reads Go’s durations in nanoseconds', () => {
  assert.equal(parseDuration('1m30s'), 90e9)
  assert.equal(parseDuration('500ms'), 5e8)
  assert.equal(parseDuration('-1.5h'), -5400e9)
  assert.equal(parseDuration('0'), 0)
  assert.throws(() => parseDuration('5'), { message: 'time: missing unit in duration "5"' })
  assert.throws(() => parseDuration('1x'), { message: 'time: invalid duration "1x"' })
})

test('humanDuration says how long ago in docker’s words', () => {
  const ages = [
    [0, 'Less than a second'],
    [1, '1 second'],
    [59, '59 seconds'],
    [60, 'About a minute'],
    [150, '2 minutes'],
    [3600, 'About an hour'],
    [47 * 3600, '47 hours'],
    [3 * 86400, '3 days'],
    [20 * 86400, '2 weeks'],
    [90 * 86400, '3 months'],
    [800 * 86400, '2 years'],
  ] as const
  for (const [seconds, words] of ages) assert.equal(humanDuration(seconds * 1000), words)
})

test('parseTimestamp reads durations back from now, dates and seconds', () => {
  assert.equal(parseTimestamp('10s', 1_000_000_000_000), '999999990.000000000')
  assert.equal(parseTimestamp('1700000000.5'), '1700000000.5')
  assert.equal(parseTimestamp('2023-11-14T22:13:20.25Z'), '1700000000.250000000')
  assert.throws(() => parseTimestamp('foo'), /failed to parse value as time or duration: "foo"/)
})

test('tabulate lays columns out as Go’s tabwriter does', () => {
  assert.equal(
    tabulate('A\tBB\tC\nlonger than ten\tx\ty\n'),
    'A                 BB        C\nlonger than ten   x         y\n',
  )
  assert.equal(tabulate('日本\tx\n'), '日本      x\n')
})

test('ellipsis cuts at the width and says so', () => {
  assert.equal(ellipsis('0123456789', 5), '0123…')
  assert.equal(ellipsis('01234', 5), '01234')
})

test('layOutJson keeps numbers, escapes and empty brackets as they were', () => {
  assert.equal(
    layOutJson('{"a":[],"b":{},"n":12345678901234567890,"s":"\\u003c, {x}"}', '    '),
    '{\n    "a": [],\n    "b": {},\n    "n": 12345678901234567890,\n    "s": "\\u003c, {x}"\n}',
  )
  assert.equal(layOutJson('[ {"a" : 1} , 2 ]', ''), '[{"a":1},2]')
})

test('displayPorts joins neighbours and shows what differs in full', () => {
  const port = (PrivatePort: number, PublicPort = 0, IP = '', Type = 'tcp') => ({
    IP,
    PrivatePort,
    PublicPort,
    Type,
  })
  assert.equal(displayPorts([port(80), port(81), port(90)]), '80-81/tcp, 90/tcp')
  assert.equal(
    displayPorts([port(80, 8080, '0.0.0.0'), port(80, 8080, '::')]),
    '0.0.0.0:8080->80/tcp, [::]:8080->80/tcp',
  )
  assert.equal(displayPorts([port(80, 80, '0.0.0.0'), port(81, 81, '0.0.0.0')]), '0.0.0.0:80-81->80-81/tcp')
})
