/** Go's durations: "1h30m", "500ms"; and back, as Go prints them. Nanoseconds. */
import { DewarError } from '../../base/errors.ts'

const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/** Throws invalid-argument in Go's words. */
export function goDuration(text: string): number {
  const quoted = JSON.stringify(text)
  const [, sign = '', rest = ''] = /^([+-]?)(.*)$/s.exec(text) ?? []
  if (rest === '0') return 0
  let total = 0
  for (let at = 0; at < rest.length || rest === '';) {
    const [all = '', amount = '', unit = ''] = /^(\d+\.?\d*|\.\d+)([^\d.]*)/.exec(rest.slice(at)) ?? []
    if (amount === '') throw bad(`time: invalid duration ${quoted}`)
    if (unit === '') throw bad(`time: missing unit in duration ${quoted}`)
    const size = UNITS[unit]
    if (size === undefined) throw bad(`time: unknown unit ${JSON.stringify(unit)} in duration ${quoted}`)
    total += Number(amount) * size
    at += all.length
  }
  return Math.round(sign === '-' ? -total : total)
}

export function goDurationText(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s'
  if (nanoseconds < 1e9) {
    const [size, unit] = nanoseconds < 1e3 ? [1, 'ns'] : nanoseconds < 1e6 ? [1e3, 'µs'] : [1e6, 'ms']
    return `${nanoseconds / size}${unit}`
  }
  const hours = Math.floor(nanoseconds / 3600e9)
  const minutes = Math.floor((nanoseconds % 3600e9) / 60e9)
  const seconds = (nanoseconds % 60e9) / 1e9
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`
}

function bad(message: string): DewarError {
  return new DewarError('invalid-argument', message)
}
