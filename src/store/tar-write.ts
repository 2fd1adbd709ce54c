/** Writes tar entries: ustar where the fields suffice, pax records where not. Names are byte strings (ops.ts). */
import type { TarEntry, TarKind } from './tar-header.ts'

const TYPES: Readonly<Record<TarKind, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  dir: '5',
  fifo: '6',
}
const SIZE_MAX = 0o77777777777
const ID_MAX = 0o7777777

/** The end of an archive: two blocks of zeros. */
export const TAR_END = Buffer.alloc(1024)

/** What a file of this size is followed by. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((512 - (size % 512)) % 512)
}

/** Times are cut to whole seconds, as Docker writes them: a pax block for each file would double small archives. */
export function encodeTarHeader(entry: TarEntry): Buffer {
  const name = entry.kind === 'dir' && !entry.name.endsWith('/') ? `${entry.name}/` : entry.name
  const records: Buffer[] = []
  const add = (key: string, value: string | Buffer): void => {
    records.push(paxRecord(key, typeof value === 'string' ? Buffer.from(value, 'latin1') : value))
  }
  if (name.length > 100) add('path', name)
  if (entry.link.length > 100) add('linkpath', entry.link)
  if (entry.size > SIZE_MAX) add('size', String(entry.size))
  if (entry.uid > ID_MAX) add('uid', String(entry.uid))
  if (entry.gid > ID_MAX) add('gid', String(entry.gid))
  if (entry.mtime.sec < 0 || entry.mtime.sec > SIZE_MAX) add('mtime', String(entry.mtime.sec))
  for (const [key, value] of entry.xattrs) add(`SCHILY.xattr.${key}`, value)
  const header = block({ ...entry, name }, TYPES[entry.kind], entry.kind === 'file' ? entry.size : 0)
  if (records.length === 0) return header
  const body = Buffer.concat(records)
  const pax = block(
    { ...entry, name: paxName(name), link: '', mode: 0o644, uid: 0, gid: 0 },
    'x',
    body.length,
  )
  return Buffer.concat([pax, body, tarPadding(body.length), header])
}

function paxName(name: string): string {
  return `PaxHeaders.0/${name.replace(/\/$/, '').split('/').at(-1) ?? ''}`.slice(0, 100)
}

/** The length counts itself: adding its digits can add a digit. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = key.length + value.length + 3
  let length = rest + String(rest).length
  length = rest + String(length).length
  return Buffer.concat([Buffer.from(`${length} ${key}=`, 'latin1'), value, Buffer.from('\n')])
}

function block(entry: TarEntry, type: string, size: number): Buffer {
  const out = Buffer.alloc(512)
  const octal = (value: number, at: number, length: number, max: number): void => {
    const fits = value >= 0 && value <= max ? value : 0
    out.write(fits.toString(8).padStart(length - 1, '0'), at, 'latin1')
  }
  out.write(entry.name.slice(0, 100), 0, 'latin1')
  octal(entry.mode & 0o7777, 100, 8, 0o7777)
  octal(entry.uid, 108, 8, ID_MAX)
  octal(entry.gid, 116, 8, ID_MAX)
  octal(size, 124, 12, SIZE_MAX)
  octal(entry.mtime.sec, 136, 12, SIZE_MAX)
  out.write(type, 156, 'latin1')
  out.write(entry.link.slice(0, 100), 157, 'latin1')
  out.write('ustar\x0000', 257, 'latin1')
  octal(entry.major, 329, 8, ID_MAX)
  octal(entry.minor, 337, 8, ID_MAX)
  out.fill(0x20, 148, 156)
  const sum = out.reduce((total, byte) => total + byte, 0)
  out.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return out
}
