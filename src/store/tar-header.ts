/** One tar header block, with what pax and GNU blocks before it said, as a typed entry. Names are byte strings. */
import { DewarError } from '../base/errors.ts'
import type { Mtime } from './ops.ts'
import type { Pax } from './tar-pax.ts'

export type TarKind = 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'dir' | 'fifo'

export interface TarEntry {
  readonly kind: TarKind
  readonly name: string
  readonly link: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly mtime: Mtime
  /** Bytes once unpacked; more than what the archive carries when the file is sparse. */
  readonly size: number
  readonly major: number
  readonly minor: number
  readonly xattrs: readonly (readonly [name: string, value: Buffer])[]
}

const BLOCK = 512
const KINDS: Readonly<Record<string, TarKind>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'dir',
  '6': 'fifo',
}

export function kindOf(type: string): TarKind {
  const kind = KINDS[type]
  if (kind === undefined) throw tarError(`entries of type ${JSON.stringify(type)} are unknown`)
  return kind
}

export function tarError(what: string): DewarError {
  return new DewarError('invalid-argument', `Reading the tar archive failed: ${what}`, {
    remedy: 'the archive is damaged or not a tar archive',
  })
}

export function describe(
  block: Buffer,
  kind: TarKind,
  pax: Pax,
  long: { readonly name: string | undefined; readonly link: string | undefined },
): TarEntry {
  const text = (key: string): string | undefined => pax.get(key)?.toString('latin1')
  const ustar = block.toString('latin1', 257, 262) === 'ustar' && block[262] === 0
  const prefix = ustar ? untilZero(block.subarray(345, 500)) : ''
  const short = untilZero(block.subarray(0, 100))
  const plain = prefix === '' ? short : `${prefix}/${short}`
  const name = text('GNU.sparse.name') ?? text('path') ?? long.name ?? plain
  const carried = kind === 'file' ? (paxInteger(pax, 'size') ?? number(block, 124, 12, 'size')) : 0
  // Old archivers mark folders by a trailing slash (POSIX.1-1988); so does Go, hence Docker.
  const real = kind === 'file' && name.endsWith('/') ? 'dir' : kind
  return {
    kind: real,
    name,
    link: text('linkpath') ?? long.link ?? untilZero(block.subarray(157, 257)),
    mode: number(block, 100, 8, 'mode') & 0o7777,
    uid: paxInteger(pax, 'uid') ?? number(block, 108, 8, 'uid'),
    gid: paxInteger(pax, 'gid') ?? number(block, 116, 8, 'gid'),
    mtime: paxTime(text('mtime')) ?? { sec: number(block, 136, 12, 'mtime', true), ns: 0 },
    size: carried,
    major: kind === 'char' || kind === 'block' ? number(block, 329, 8, 'device number') : 0,
    minor: kind === 'char' || kind === 'block' ? number(block, 337, 8, 'device number') : 0,
    xattrs: xattrsOf(pax),
  }
}

export function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK
}

export function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0)
}

export function untilZero(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end)
}

/** The sum of all bytes with the field itself as blanks; some old archivers summed signed bytes. */
export function checksumFits(block: Buffer): boolean {
  let unsigned = 8 * 32
  let signed = 8 * 32
  for (let i = 0; i < BLOCK; i += 1) {
    if (i >= 148 && i < 156) continue
    const byte = block[i] ?? 0
    unsigned += byte
    signed += byte > 127 ? byte - 256 : byte
  }
  const text = untilZero(block.subarray(148, 156)).trim()
  const told = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : -1
  return told === unsigned || told === signed
}

/** Octal text, or big-endian binary when the top bit is set (GNU base-256). */
export function number(block: Buffer, at: number, length: number, what: string, negative = false): number {
  const first = block[at] ?? 0
  if ((first & 0x80) !== 0) {
    const isNegative = (first & 0x40) !== 0
    let value = BigInt(first & 0x3f)
    for (let i = 1; i < length; i += 1) value = (value << 8n) | BigInt(block[at + i] ?? 0)
    if (isNegative) value -= 1n << BigInt(8 * length - 2)
    const found = Number(value)
    if (!Number.isSafeInteger(found) || (found < 0 && !negative))
      throw tarError(`its ${what} is out of range`)
    return found
  }
  const text = untilZero(block.subarray(at, at + length)).trim()
  if (text === '') return 0
  if (!/^[0-7]+$/.test(text)) throw tarError(`its ${what} is not a number`)
  return Number.parseInt(text, 8)
}

function paxInteger(pax: Pax, key: string): number | undefined {
  const text = pax.get(key)?.toString('latin1')
  if (text === undefined || text === '') return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw tarError(`its ${key} is out of range`)
  return value
}

function paxTime(text: string | undefined): Mtime | undefined {
  if (text === undefined || text === '') return undefined
  const parts = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text)
  if (parts === null) throw tarError('its mtime is not a number')
  const whole = Number(parts[2])
  const ns = Number((parts[3] ?? '').slice(0, 9).padEnd(9, '0'))
  if (parts[1] === '') return { sec: whole, ns }
  return ns === 0 ? { sec: -whole, ns } : { sec: -whole - 1, ns: 1_000_000_000 - ns }
}

const XATTR = 'SCHILY.xattr.'
function xattrsOf(pax: Pax): (readonly [string, Buffer])[] {
  return [...pax].flatMap(([key, value]) =>
    key.startsWith(XATTR) ? [[key.slice(XATTR.length), value] as const] : [],
  )
}
