import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bitsOf, judge } from './judge.ts'
import type { Course, Moment } from './judge.ts'

/** The same content on both sides, at each of four moments. */
function shared(...contents: readonly [string, string, string, string]): Course {
  const [start, idle, busy, later] = contents.map(same)
  return course(start, idle, busy, later)
}

function same(text: string): Moment {
  return { before: text, inside: text, after: text }
}

function course(...[start, idle, busy, later]: readonly (Moment | undefined)[]): Course {
  const nothing = same('')
  return { start: start ?? nothing, idle: idle ?? nothing, busy: busy ?? nothing, later: later ?? nothing }
}

test('judge finds a value that only one machine has', () => {
  const id = 'acf0b783-0a8a-43e2-ba14-5d3cbc1b46da\n'
  assert.equal(judge(shared(id, id, id, id))?.kind, 'equal-value')
})

test('judge leaves out what every machine says', () => {
  for (const text of [
    '1\n',
    'always [madvise] never\n',
    '65536\n',
    '4294967295\n',
    '2199023255040\n',
    '3145728\n',
  ])
    assert.equal(judge(shared(text, text, text, text)), undefined, text)
})

test('judge finds a counter that follows the host', () => {
  const judgement = judge(shared('ctxt 100000\n', 'ctxt 100900\n', 'ctxt 101500\n', 'ctxt 102300\n'))
  assert.equal(judgement?.kind, 'equal-delta')
})

test('judge finds a counter with another start that leaps when the host does', () => {
  const moment = (host: number, inside: number): Moment => ({
    before: `used ${host}`,
    inside: `used ${inside}`,
    after: `used ${host + 3}`,
  })
  const found = judge(
    course(moment(90_000, 10), moment(90_010, 20), moment(92_000, 2010), moment(92_010, 2020)),
  )
  assert.equal(found?.kind, 'host-driven')
})

test('judge leaves out counters of the guest’s own', () => {
  const moment = (host: number, inside: number): Moment => ({
    before: `used ${host}`,
    inside: `used ${inside}`,
    after: `used ${host}`,
  })
  assert.equal(
    judge(course(moment(90_000, 10), moment(90_010, 900), moment(92_000, 1800), moment(92_010, 2700))),
    undefined,
  )
  assert.equal(judge(course(moment(1, 5), moment(1, 5), moment(1, 5), moment(1, 5))), undefined)
})

test('judge leaves out files that cannot be read on one side', () => {
  assert.equal(judge(course(same('12345678'), same(''), same(''), same(''))), undefined)
})

test('bitsOf counts serials and addresses, not words', () => {
  assert.ok(bitsOf('acf0b783-0a8a-43e2-ba14-5d3cbc1b46da') > 100)
  assert.equal(bitsOf('ext4 vfat proc sysfs'), 0)
})
