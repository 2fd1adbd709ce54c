/**
 * Netlink's own grammar: messages with headers, attributes, nesting; and reading them back.
 * What the messages mean is said in netlink-route.ts and nftables.ts. netlink(7), Documentation/userspace-api/netlink.
 *
 * Headers and attribute headers are in the machine's byte order. Both machines Dewar runs on (x86-64, arm64) are
 * little endian, so that is what is written here.
 */
import type { Actor, Step } from './plan.ts'

export const NETLINK_ROUTE = 0
export const NETLINK_NETFILTER = 12

export const NLM_F_REQUEST = 0x1
export const NLM_F_ACK = 0x4
export const NLM_F_REPLACE = 0x100
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_APPEND = 0x800
export const NLM_F_DUMP = 0x300

const NLA_F_NESTED = 0x8000
const HEADER = 16
const align = (length: number): number => (length + 3) & ~3

/** The errno a netlink acknowledgement can carry and a plan may want to ignore (asm-generic/errno.h). */
export const ERRNO = {
  ENOENT: 2,
  ESRCH: 3,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EOPNOTSUPP: 95,
  ENETDOWN: 100,
} as const

/** Writes one or more netlink messages, one after the other, into one growing buffer. */
export class NetlinkWriter {
  // Not zeroed: every byte is written, padding too.
  #buffer = Buffer.allocUnsafe(1024)
  #length = 0
  #sequence = 0
  readonly #pidAt: number[] = []

  /** One message; `body` writes what follows the 16-byte header. NLM_F_REQUEST is always set. */
  message(type: number, flags: number, body: () => void): this {
    const start = this.#reserve(HEADER)
    body()
    this.#pad()
    this.#buffer.writeUInt32LE(this.#length - start, start)
    this.#buffer.writeUInt16LE(type, start + 4)
    this.#buffer.writeUInt16LE(flags | NLM_F_REQUEST, start + 6)
    this.#sequence += 1
    this.#buffer.writeUInt32LE(this.#sequence, start + 8)
    this.#buffer.writeUInt32LE(0, start + 12)
    return this
  }

  u8(value: number): this {
    const at = this.#reserve(1)
    this.#buffer.writeUInt8(value, at)
    return this
  }

  u16(value: number): this {
    const at = this.#reserve(2)
    this.#buffer.writeUInt16LE(value, at)
    return this
  }

  u16be(value: number): this {
    const at = this.#reserve(2)
    this.#buffer.writeUInt16BE(value, at)
    return this
  }

  u32(value: number): this {
    const at = this.#reserve(4)
    this.#buffer.writeUInt32LE(value >>> 0, at)
    return this
  }

  bytes(value: Uint8Array): this {
    const at = this.#reserve(value.length)
    this.#buffer.set(value, at)
    return this
  }

  attribute(type: number, value: Uint8Array): this {
    this.u16(value.length + 4)
      .u16(type)
      .bytes(value)
    return this.#pad()
  }

  attributeU8(type: number, value: number): this {
    this.u16(5).u16(type).u8(value)
    return this.#pad()
  }

  attributeU16(type: number, value: number): this {
    this.u16(6).u16(type).u16(value)
    return this.#pad()
  }

  attributeU32(type: number, value: number): this {
    return this.u16(8).u16(type).u32(value)
  }

  /** Big endian, as everything of nf_tables wants it. */
  attributeU32be(type: number, value: number): this {
    this.u16(8).u16(type)
    const at = this.#reserve(4)
    this.#buffer.writeUInt32BE(value >>> 0, at)
    return this
  }

  /** A NUL-terminated string. */
  attributeText(type: number, value: string): this {
    return this.attribute(type, Buffer.from(`${value}\0`))
  }

  /** A u32 where the core puts the pid of the waiting child. */
  attributePid(type: number): this {
    this.u16(8).u16(type)
    this.#pidAt.push(this.#length)
    return this.u32(0)
  }

  nest(type: number, body: () => void): this {
    const start = this.#reserve(4)
    body()
    const length = this.#length - start
    // nla_len is 16 bits wide: a longer nest would silently wrap around. Callers split their lists before.
    if (length > 0xffff)
      throw new RangeError(`netlink attribute ${type} has ${length} bytes; 65535 is the limit`)
    this.#buffer.writeUInt16LE(length, start)
    this.#buffer.writeUInt16LE(type | NLA_F_NESTED, start + 2)
    return this
  }

  get data(): Uint8Array {
    const { buffer, byteOffset } = this.#buffer
    return new Uint8Array(buffer.slice(byteOffset, byteOffset + this.#length))
  }

  get pidAt(): readonly number[] {
    return this.#pidAt
  }

  #pad(): this {
    const missing = align(this.#length) - this.#length
    if (missing > 0) this.#buffer.fill(0, this.#reserve(missing), this.#length)
    return this
  }

  #reserve(bytes: number): number {
    const at = this.#length
    this.#length += bytes
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#buffer.length * 2))
      this.#buffer.copy(larger)
      this.#buffer = larger
    }
    return at
  }
}

export interface NetlinkStepOptions {
  readonly ignore?: readonly number[]
  readonly emit?: boolean
}

/** The plan's step that sends what was written. */
export function netlinkStep(
  actor: Actor,
  protocol: number,
  why: string,
  writer: NetlinkWriter,
  options: NetlinkStepOptions = {},
): Step {
  const pidAt = writer.pidAt.length > 0 ? { pidAt: writer.pidAt } : {}
  return { actor, op: 'netlink', protocol, data: writer.data, why, ...pidAt, ...options }
}

export interface NetlinkMessage {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly body: Buffer
}

/** Reads the messages in a frame; stops at the first that does not fit (the kernel never sends such). */
export function* readMessages(frame: Buffer): Generator<NetlinkMessage> {
  let at = 0
  while (at + HEADER <= frame.length) {
    const length = frame.readUInt32LE(at)
    if (length < HEADER || at + length > frame.length) return
    yield {
      type: frame.readUInt16LE(at + 4),
      flags: frame.readUInt16LE(at + 6),
      sequence: frame.readUInt32LE(at + 8),
      body: frame.subarray(at + HEADER, at + length),
    }
    at += align(length)
  }
}

/** Attributes as pairs in order; the nested flag and byte-order bit are taken off the type. */
export function* readAttributes(body: Buffer, offset = 0): Generator<readonly [type: number, value: Buffer]> {
  let at = offset
  while (at + 4 <= body.length) {
    const length = body.readUInt16LE(at)
    if (length < 4 || at + length > body.length) return
    yield [body.readUInt16LE(at + 2) & 0x3fff, body.subarray(at + 4, at + length)]
    at += align(length)
  }
}

/** Attributes by type; of a repeated one the last counts. */
export function attributeMap(body: Buffer, offset = 0): ReadonlyMap<number, Buffer> {
  return new Map(readAttributes(body, offset))
}

/** Text of an attribute without its terminating NUL. */
export function attributeString(value: Buffer | undefined): string {
  if (value === undefined) return ''
  const end = value.indexOf(0)
  return value.toString('utf8', 0, end < 0 ? value.length : end)
}
