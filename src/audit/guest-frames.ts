/**
 * The frames between a probe and the program inside (native/probe/probe.h is the other side), without I/O. Requests are
 * ours; answers come from inside a container and are believed in nothing: each length is checked, and a frame that is
 * not what was asked for ends the conversation.
 */
import type { Argument, Call } from './guest-types.ts'
import { GuestError } from './guest-error.ts'

export const VERSION = 1
const MAGIC = 0x52505744
/** Bytes of a whole request or answer. */
const MOST_BYTES = 64 << 20
export const MOST_CALLS = 8192
const MOST_ROUNDS = 65536
const WHOLE = 0xffffffff
const CALL = 56
const REPLY = 24
const OUTCOME = 24
const FAILURE = 1
const FINDING = 2
/** Apart from each other and aligned, so that a call that writes too far is seen and none is refused for its address. */
const GAP = 64

export interface Batch {
  readonly id: number
  /** ms */
  readonly limit: number
  /** 0: until the limit. */
  readonly repeat: number
  /** 0: in the program itself. */
  readonly children: number
  readonly calls: readonly Call[]
}

interface Range {
  readonly at: number
  readonly size: number
  /** Index of the call whose result says how much came, or WHOLE. */
  readonly call: number
  readonly of: number
}

export interface Encoded {
  readonly bytes: Buffer
  readonly id: number
  readonly calls: number
  readonly ranges: readonly Range[]
}

/**
 * Lays out the memory of a batch: first what is sent, then the room for what only comes back, so that room costs nothing
 * on the way.
 */
class Memory {
  readonly pieces: Buffer[] = []
  readonly pointers: { readonly at: number; readonly place: number }[] = []
  readonly ranges: Range[] = []
  #sent = 0
  #end: number

  /** `sent`: what all that is sent takes up. */
  constructor(sent: number) {
    this.#end = sent
  }

  get size(): number {
    return this.#end
  }

  send(content: Buffer): number {
    const at = this.#sent
    this.#sent += roomFor(content.length)
    this.pieces.push(content, Buffer.alloc(roomFor(content.length) - content.length))
    return at
  }

  reserve(size: number): number {
    const at = this.#end
    this.#end += roomFor(size)
    return at
  }
}

function roomFor(size: number): number {
  return (size + GAP + 15) & ~15
}

/** Bytes of memory that hold what is sent with these calls. */
function sentBytes(calls: readonly Call[]): number {
  const contents = calls
    .flatMap(({ args }) => args)
    .flatMap((argument): readonly Buffer[] => {
      if (typeof argument !== 'object') return []
      if ('inout' in argument) return [argument.inout]
      return 'in' in argument
        ? [argument.in, ...(argument.pointers ?? []).map(({ to }) => to)].map(bytesOf)
        : []
    })
  return contents.reduce((sum, content) => sum + roomFor(content.length), 0)
}

/** Strings end with a zero byte, as paths do. */
function bytesOf(content: Buffer | string): Buffer {
  return typeof content === 'string' ? Buffer.from(`${content}\0`) : content
}

function encodeArgument(argument: Argument, call: number, memory: Memory): { kind: number; value: bigint } {
  if (typeof argument === 'number' || typeof argument === 'bigint')
    return { kind: 0, value: BigInt.asIntN(64, BigInt(argument)) }
  if ('result' in argument) return { kind: 2, value: BigInt(argument.result) }
  if ('in' in argument) {
    const content = bytesOf(argument.in)
    const at = memory.send(content)
    for (const pointer of argument.pointers ?? []) {
      const target = bytesOf(pointer.to)
      memory.pointers.push({ at: at + pointer.at, place: memory.send(target) })
    }
    return { kind: 1, value: BigInt(at) }
  }
  const size = 'inout' in argument ? argument.inout.length : argument.out
  const at = 'inout' in argument ? memory.send(argument.inout) : memory.reserve(size)
  memory.ranges.push({ at, size, call: 'out' in argument && argument.short ? call : WHOLE, of: call })
  return { kind: 1, value: BigInt(at) }
}

function encodeCall(call: Call, index: number, number: number, memory: Memory): Buffer {
  const bytes = Buffer.alloc(CALL)
  bytes.writeUInt32LE(number, 0)
  bytes.writeUInt16LE(call.finds ? FINDING : call.ends ? FAILURE : 0, 4)
  let kinds = 0
  call.args.forEach((argument, position) => {
    const { kind, value } = encodeArgument(argument, index, memory)
    kinds |= kind << (2 * position)
    bytes.writeBigInt64LE(value, 8 + 8 * position)
  })
  bytes.writeUInt16LE(kinds, 6)
  return bytes
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, index) => bytes.writeUInt32LE(value, 4 * index))
  return bytes
}

