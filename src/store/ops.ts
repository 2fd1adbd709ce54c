/**
 * The operation stream: how files travel between TypeScript and the native core (native/files.c). A compact
 * binary form that can be applied as it arrives:
 *
 *   "DWO1", then entries, then one entry of kind `end`.
 *   entry  48-byte header, path, link, xattrs; a `file` is followed by chunks
 *   header u8 kind, u8 flags, u16 path length, u16 link length, u16 0, u32 xattrs length, u32 mode (07777), u32 uid,
 *          u32 gid, u32 mtime ns, u32 major, i64 mtime s, u64 size (of a device: minor)     all little endian
 *   xattr  u32 value length, u8 name length, name, value
 *   chunk  u32 length, u32 0, u64 offset, bytes; ascending, gaps are holes; length 0 ends the file
 *
 * Names are **byte strings**: JavaScript strings with one character per byte ('latin1'), because Linux names
 * need not be UTF-8. `textOf` makes them readable. Paths are relative, "." is the root itself.
 */
import { withoutNobody, type Xattrs } from './xattr-ids.ts'

export const KIND = {
  dir: 1,
  file: 2,
  symlink: 3,
  hardlink: 4,
  char: 5,
  block: 6,
  fifo: 7,
  /** Hides the name in lower layers (a character device 0:0 for overlay). */
  whiteout: 8,
  /** Hides everything lower layers have in this folder. */
  opaque: 9,
  /** Removes what is there, with everything below. */
  remove: 10,
  /** Sets the mtime of a folder once its content is complete. */
  times: 11,
  end: 255,
} as const
export type Kind = keyof typeof KIND

export const FLAG = {
  /** Never put a directory in the place of something else, nor the reverse. */
  keepType: 1,
  /** A parent the archive left out: made as 0755 root when nothing is there, else left alone. */
  implicit: 2,
} as const

/** Seconds since the epoch (may be negative) and nanoseconds. */
export interface Mtime {
  readonly sec: number
  readonly ns: number
}

export interface Entry {
  readonly kind: Exclude<Kind, 'end'>
  readonly path: string
  /** Target of a symlink, or path of the file a hard link is another name of. */
  readonly link?: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtime: Mtime
  /** Bytes of a file. */
  readonly size?: number
  readonly major?: number
  readonly minor?: number
  readonly xattrs?: Xattrs
  readonly flags?: number
}

export const MAGIC = Buffer.from('DWO1', 'latin1')
export const HEADER_BYTES = 48
export const CHUNK_HEADER_BYTES = 16
/** Limits of the native side; a stream beyond them is refused there with EBADMSG. */
export const PATH_BYTES_MAX = 4095
export const XATTR_BYTES_MAX = 256 * 1024
/** Of one chunk: only what the decoder here is ready to skip through. */
const CHUNK_BYTES_MAX = 0xffff_ffff

const NAMES = new Map<number, Kind>(Object.entries(KIND).map(([name, code]) => [code, name as Kind] as const))

/** A byte string for people: UTF-8 where it is that, with the rest replaced. */
export function textOf(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8')
}

/** The byte string of a text. */
export function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

export function encodeEntry(entry: Entry): Buffer {
  const path = Buffer.from(entry.path, 'latin1')
  const link = Buffer.from(entry.link ?? '', 'latin1')
  const xattrs = encodeXattrs(entry.xattrs ?? [])
  const out = Buffer.alloc(HEADER_BYTES + path.length + link.length + xattrs.length)
  out.writeUInt8(KIND[entry.kind], 0)
  out.writeUInt8(entry.flags ?? 0, 1)
  out.writeUInt16LE(path.length, 2)
  out.writeUInt16LE(link.length, 4)
  out.writeUInt32LE(xattrs.length, 8)
  out.writeUInt32LE(entry.mode & 0o7777, 12)
  out.writeUInt32LE(entry.uid, 16)
  out.writeUInt32LE(entry.gid, 20)
  out.writeUInt32LE(entry.mtime.ns, 24)
  out.writeUInt32LE(entry.major ?? 0, 28)
  out.writeBigInt64LE(BigInt(entry.mtime.sec), 32)
  const device = entry.kind === 'char' || entry.kind === 'block'
  out.writeBigUInt64LE(BigInt((device ? entry.minor : entry.size) ?? 0), 40)
  path.copy(out, HEADER_BYTES)
  link.copy(out, HEADER_BYTES + path.length)
  xattrs.copy(out, HEADER_BYTES + path.length + link.length)
  return out
}

function encodeXattrs(xattrs: Xattrs): Buffer {
  return Buffer.concat(
    xattrs.flatMap(([name, value]) => {
      const head = Buffer.alloc(5 + name.length)
      head.writeUInt32LE(value.length, 0)
      head.writeUInt8(name.length, 4)
      head.write(name, 5, 'latin1')
      return [head, value]
    }),
  )
}

/** The header of a chunk; length 0 ends the file. */
export function encodeChunk(length: number, offset: number): Buffer {
  const out = Buffer.alloc(CHUNK_HEADER_BYTES)
  out.writeUInt32LE(length, 0)
  out.writeBigUInt64LE(BigInt(offset), 8)
  return out
}

export const FILE_END = encodeChunk(0, 0)
export const STREAM_END = Buffer.concat([Buffer.from([KIND.end]), Buffer.alloc(HEADER_BYTES - 1)])

export type OpsEvent =
  | { readonly type: 'entry'; readonly entry: Entry }
  | { readonly type: 'data'; readonly offset: number; readonly bytes: Buffer }
  | { readonly type: 'file-end' }

