/** One line of a json-file log, decoded quickly. Pure. */

export interface LogEntry {
  readonly stream: 1 | 2
  readonly data: Buffer
  /** RFC 3339 with fraction, as written. */
  readonly time: string
}

const HEAD = Buffer.from('{"log":"')
const QUOTE = 0x22
const BACKSLASH = 0x5c
const LETTER_N = 0x6e
const BRACE = 0x7d
const NEWLINE = Buffer.from('\n')
/** What stands between the text and the time, or the attributes where a line has some. */
const MIDDLES = [
  {
    plain: Buffer.from('","stream":"stdout","time":"'),
    attributed: Buffer.from('","stream":"stdout","attrs":{'),
    stream: 1,
  },
  {
    plain: Buffer.from('","stream":"stderr","time":"'),
    attributed: Buffer.from('","stream":"stderr","attrs":{'),
    stream: 2,
  },
] as const
const MIDDLE_BYTES = 28
const AFTER_ATTRIBUTES = Buffer.from('},"time":"')
/** Of a line with nothing in it: head, middle, the shortest time, tail. */
const SHORTEST = 8 + MIDDLE_BYTES + 20 + 2
/** 2026-01-02T03:04:05.123456789+01:00 */
const LONGEST_TIME = 35

/** undefined for a torn or foreign line: a log is never an error, it is evidence. `line` is without its newline. */
export function decodeLogLine(line: Buffer): LogEntry | undefined {
  return decodeQuickly(line) ?? decodeSlowly(line)
}

function decodeQuickly(line: Buffer): LogEntry | undefined {
  const found = new LineScan()
  if (!found.scan(line, 0, line.length)) return undefined
  const text = line.subarray(found.textStart, found.textEnd)
  const data = found.newline ? Buffer.concat([text, NEWLINE]) : text
  return { stream: found.stream, data, time: line.toString('latin1', found.timeStart, found.timeEnd) }
}

/**
 * Finds the parts of a line whose text needs no unescaping but for a last `\n`, which is nearly all lines: no JSON
 * parser, no string, nothing allocated. One object is used for all lines of a block.
 */
export class LineScan {
  stream: 1 | 2 = 1
  textStart = 0
  textEnd = 0
  /** A newline follows the text. */
  newline = false
  timeStart = 0
  timeEnd = 0

  /** Whether the line from `start` to `end` (without its newline) is such a line. */
  scan(block: Buffer, start: number, end: number): boolean {
    this.timeEnd = end - 2
    if (end - start < SHORTEST || block[end - 1] !== BRACE || block[this.timeEnd] !== QUOTE) return false
    for (let n = 0; n < HEAD.length; n += 1) if (block[start + n] !== HEAD[n]) return false
    this.textStart = start + HEAD.length
    return this.#findMiddle(block) && this.#findTextEnd(block)
  }

  /** The time begins after the quote before it, a few bytes back; the middle stands before that. */
  #findMiddle(block: Buffer): boolean {
    let at = this.timeEnd - 1
    while (at > this.timeEnd - LONGEST_TIME - 2 && block[at] !== QUOTE) at -= 1
    this.timeStart = at + 1
    this.textEnd = this.timeStart - MIDDLE_BYTES
    if (block[at] !== QUOTE || this.textEnd < this.textStart) return false
    for (const { plain, stream } of MIDDLES) {
      this.stream = stream
      if (standsAt(block, this.textEnd, plain)) return true
    }
    return this.#findAttributes(block)
  }

  /** The text ends at the first quote: one in it would stand behind a backslash, which `#findTextEnd` sees. */
  #findAttributes(block: Buffer): boolean {
    if (!standsAt(block, this.timeStart - AFTER_ATTRIBUTES.length, AFTER_ATTRIBUTES)) return false
    this.textEnd = block.indexOf(QUOTE, this.textStart)
    for (const { attributed, stream } of MIDDLES) {
      this.stream = stream
      if (standsAt(block, this.textEnd, attributed)) return this.textEnd + attributed.length < this.timeStart
    }
    return false
  }

  /** A quote in the text would be escaped, so a look for backslashes finds both. */
  #findTextEnd(block: Buffer): boolean {
    const last = this.textEnd - 2
    this.newline = last >= this.textStart && block[last] === BACKSLASH && block[last + 1] === LETTER_N
    const end = this.newline ? last : this.textEnd
    for (let at = this.textStart; at < end; at += 1) if (block[at] === BACKSLASH) return false
    this.textEnd = end
    return true
  }
}

function standsAt(block: Buffer, at: number, bytes: Buffer): boolean {
  let n = 0
  while (n < bytes.length && block[at + n] === bytes[n]) n += 1
  return n === bytes.length
}

function decodeSlowly(line: Buffer): LogEntry | undefined {
  let value: unknown
  try {
    value = JSON.parse(line.toString('utf8'))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('log' in value) || !('time' in value)) return undefined
  if (typeof value.log !== 'string' || typeof value.time !== 'string') return undefined
  const stream = 'stream' in value && value.stream === 'stderr' ? 2 : 1
  return { stream, data: Buffer.from(value.log, 'utf8'), time: value.time }
}

/** Milliseconds since the epoch with fraction; NaN for what is no time. */
export function timeOf(text: string): number {
  const match = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(text)
  if (match === null) return NaN
  return Date.parse(`${match[1]}${match[3]}`) + Number(match[2] ?? 0) * 1000
}

/** Docker's multiplexed frame: stream, three zero bytes, length big endian, data. */
export function frame(stream: 1 | 2, data: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(8 + data.length)
  framed.writeUInt32BE(stream << 24, 0)
  framed.writeUInt32BE(data.length, 4)
  data.copy(framed, 8)
  return framed
}
