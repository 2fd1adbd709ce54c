import { DewarError } from '../../base/errors.ts'
import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'

/** What the dynamic loader would read from a program or library before it looks for others (elf(5), ld.so(8)). */
export interface ElfDynamic {
  /** e_machine: 62 is x86-64, 183 is arm64. */
  readonly machine: number
  /** PT_INTERP, the loader itself; absent from libraries and static programs. */
  readonly interpreter: string | undefined
  readonly needed: readonly string[]
  /** Folders as written, `$ORIGIN` and all. */
  readonly rpath: readonly string[]
  readonly runpath: readonly string[]
}

interface Segment {
  readonly type: number
  readonly offset: number
  readonly address: number
  readonly size: number
}

const PT_LOAD = 1
const PT_DYNAMIC = 2
const PT_INTERP = 3
const DT_NEEDED = 1
const DT_STRTAB = 5
const DT_STRSZ = 10
const DT_RPATH = 15
const DT_RUNPATH = 29

/** A table longer than this is not one that a linker wrote. */
const MAX_TABLE = 16 * 1024 * 1024

/**
 * Reads the dynamic section of a 64-bit little-endian ELF file; only headers and tables are read, not the code.
 * Undefined when the file is something else (a script, say). Throws invalid-argument when it is damaged.
 */
export async function readElf(path: string): Promise<ElfDynamic | undefined> {
  await using file = await open(path)
  const header = Buffer.alloc(64)
  const { bytesRead } = await file.read(header, 0, 64, 0)
  if (bytesRead < 64 || header.readUInt32BE(0) !== 0x7f454c46) return undefined
  if (header[4] !== 2 || header[5] !== 1) return undefined
  const segments = await readSegments(file, header, path)
  return { machine: header.readUInt16LE(18), ...(await readDynamic(file, segments, path)) }
}

async function readSegments(file: FileHandle, header: Buffer, path: string): Promise<Segment[]> {
  const size = header.readUInt16LE(54)
  const count = header.readUInt16LE(56)
  if (count > 0 && size < 56) throw damaged(path, `program headers of ${size} bytes`)
  const table = await readAt(file, Number(header.readBigUInt64LE(32)), size * count, path)
  return Array.from({ length: count }, (_, i) => ({
    type: table.readUInt32LE(i * size),
    offset: Number(table.readBigUInt64LE(i * size + 8)),
    address: Number(table.readBigUInt64LE(i * size + 16)),
    size: Number(table.readBigUInt64LE(i * size + 32)),
  }))
}

async function readDynamic(
  file: FileHandle,
  segments: readonly Segment[],
  path: string,
): Promise<Omit<ElfDynamic, 'machine'>> {
  const interpreter = segments.find((segment) => segment.type === PT_INTERP)
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC)
  const entries =
    dynamic === undefined ? [] : parseEntries(await readAt(file, dynamic.offset, dynamic.size, path))
  const value = (tag: number): number => entries.find((entry) => entry.tag === tag)?.value ?? 0
  const strings = await readAt(file, fileOffset(segments, value(DT_STRTAB)), value(DT_STRSZ), path)
  const named = (tag: number): string[] =>
    entries.filter((entry) => entry.tag === tag).map((entry) => cString(strings, entry.value))
  const folders = (tag: number): string[] => named(tag).flatMap((list) => list.split(':').filter(Boolean))
  return {
    interpreter: interpreter && cString(await readAt(file, interpreter.offset, interpreter.size, path), 0),
    needed: named(DT_NEEDED),
    rpath: folders(DT_RPATH),
    runpath: folders(DT_RUNPATH),
  }
}

function parseEntries(table: Buffer): { tag: number; value: number }[] {
  return Array.from({ length: Math.floor(table.length / 16) }, (_, i) => ({
    tag: Number(table.readBigInt64LE(i * 16)),
    value: Number(table.readBigUInt64LE(i * 16 + 8)),
  }))
}

/** The dynamic section gives memory addresses; the segment that holds one says where it is in the file. */
function fileOffset(segments: readonly Segment[], address: number): number {
  const home = segments.find(
    ({ type, address: start, size }) => type === PT_LOAD && address >= start && address < start + size,
  )
  return home === undefined ? 0 : address - home.address + home.offset
}

function cString(bytes: Buffer, start: number): string {
  const end = bytes.indexOf(0, start)
  return bytes.toString('utf8', start, end === -1 ? bytes.length : end)
}

async function readAt(file: FileHandle, offset: number, length: number, path: string): Promise<Buffer> {
  if (length > MAX_TABLE || !Number.isSafeInteger(offset)) throw damaged(path, `a table of ${length} bytes`)
  const bytes = Buffer.alloc(length)
  const { bytesRead } = await file.read(bytes, 0, length, offset)
  if (bytesRead !== length) throw damaged(path, `it ends before byte ${offset + length}`)
  return bytes
}

function damaged(path: string, detail: string): DewarError {
  return new DewarError('invalid-argument', `cannot read ELF file ${path}: ${detail}`)
}