/** A stream that does not follow the format: it came from something broken or hostile. */
export class MalformedOps extends Error {
  constructor(what: string) {
    super(`The operation stream is malformed: ${what}`)
    this.name = 'MalformedOps'
  }
}

type State = 'magic' | 'header' | 'chunk' | 'data' | 'end'

/** Takes a stream apart as its bytes arrive; holds at most one entry. */
export class OpsDecoder {
  #state: State = 'magic'
  #pending: Buffer = Buffer.alloc(0)
  #offset = 0
  #left = 0

  get ended(): boolean {
    return this.#state === 'end'
  }

  *push(bytes: Buffer): Generator<OpsEvent> {
    let rest = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes])
    this.#pending = Buffer.alloc(0)
    while (rest.length > 0 && this.#state !== 'end') {
      if (this.#state === 'data') {
        const part = rest.subarray(0, this.#left)
        yield { type: 'data', offset: this.#offset, bytes: part }
        this.#offset += part.length
        this.#left -= part.length
        if (this.#left === 0) this.#state = 'chunk'
        rest = rest.subarray(part.length)
        continue
      }
      const need = this.#need(rest)
      if (rest.length < need) {
        this.#pending = rest
        return
      }
      const event = this.#take(rest.subarray(0, need))
      if (event !== undefined) yield event
      rest = rest.subarray(need)
    }
  }

  /** Throws when the stream stopped before its end mark. */
  finish(): void {
    if (this.#state !== 'end') throw new MalformedOps('it stops before its end')
  }

  #need(rest: Buffer): number {
    if (this.#state === 'magic') return MAGIC.length
    if (this.#state === 'chunk') return CHUNK_HEADER_BYTES
    if (rest.length < HEADER_BYTES) return HEADER_BYTES
    const xattrs = rest.readUInt32LE(8)
    if (xattrs > XATTR_BYTES_MAX) throw new MalformedOps('extended attributes are too large')
    return HEADER_BYTES + rest.readUInt16LE(2) + rest.readUInt16LE(4) + xattrs
  }

  #take(bytes: Buffer): OpsEvent | undefined {
    if (this.#state === 'magic') {
      if (!bytes.equals(MAGIC)) throw new MalformedOps('it does not begin with DWO1')
      this.#state = 'header'
      return undefined
    }
    if (this.#state === 'chunk') return this.#takeChunk(bytes)
    const entry = decodeEntry(bytes)
    if (entry === undefined) {
      this.#state = 'end'
      return undefined
    }
    if (entry.kind === 'file') this.#state = 'chunk'
    this.#offset = 0
    return { type: 'entry', entry }
  }

  #takeChunk(bytes: Buffer): OpsEvent | undefined {
    const length = bytes.readUInt32LE(0)
    const offset = Number(bytes.readBigUInt64LE(8))
    if (length === 0) {
      this.#state = 'header'
      return { type: 'file-end' }
    }
    if (offset < this.#offset || length > CHUNK_BYTES_MAX || !Number.isSafeInteger(offset + length)) {
      throw new MalformedOps('chunks overlap')
    }
    this.#offset = offset
    this.#left = length
    this.#state = 'data'
    return undefined
  }
}

function decodeEntry(bytes: Buffer): Entry | undefined {
  const kind = NAMES.get(bytes.readUInt8(0))
  if (kind === undefined) throw new MalformedOps(`kind ${bytes.readUInt8(0)} is unknown`)
  if (kind === 'end') return undefined
  const pathEnd = HEADER_BYTES + bytes.readUInt16LE(2)
  const linkEnd = pathEnd + bytes.readUInt16LE(4)
  const size = Number(bytes.readBigUInt64LE(40))
  const device = kind === 'char' || kind === 'block'
  if (!Number.isSafeInteger(size)) throw new MalformedOps('a size is beyond 2^53')
  return {
    kind,
    flags: bytes.readUInt8(1),
    path: bytes.toString('latin1', HEADER_BYTES, pathEnd),
    link: bytes.toString('latin1', pathEnd, linkEnd),
    mode: bytes.readUInt32LE(12),
    uid: bytes.readUInt32LE(16),
    gid: bytes.readUInt32LE(20),
    mtime: { sec: Number(bytes.readBigInt64LE(32)), ns: bytes.readUInt32LE(24) },
    size: device ? 0 : size,
    major: bytes.readUInt32LE(28),
    minor: device ? size : 0,
    xattrs: withoutNobody(decodeXattrs(bytes.subarray(linkEnd))),
  }
}

function decodeXattrs(bytes: Buffer): (readonly [string, Buffer])[] {
  const found: (readonly [string, Buffer])[] = []
  for (let rest = bytes; rest.length > 0;) {
    if (rest.length < 5) throw new MalformedOps('an extended attribute is cut short')
    const nameEnd = 5 + rest.readUInt8(4)
    const end = nameEnd + rest.readUInt32LE(0)
    if (rest.length < end) throw new MalformedOps('an extended attribute is cut short')
    found.push([rest.toString('latin1', 5, nameEnd), Buffer.from(rest.subarray(nameEnd, end))])
    rest = rest.subarray(end)
  }
  return found
}

/** Events of a whole stream, whatever it is cut into. */
export async function* decodeOps(source: AsyncIterable<Buffer>): AsyncGenerator<OpsEvent> {
  const decoder = new OpsDecoder()
  for await (const bytes of source) yield* decoder.push(bytes)
  decoder.finish()
}
