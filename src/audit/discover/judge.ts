/**
 * From readings of a file, inside and on the host just before and after, to whether it carries the host's state. Knows no
 * file by name.
 */
import type { Discovery } from '../types.ts'

/** One moment: the host's content, then the guest's, then the host's again. */
export interface Moment {
  readonly before: string
  readonly inside: string
  readonly after: string
}

/** start, after time passed, while the host is busy, after time passed again. */
export interface Course {
  readonly start: Moment
  readonly idle: Moment
  readonly busy: Moment
  readonly later: Moment
}

export interface Judgement {
  readonly kind: Discovery['kind']
  readonly sample: string
}

/** Bits of a value that not every machine has, below which equality says nothing: 2^20 machines. */
const ENOUGH_BITS = 20
/** What a counter must at least do, to be told from noise. */
const LEAST_CHANGE = 400

export function judge({ start, idle, busy, later }: Course): Judgement | undefined {
  const moments = [start, idle, busy, later]
  if (moments.some(({ inside, before }) => inside === '' || before === '')) return undefined
  const columns = columnsOf(moments)
  const driven = columns.find(isDriven)
  if (driven !== undefined)
    return { kind: 'host-driven', sample: `${driven.name}: ${driven.inside.join(' → ')}` }
  const equal = columns.find(isSameCourse)
  if (equal !== undefined)
    return { kind: 'equal-delta', sample: `${equal.name}: ${equal.inside.join(' → ')}` }
  const still = moments.every(({ before, inside, after }) => before === inside && inside === after)
  if (still && start.inside === later.inside && tellsMachinesApart(start.inside))
    return { kind: 'equal-value', sample: start.inside.trim().replaceAll(/\s+/g, ' ').slice(0, 80) }
  return undefined
}

/** One number of a file over the four moments. */
interface Column {
  readonly name: string
  readonly before: readonly number[]
  readonly inside: readonly number[]
  readonly after: readonly number[]
}

const MOST_COLUMNS = 4000

/** Numbers by line name and place in the line; only where all readings have them. */
function columnsOf(moments: readonly Moment[]): readonly Column[] {
  const tables = moments.map((moment) => ({
    before: numbersOf(moment.before),
    inside: numbersOf(moment.inside),
    after: numbersOf(moment.after),
  }))
  const names = [...(tables[0]?.inside.keys() ?? [])].slice(0, MOST_COLUMNS)
  return names.flatMap((name) => {
    const pick = (side: 'before' | 'inside' | 'after'): readonly number[] =>
      tables.flatMap((table) => table[side].get(name) ?? [])
    const column = { name, before: pick('before'), inside: pick('inside'), after: pick('after') }
    const whole = [column.before, column.inside, column.after].every(
      (values) => values.length === moments.length,
    )
    return whole ? [column] : []
  })
}

function numbersOf(text: string): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>()
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.trim().split(/[\s:=,]+/)
    const name = words.find((word) => /[a-z]/i.test(word)) ?? ''
    for (const [column, word] of words.entries())
      if (/^-?\d{1,15}(\.\d+)?$/.test(word)) numbers.set(`${name} ${index}.${column}`.trim(), Number(word))
  }
  return numbers
}

function changes(values: readonly number[]): { idle: number; busy: number; later: number } {
  const [a = 0, b = 0, c = 0, d = 0] = values
  return { idle: b - a, busy: c - b, later: d - c }
}

/** Inside it leaps when the host is busy and hardly moves when it is not, as the host's own does. */
function isDriven({ before, inside }: Column): boolean {
  const [host, guest] = [changes(before), changes(inside)]
  const leap = Math.abs(guest.busy)
  const quiet = Math.abs(guest.idle)
  if (leap < LEAST_CHANGE || leap < 5 * quiet) return false
  const ratio = guest.busy / host.busy
  return ratio > 0.6 && ratio < 1.6
}

/** At each moment inside it lies between the host's two readings, which are close and move over time. */
function isSameCourse({ before, inside, after }: Column): boolean {
  const within = inside.every((value, index) => {
    const [first = 0, last = 0] = [before[index], after[index]]
    const [low, high] = [Math.min(first, last), Math.max(first, last)]
    // A wide bracket catches anything.
    return value >= low && value <= high && high - low <= Math.max(2, Math.abs(high) / 20)
  })
  const [smallest, largest] = [Math.min(...inside), Math.max(...inside)]
  const distinct = new Set(inside).size
  return within && distinct >= 3 && Math.max(Math.abs(smallest), Math.abs(largest)) >= LEAST_CHANGE
}

export function tellsMachinesApart(content: string): boolean {
  return bitsOf(content) >= ENOUGH_BITS
}

/**
 * How much a content tells one machine from another, roughly: random-looking words and numbers count, words of a
 * language, round numbers and limits of types do not.
 */
export function bitsOf(content: string): number {
  return content
    .slice(0, 4096)
    .split(/[\s,;:=()[\]"]+/)
    .reduce((sum, word) => sum + bitsOfWord(word), 0)
}

function bitsOfWord(word: string): number {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(word)) return 122
  if (
    /^(0x)?[0-9a-f]{8,}$/i.test(word) &&
    /[a-f]/i.test(word) &&
    /[0-9]/.test(word) &&
    !/^(0x)?[0f]+$/i.test(word)
  )
    return 4 * new Set(word).size
  if (/^\d{5,18}$/.test(word)) return isRound(Number(word)) ? 0 : Math.log2(Number(word))
  return 0
}

/** Defaults and limits: few binary digits before the zeros, or only ones; few decimal digits that are not zero. */
function isRound(value: number): boolean {
  let odd = BigInt(value)
  while (odd > 0n && odd % 2n === 0n) odd /= 2n
  const ones = Number.isInteger(Math.log2(Number(odd) + 1))
  return odd < 128n || ones || value.toString().replace(/0+$/, '').length <= 3
}
