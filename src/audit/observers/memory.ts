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
/** Of one mapping: those of a sandbox or a VM are huge, and sparse. */
const MOST_OF_ONE = 2 ** 30

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
    if (found === undefined) continue
    processes += 1
    bytes += found.bytes
    hits.push(...found.hits)
    whole &&= found.whole
  }
  return { hits, bytes, processes, complete: whole && !signal.aborted }
}

async function searchProcess(
  pid: number,
  canaries: readonly Canary[],
  signal: AbortSignal,
): Promise<Pick<MemorySearch, 'hits' | 'bytes'> & { readonly whole: boolean }> {
  const regions = parseMaps(await readFile(`/proc/${pid}/maps`, 'utf8'))
  await using memory = await open(`/proc/${pid}/mem`, 'r')
  const buffer = Buffer.allocUnsafe(CHUNK)
  const hits: { canary: Canary; where: string }[] = []
  let bytes = 0
  for (const { start, end, what } of regions) {
    // Pieces overlap, so that a word across two is found.
    for (let at = start; at < end && !signal.aborted; at += BigInt(CHUNK - 64)) {
      // Addresses of processes are below 2^47, so a number holds them.
      const wanted = Number(end - at < BigInt(CHUNK) ? end - at : BigInt(CHUNK))
      const read = await memory.read(buffer, 0, wanted, Number(at)).catch(() => undefined)
      // A page that cannot be read is not the end of what can.
      if (read === undefined || read.bytesRead === 0) continue
      bytes += read.bytesRead
      const part = buffer.subarray(0, read.bytesRead)
      for (const canary of canaries) {
        const offset = part.indexOf(canary.bytes)
        if (offset < 0) continue
        const address = (at + BigInt(offset)).toString(16)
        hits.push({ canary, where: `process ${pid} at ${address} (${what})` })
      }
    }
  }
  return { hits, bytes, whole: regions.every(({ cut }) => !cut) }
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
