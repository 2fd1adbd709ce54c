import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseGoDuration, parseTimestamp, rfc3339, rfc3339Nano } from './go-time.ts'

test('rfc3339Nano writes as many digits as there are, and Go’s zero time for never', () => {
  assert.equal(rfc3339Nano(0), '0001-01-01T00:00:00Z')
  assert.equal(rfc3339Nano(1_700_000_000_000), '2023-11-14T22:13:20Z')
  assert.equal(rfc3339Nano(1_700_000_000_120), '2023-11-14T22:13:20.12Z')
  assert.equal(rfc3339Nano(1_000.5), '1970-01-01T00:00:01.0005Z')
  assert.equal(rfc3339(1_999), '1970-01-01T00:00:01Z')
})

test('parseGoDuration reads Go’s durations and nothing else', () => {
  assert.equal(parseGoDuration('1h30m'), 5_400_000)
  assert.equal(parseGoDuration('1.5s'), 1500)
  assert.equal(parseGoDuration('-2ms'), -2)
  for (const bad of ['', '5', 's', '1 h', '1h ', '1d', '1e3s'])
    assert.equal(parseGoDuration(bad), undefined, bad)
})

test('parseTimestamp reads what clients send for since and until', () => {
  const now = 1_000_000
  assert.equal(parseTimestamp('1700000000', now), 1_700_000_000_000)
  assert.equal(parseTimestamp('5.000000001', now), 5_000.000001)
  assert.equal(parseTimestamp('1700000000.5', now), 1_700_000_000_500)
  assert.equal(parseTimestamp('10m', now), now - 600_000)
  assert.equal(parseTimestamp('2023-11-14T22:13:20Z', now), 1_700_000_000_000)
  assert.equal(parseTimestamp('2023-11-14T23:13:20.5+01:00', now), 1_700_000_000_500)
  assert.equal(parseTimestamp('2023-11-14', now), Date.UTC(2023, 10, 14))
  for (const bad of ['abc', '5.', '.5', '1e9', '2023-13-45', '0x10', '1.0000000001'])
    assert.throws(() => parseTimestamp(bad, now), /invalid syntax/, bad)
})