/** `numberOf` gives the number of a call on the guest's machine. Throws GuestError for one that it has not. */
export function encodeBatch(batch: Batch, numberOf: (name: string) => number): Encoded {
  const { id, calls } = batch
  if (calls.length > MOST_CALLS) throw new GuestError('E2BIG', `a batch of ${calls.length} calls: split it`)
  const memory = new Memory(sentBytes(calls))
  const encoded = calls.map((call, index) => encodeCall(call, index, numberOf(call.name), memory))
  const pointers = memory.pointers.map(({ at, place }) => words(at, place))
  const ranges = memory.ranges.map(({ at, size, call }) => words(at, size, call))
  const content = Buffer.concat(memory.pieces)
  const head = words(
    ...[id, Math.ceil(batch.limit), batch.repeat, batch.children],
    ...[calls.length, pointers.length, ranges.length, memory.size, content.length, 0],
  )
  const body = Buffer.concat([head, ...encoded, ...pointers, ...ranges, content])
  if (body.length > MOST_BYTES) throw new GuestError('E2BIG', `a batch of ${body.length} bytes: split it`)
  return { bytes: Buffer.concat([words(body.length), body]), id, calls: calls.length, ranges: memory.ranges }
}

export interface Outcome {
  readonly value: bigint
  readonly errno: number
  readonly nanoseconds: bigint
  readonly out: readonly Buffer[]
}

export interface Reply {
  /** As wait(2) gives it, of the first child; 0 without children. */
  readonly status: number
  /** Why fewer children were made than asked for. */
  readonly forkError: number
  /** Calls of the last round that came back; fewer than asked for when it ended before. */
  readonly outcomes: readonly Outcome[]
  readonly rounds: number
  /** ns of each round, the first 65,536 of all children. */
  readonly took: readonly bigint[]
}

/** Reads on; refuses to read past the end. */
class Cursor {
  #at = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw garbled('it is shorter than it says')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  u32(): number {
    return this.take(4).readUInt32LE()
  }

  i32(): number {
    return this.take(4).readInt32LE()
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw garbled('it is longer than it says')
  }
}

export function garbled(why: string): GuestError {
  return new GuestError('EPROTO', `reading the answer of the program inside failed: ${why}`)
}

/** `frame` without its length. Throws GuestError when it is not the answer to this request. */
export function decodeReply(frame: Buffer, asked: Encoded): Reply {
  const cursor = new Cursor(frame)
  if (cursor.u32() !== asked.id) throw garbled('it answers another request')
  const head = cursor.take(REPLY)
  const done = head.readUInt32LE(8)
  const kept = head.readUInt32LE(12)
  if (done > asked.calls || kept > MOST_ROUNDS) throw garbled('it counts more than was asked for')
  const outcomes = Array.from({ length: done }, () => cursor.take(OUTCOME))
  const took = Array.from({ length: kept }, () => cursor.take(8).readBigUInt64LE())
  // By call: a search for each call's own among thousands took longer than the calls.
  const out = Array.from({ length: asked.calls }, (): Buffer[] => [])
  for (const range of asked.ranges) out[range.of]?.push(rangeOf(cursor, range))
  cursor.end()
  return {
    status: head.readInt32LE(0),
    forkError: head.readInt32LE(4),
    rounds: Number(head.readBigUInt64LE(16)),
    took,
    outcomes: outcomes.map((bytes, index) => ({
      value: bytes.readBigInt64LE(0),
      nanoseconds: bytes.readBigUInt64LE(8),
      errno: bytes.readInt32LE(16),
      out: out[index] ?? [],
    })),
  }
}

function rangeOf(cursor: Cursor, range: Range): Buffer {
  const length = cursor.u32()
  if (length > range.size) throw garbled('it sends more than was asked for')
  return Buffer.from(cursor.take(length))
}

export interface Hello {
  /** As the program sees itself. */
  readonly pid: number
  /** `x86_64`, `aarch64`. */
  readonly machine: string
}

export function decodeHello(frame: Buffer): Hello {
  const cursor = new Cursor(frame)
  if (cursor.u32() !== MAGIC) throw garbled('something else answers')
  const version = cursor.u32()
  if (version !== VERSION) throw garbled(`it speaks version ${version}, this audit ${VERSION}`)
  const pid = cursor.i32()
  const machine = cursor.take(frame.length - 12).toString('latin1')
  return { pid, machine: machine.slice(0, Math.max(0, machine.indexOf('\0'))) }
}

/** Puts frames together from pieces cut anywhere. Holds at most one frame of the allowed size. */
export class FrameReader {
  #pieces: Buffer[] = []
  #have = 0

  /** Whole frames without their lengths. Throws GuestError on a length that cannot be. */
  push(piece: Buffer): Buffer[] {
    this.#pieces.push(piece)
    this.#have += piece.length
    const frames: Buffer[] = []
    for (;;) {
      const length = this.#length()
      if (length === undefined || this.#have < 4 + length) return frames
      const whole = Buffer.concat(this.#pieces)
      frames.push(whole.subarray(4, 4 + length))
      const rest = whole.subarray(4 + length)
      this.#pieces = rest.length > 0 ? [rest] : []
      this.#have = rest.length
    }
  }

  #length(): number | undefined {
    if (this.#have < 4) return undefined
    const [first] = this.#pieces
    if (first !== undefined && first.length < 4) this.#pieces = [Buffer.concat(this.#pieces)]
    const length = this.#pieces[0]?.readUInt32LE() ?? 0
    // Room for a whole memory, its outcomes and its times.
    if (length > 2 * MOST_BYTES) throw garbled(`a frame of ${length} bytes`)
    return length
  }
}
