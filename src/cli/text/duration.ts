const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
}

/**
 * Reads Go's durations: 1h30m, 500ms, 1.5s, 0. Gives nanoseconds.
 *
 * @example
 * parseDuration('1m30s') // 90_000_000_000
 */
export function parseDuration(word: string): number {
  const sign = word.startsWith('-') ? -1 : 1
  const rest = word.replace(/^[+-]/, '')
  if (rest === '0') return 0
  const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/gy
  let total = 0
  let end = 0
  for (let match = part.exec(rest); match !== null; match = part.exec(rest)) {
    total += Number(match[1]) * (UNITS[match[2] ?? ''] ?? 0)
    end = part.lastIndex
  }
  if (rest === '' || end !== rest.length) throw new Error(durationProblem(word))
  return sign * Math.round(total)
}

function durationProblem(word: string): string {
  return /^[+-]?[\d.]+$/.test(word)
    ? `time: missing unit in duration "${word}"`
    : `time: invalid duration "${word}"`
}

/**
 * "2 hours", "About a minute": how docker says how long ago something was.
 *
 * @param milliseconds - the age
 */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (seconds < 60) return `${seconds} seconds`
  const minutes = Math.trunc(seconds / 60)
  if (minutes === 1) return 'About a minute'
  if (minutes < 60) return `${minutes} minutes`
  const hours = Math.round(milliseconds / 3_600_000)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`
  return `${Math.trunc(hours / 24 / 365)} years`
}
