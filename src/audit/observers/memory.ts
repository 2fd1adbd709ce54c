/** What determined root does with /proc/PID/mem. */
import { open, readFile } from 'node:fs/promises'
import type { Canary } from '../canary.ts'

export interface MemorySearch {
  /** `PID at ADDRESS (what is mapped there)`. */
  readonly hits: readonly { readonly canary: Canary; readonly where: string }[]
  readonly bytes: number
  /** Processes whose memory could be opened. */
  readonly processes: number
  readonly complete: boolean
}

const CHUNK = 1 << 22
const PAGE = 4096
/** Longer than any canary: pieces overlap by so much, so that a word across two is found. */
const OVERLAP = 64
/** Of one mapping: those of a sandbox or a VM are huge, and sparse. */
const MOST_OF_ONE = 2 ** 30
/** Pages of one process that cannot be read, before the rest of it is given up: who is searched could make millions. */
const MOST_UNREAD = 4096

export async function searchMemory(
  pids: readonly number[],
  canaries: readonly Canary[],
  signal: AbortSignal,
): Promise<MemorySearch> {
  const hits: { canary: Canary; where: string }[] = []
  let bytes = 0
  let processes = 0
  let whole = true
  for (const pid of pids) {
    if (signal.aborted) break
    const found = await searchProcess(pid, canaries, signal).catch(() => undefined)
    if (found === undefined) {
      whole &&= await hasEnded(pid)
      continue
    }
    processes += 1
    bytes += found.bytes
    hits.push(...found.hits.map(({ canary, where }) => ({ canary, where: `process ${pid} at ${where}` })))
    whole &&= found.whole
  }
  return { hits, bytes, processes, complete: whole && !signal.aborted }
}

/** It is gone, or has no memory any more and waits for its parent. */
async function hasEnded(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat === '' || /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
}

async function searchProcess(
  pid: number,
  canaries: readonly Canary[],
  signal: AbortSignal,
): Promise<RegionsSearch> {
  const regions = parseMaps(await readFile(`/proc/${pid}/maps`, 'utf8'))
  await using memory = await open(`/proc/${pid}/mem`, 'r')
  await using pages = await open(`/proc/${pid}/pagemap`, 'r')
  return await searchRegions(regions, canaries, {
    signal,
    async read(buffer, at) {
      const read = await memory.read(buffer, 0, buffer.length, at).catch(() => undefined)
      return read?.bytesRead
    },
    async isEmpty(at) {
      const entry = Buffer.alloc(8)
      const read = await pages.read(entry, 0, 8, (at / PAGE) * 8).catch(() => undefined)
      return read?.bytesRead === 8 && holdsNothing(entry.readBigUInt64LE())
    },
  })
}

const [PRESENT, SWAPPED, GUARD] = [1n << 63n, 1n << 62n, 1n << 58n]

/**
 * What no process can read, its own neither, for there is nothing (admin-guide/mm/pagemap.rst): a page that is neither in
 * memory nor swapped (past the end of its file, or no longer mapped), and one that guards a stack (MADV_GUARD_INSTALL; it
 * is told apart since Linux 6.15, and counts as not read before). Memory of a device, and memory that a process hides from
 * the kernel's copies (memfd_secret(2)), are there, though root cannot read them here.
 */
export function holdsNothing(entry: bigint): boolean {
  return (entry & GUARD) !== 0n || (entry & (PRESENT | SWAPPED)) === 0n
}

/** A process's memory, by addresses: below 2^47, so a number holds them. */
export interface Memory {
  /** Bytes that it read, up to a page that cannot be read; undefined when that is the first; 0 when all is gone. */
  readonly read: (buffer: Buffer, at: number) => Promise<number | undefined>
  /** Of a page that cannot be read. */
  readonly isEmpty: (at: number) => Promise<boolean>
  readonly signal: AbortSignal
}

export interface RegionsSearch extends Pick<MemorySearch, 'hits' | 'bytes'> {
  readonly whole: boolean
}

export async function searchRegions(
  regions: readonly Region[],
  canaries: readonly Canary[],
  { read, isEmpty, signal }: Memory,
): Promise<RegionsSearch> {
  const buffer = Buffer.allocUnsafe(CHUNK)
  const hits: { canary: Canary; where: string }[] = []
  let bytes = 0
  let unread = 0
  let whole = regions.every(({ cut }) => !cut)
  for (const region of regions) {
    const [start, end] = [Number(region.start), Number(region.end)]
    for (let at = start; at < end && !signal.aborted;) {
      const piece = buffer.subarray(0, Math.min(end - at, CHUNK))
      const got = await read(piece, at)
      if (got === 0) return { hits, bytes, whole }
      if (got === undefined) {
        const page = at - (at % PAGE)
        whole &&= await isEmpty(page)
        unread += 1
        if (unread >= MOST_UNREAD) return { hits, bytes, whole: false }
        at = page + PAGE
        continue
      }
      bytes += got
      for (const canary of canaries) {
        const offset = piece.subarray(0, got).indexOf(canary.bytes)
        if (offset >= 0) hits.push({ canary, where: `${(at + offset).toString(16)} (${region.what})` })
      }
      at += got === CHUNK ? CHUNK - OVERLAP : got
    }
  }
  return { hits, bytes, whole }
}

export interface Region {
  readonly start: bigint
  readonly end: bigint
  readonly what: string
  /** Its end is left out. */
  readonly cut: boolean
}

/** Readable mappings that hold data: anonymous, heap, stack, memory files; not programs, libraries and devices. */
export function parseMaps(text: string): readonly Region[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+)\s*(.*)$/.exec(line)
    if (match === null) return []
    const [, from = '0', to = '0', rights = '', inode = '0', path = ''] = match
    if (!rights.startsWith('r') || /^\[v/.test(path)) return []
    const memoryFile = /^\/(memfd:|dev\/shm|dev\/zero|anon_hugepage|SYSV)/.test(path)
    if (inode !== '0' && !memoryFile && !rights.includes('w')) return []
    const start = BigInt(`0x${from}`)
    const end = BigInt(`0x${to}`)
    const most = start + BigInt(MOST_OF_ONE)
    const what = path === '' ? 'anonymous' : path
    return [{ start, end: end < most ? end : most, what, cut: end > most }]
  })
}
