import assert from 'node:assert/strict'
import { test } from 'node:test'
import { booleanFilter, untilTime, withoutUntil } from './filter-values.ts'

const NOW = Date.parse('2026-01-02T00:00:00Z')

test('untilTime takes a duration back from now, Unix seconds and a time, and refuses the rest', () => {
  assert.equal(untilTime('1h30m', NOW), NOW - 90 * 60_000)
  assert.equal(untilTime('1600000000.5', NOW), 1_600_000_000_500)
  assert.equal(untilTime('2026-01-01T00:00:00Z', NOW), NOW - 24 * 3_600_000)
  assert.throws(() => untilTime('soon', NOW), /failed to parse value as time or duration: "soon"/)
})

test('withoutUntil keeps what is younger, and hands on the other filters', () => {
  const { rest, oldEnough } = withoutUntil(
    new Map([
      ['until', ['2026-01-01']],
      ['label', ['a']],
    ]),
  )
  assert.deepEqual([...rest], [['label', ['a']]])
  assert.equal(oldEnough(Date.parse('2025-12-31')), true)
  assert.equal(oldEnough(Date.parse('2026-01-01')), false)
  assert.throws(() => withoutUntil(new Map([['until', ['soon']]])), /failed to parse/)
})

test('booleanFilter reads Go’s spellings and refuses the rest', () => {
  const of = (...values: string[]) => booleanFilter(new Map([['dangling', values]]), 'dangling')
  assert.deepEqual([of('1'), of('True'), of('f'), of()], [true, true, false, undefined])
  for (const bad of [['x'], ['yes'], ['true', 'false']])
    assert.throws(() => of(...bad), /invalid filter 'dangling=\[/)
})
