/** Signals by name and number, as Docker reads them. Numbers are those of x86-64 and arm64 (signal(7)). */
import { DewarError } from '../base/errors.ts'

export const SIGNALS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ILL: 4,
  TRAP: 5,
  ABRT: 6,
  IOT: 6,
  BUS: 7,
  FPE: 8,
  KILL: 9,
  USR1: 10,
  SEGV: 11,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  STKFLT: 16,
  CHLD: 17,
  CLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  TTOU: 22,
  URG: 23,
  XCPU: 24,
  XFSZ: 25,
  VTALRM: 26,
  PROF: 27,
  WINCH: 28,
  IO: 29,
  POLL: 29,
  PWR: 30,
  SYS: 31,
}

/** The first two real-time signals belong to the C library's threads, so programs call 34 SIGRTMIN. */
export const SIGRTMIN = 34
export const SIGRTMAX = 64

/**
 * `SIGTERM`, `term`, `15`, `RTMIN+3`, `SIGRTMAX-1` → number. Throws invalid-argument with dockerd's words:
 * "invalid signal: X".
 */
export function parseSignal(text: string): number {
  if (/^[+-]?\d+$/.test(text)) return parseNumber(text)
  const name = text.toUpperCase().replace(/^SIG/, '')
  const number = Object.hasOwn(SIGNALS, name) ? SIGNALS[name] : realTime(name)
  if (number !== undefined) return number
  throw new DewarError('invalid-argument', `invalid signal: ${text}`)
}

function parseNumber(text: string): number {
  const number = Number(text)
  if (number === 0) throw new DewarError('invalid-argument', `invalid signal: ${text}`)
  if (number > 0 && number <= SIGRTMAX) return number
  throw new DewarError('invalid-argument', `The linux daemon does not support signal ${number}`)
}

/** RTMIN, RTMIN+1 … RTMIN+15, RTMAX-14 … RTMAX: the names Docker has, which meet in the middle. */
function realTime(name: string): number | undefined {
  const match = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(name)
  if (match === null) return undefined
  const [, end, sign, digits] = match
  const offset = Number(digits ?? 0)
  if (end === 'MIN') return sign === '-' || offset > 15 ? undefined : SIGRTMIN + offset
  return sign === '+' || offset > 14 ? undefined : SIGRTMAX - offset
}

const NAME_BY_NUMBER = new Map(
  Object.entries(SIGNALS)
    .reverse()
    .map(([name, number]) => [number, `SIG${name}`]),
)

/** SIGTERM for 15, SIGRTMIN+1 for 35; the bare number as text when it has no name. */
export function signalName(number: number): string {
  const name = NAME_BY_NUMBER.get(number)
  if (name !== undefined) return name
  if (number === SIGRTMAX) return 'SIGRTMAX'
  if (number < SIGRTMIN || number > SIGRTMAX) return String(number)
  return number === SIGRTMIN ? 'SIGRTMIN' : `SIGRTMIN+${number - SIGRTMIN}`
}
