/** What `find` and `grep -ra` do, for everyday root; the auditor's own traces are left out. */
import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Canary } from '../canary.ts'
import type { Journal } from '../journal.ts'

export interface NameSearch {
  readonly hits: readonly { readonly name: string; readonly path: string }[]
  readonly folders: number
  /** False when the signal came first. */
  readonly complete: boolean
}

const NOT_FILES = new Set(['/proc', '/sys', '/dev/pts'])
const AT_ONCE = 16

/** `find ROOT -name A -o -name B`, without /proc and /sys, where each process's root shows the same files again. */
export async function findNames(
  root: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<NameSearch> {
  const wanted = new Set(names)
  const hits: { name: string; path: string }[] = []
  let folders = 0
  const complete = await walk(root, signal, (folder, entries) => {
    folders += 1
    for (const { name } of entries) if (wanted.has(name)) hits.push({ name, path: join(folder, name) })
  })
  return { hits, folders, complete }
}

export async function findEach(
  roots: readonly string[],
  names: readonly string[],
  signal: AbortSignal,
): Promise<NameSearch> {
  const all = await Promise.all(roots.map((root) => findNames(root, names, signal)))
  return {
    hits: all.flatMap(({ hits }) => hits),
    folders: all.reduce((sum, { folders }) => sum + folders, 0),
    complete: all.every(({ complete }) => complete),
  }
}

interface WalkEntry {
  readonly name: string
  isDirectory(): boolean
  isFile(): boolean
}

/** Every folder once; links are not followed. Folders that vanish are left out. True when it came to its end. */
export async function walk(
  root: string,
  signal: AbortSignal,
  visit: (folder: string, entries: readonly WalkEntry[]) => void | Promise<void>,
): Promise<boolean> {
  const queue = [root]
  let busy = 0
  const worker = async (): Promise<void> => {
    for (;;) {
      const folder = queue.pop()
      if (signal.aborted || (folder === undefined && busy === 0)) return
      if (folder === undefined) {
        await new Promise((resolve) => setImmediate(resolve))
        continue
      }
      busy += 1
      const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
      for (const entry of entries) {
        const path = join(folder, entry.name)
        if (entry.isDirectory() && !NOT_FILES.has(path)) queue.push(path)
      }
      await visit(folder, entries)
      busy -= 1
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return !signal.aborted
}

export interface ContentSearch {
  /** Which canary stands in which file. */
  readonly hits: readonly { readonly canary: Canary; readonly path: string }[]
  readonly files: number
  readonly bytes: number
  readonly complete: boolean
}

const CHUNK = 1 << 20
/** A file is read that far: a disk image of many gigabytes would take the whole audit's time. */
const MOST_BYTES = 2 ** 31

/** `grep -raF` for several words at once. */
export async function searchContents(
  roots: readonly string[],
  canaries: readonly Canary[],
  signal: AbortSignal,
): Promise<ContentSearch> {
  const hits: { canary: Canary; path: string }[] = []
  let files = 0
  let bytes = 0
  let complete = true
  const look = async (path: string): Promise<void> => {
    const found = await searchFile(path, canaries).catch(() => undefined)
    if (found === undefined) return
    files += 1
    bytes += found.bytes
    // Of one that is longer the end was not read.
    if (found.bytes >= MOST_BYTES) complete = false
    for (const canary of found.canaries) hits.push({ canary, path })
  }
  for (const root of roots) {
    // A root may be a file too.
    if (!(await stat(root)).isDirectory()) {
      await look(root)
      continue
    }
    complete &&= await walk(root, signal, async (folder, entries) => {
      for (const entry of entries) {
        if (!entry.isFile() || signal.aborted) continue
        await look(join(folder, entry.name))
      }
    })
  }
  return { hits, files, bytes, complete }
}

export async function searchFile(
  path: string,
  canaries: readonly Canary[],
): Promise<{ readonly canaries: readonly Canary[]; readonly bytes: number }> {
  await using file = await open(path, 'r')
  const overlap = Math.max(...canaries.map((canary) => canary.bytes.length)) - 1
  const buffer = Buffer.allocUnsafe(CHUNK + overlap)
  const found = new Set<Canary>()
  let kept = 0
  let at = 0
  while (at < MOST_BYTES) {
    const { bytesRead } = await file.read(buffer, kept, CHUNK, null)
    if (bytesRead === 0) break
    at += bytesRead
    const part = buffer.subarray(0, kept + bytesRead)
    for (const canary of canaries) if (part.includes(canary.bytes)) found.add(canary)
    kept = Math.min(overlap, part.length)
    part.copy(buffer, 0, part.length - kept)
  }
  return { canaries: [...found], bytes: at }
}

/** A file of the auditor's own that a search must find, or it proves nothing. */
export function controlFile(journal: Journal): Disposable & {
  readonly name: string
  readonly path: string
  readonly content: Canary
} {
  const name = `control-${randomBytes(8).toString('hex')}`
  const path = join(journal.folder, name)
  const text = randomBytes(16).toString('hex')
  writeFileSync(path, text, { mode: 0o600 })
  return {
    name,
    path,
    content: { asset: 'control', text, bytes: Buffer.from(text) },
    [Symbol.dispose]: () => rmSync(path, { force: true }),
  }
}
