/** HEALTHCHECK. */
import { DewarError } from '../../base/errors.ts'
import type { Healthcheck } from '../types.ts'
import { jsonList } from './dockerfile-words.ts'
import { goDuration } from './go-duration.ts'
import { flagsOf } from './instruction-flags.ts'

const NAMES = {
  value: ['interval', 'timeout', 'start-period', 'start-interval', 'retries'],
  flag: [],
}

export function parseHealthcheck(text: string, words: readonly string[]): Healthcheck {
  const flags = flagsOf(words, NAMES)
  const [, type = '', rest = ''] = /^(\S+)\s*(.*)$/s.exec(text) ?? []
  if (type === '') throw bad('HEALTHCHECK requires at least one argument')
  if (type.toUpperCase() === 'NONE') {
    if (rest !== '') throw bad('HEALTHCHECK NONE takes no arguments')
    return { test: ['NONE'] }
  }
  if (type.toUpperCase() !== 'CMD')
    throw bad(`Unknown type ${JSON.stringify(type.toUpperCase())} in HEALTHCHECK (try CMD)`)
  const list = jsonList(rest)
  if (rest === '' || list?.length === 0) throw bad('Missing command after HEALTHCHECK CMD')
  return {
    test: list === undefined ? ['CMD-SHELL', rest] : ['CMD', ...list],
    interval: durationOf(flags, 'interval'),
    timeout: durationOf(flags, 'timeout'),
    startPeriod: durationOf(flags, 'start-period'),
    startInterval: durationOf(flags, 'start-interval'),
    retries: retriesOf(flags.get('retries')),
  }
}

/** Nanoseconds; 0 when it is not given. */
function durationOf(flags: ReadonlyMap<string, string>, name: string): number {
  const text = flags.get(name)
  if (text === undefined || text === '') return 0
  const duration = goDuration(text)
  if (duration !== 0 && duration < 1_000_000)
    throw bad(`Interval ${JSON.stringify(name)} cannot be less than 1ms`)
  return duration
}

function retriesOf(text: string | undefined): number {
  if (text === undefined || text === '') return 0
  if (!/^[+-]?\d{1,9}$/.test(text))
    throw bad(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`)
  const retries = Number(text)
  if (retries < 0) throw bad(`--retries must be at least 1 (not ${retries})`)
  return retries
}

function bad(message: string): DewarError {
  return new DewarError('invalid-argument', message)
}
