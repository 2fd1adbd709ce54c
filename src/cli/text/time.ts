import { Failure } from '../failure.ts'
import { parseDuration } from './duration.ts'

/** Docker's zero time: "never". */
const NEVER = '0001-01-01T00:00:00Z'

/**
 * What --since and --until accept, as the API wants it (seconds since the epoch with nanoseconds): a duration back from
 * now (10m), a date in the client's own zone, RFC 3339, or seconds already.
 */
export function parseTimestamp(word: string, now: number = Date.now()): string {
  if (/^\d+(\.\d+)?$/.test(word)) return word
  try {
    const ago = parseDuration(word)
    return fromMilliseconds(now - ago / 1e6)
  } catch {
    return fromDate(word)
  }
}

function fromDate(word: string): string {
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(\.\d+)?)?)?)?(Z|[+-]\d\d:\d\d)?$/.exec(word)
  if (match?.[1] === undefined) {
    throw new Failure(`failed to parse value as time or duration: "${word}"`)
  }
  const [, day, hour = '00', minute = '00', second = '00', fraction = '', zone = ''] = match
  const seconds = Math.trunc(new Date(`${day}T${hour}:${minute}:${second}${zone}`).getTime() / 1000)
  if (Number.isNaN(seconds)) throw new Failure(`failed to parse value as time or duration: "${word}"`)
  return `${seconds}.${fraction.slice(1).padEnd(9, '0').slice(0, 9)}`
}

function fromMilliseconds(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000)
  const nanos = Math.round((milliseconds - seconds * 1000) * 1e6)
  return `${seconds}.${String(nanos).padStart(9, '0')}`
}

/** 2026-11-23 16:18:16 +0000 UTC: Go's way to print a time, in the client's zone. */
export function goTime(seconds: number): string {
  const date = new Date(seconds * 1000)
  return `${localDateTime(date)} ${zoneOffset(date, '')} ${zoneName(date)}`
}

/** RFC 3339 in the client's zone, as `history --human=false` shows it. */
export function localRfc3339(seconds: number): string {
  const date = new Date(seconds * 1000)
  const zone = zoneOffset(date, ':')
  return `${localDateTime(date).replace(' ', 'T')}${zone === '+00:00' ? 'Z' : zone}`
}

/** RFC 3339 with nanoseconds in the client's zone, as `events` shows it. */
export function localRfc3339Nano(seconds: number, nanoseconds: number): string {
  const date = new Date(seconds * 1000)
  const zone = zoneOffset(date, ':')
  const fraction = String(nanoseconds).padStart(9, '0')
  return `${localDateTime(date).replace(' ', 'T')}.${fraction}${zone === '+00:00' ? 'Z' : zone}`
}

function localDateTime(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

function zoneOffset(date: Date, separator: string): string {
  const minutes = -date.getTimezoneOffset()
  const absolute = Math.abs(minutes)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${minutes < 0 ? '-' : '+'}${two(Math.trunc(absolute / 60))}${separator}${two(absolute % 60)}`
}

function zoneName(date: Date): string {
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(date)
  const name = parts.find((part) => part.type === 'timeZoneName')?.value ?? 'UTC'
  return name.startsWith('GMT') ? zoneOffset(date, '').slice(0, 3) : name
}

export function isNever(time: string): boolean {
  return time === '' || time === NEVER
}

/** `Fri May 30 12:07:14 2025`, as in `version`. */
export function ansiTime(iso: string): string {
  const date = new Date(iso)
  if (Number.isNaN(date.getTime())) return iso
  const [weekday, month] = [
    date.toLocaleString('en-US', { weekday: 'short', timeZone: 'UTC' }),
    date.toLocaleString('en-US', { month: 'short', timeZone: 'UTC' }),
  ]
  const day = String(date.getUTCDate()).padStart(2, ' ')
  return `${weekday} ${month} ${day} ${date.toISOString().slice(11, 19)} ${date.getUTCFullYear()}`
}
