import { existsSync } from 'node:fs'
import { readFile, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DewarError } from '../../base/errors.ts'
import type { ElfDynamic } from './elf.ts'
import { readElf } from './elf.ts'

/**
 * The shared libraries that programs need, found as ld.so(8) finds them: RPATH or RUNPATH, /etc/ld.so.cache, the
 * standard folders. Not `ldd`: that runs the program's own loader, and musl systems have no cache to ask.
 */
export interface LibraryClosure {
  /** Absolute paths as the loader would open them (often symbolic links), each once, sorted. */
  readonly paths: readonly string[]
}

/** glibc's and musl's built-in folders; Debian's glibc puts those of its architecture first. */
const STANDARD_FOLDERS = ['/lib64', '/usr/lib64', '/lib', '/usr/lib', '/usr/local/lib']
const DEBIAN_TRIPLET: Readonly<Record<number, string>> = { 62: 'x86_64-linux-gnu', 183: 'aarch64-linux-gnu' }

interface Loaded {
  readonly path: string
  readonly elf: ElfDynamic
  /** RPATH folders of the object and of those that asked for it (RUNPATH is not inherited). */
  readonly inheritedRpath: readonly string[]
}

/** Throws not-found naming the library and who needs it, when one is not on this machine. */
export async function libraryClosure(programs: readonly string[]): Promise<LibraryClosure> {
  const cache = await readLoaderCache('/etc/ld.so.cache')
  const paths = new Set<string>()
  const seen = new Set<string>()
  const pending: Loaded[] = []
  for (const program of programs) await visit(program, [])
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const name of next.elf.needed) {
      const library = await resolveLibrary(name, next, cache)
      paths.add(library)
      await visit(library, next.inheritedRpath)
    }
  }
  return { paths: [...paths].sort() }

  async function visit(path: string, rpath: readonly string[]): Promise<void> {
    const real = await realpath(path)
    if (seen.has(real)) return
    seen.add(real)
    const elf = await readElf(real)
    if (elf === undefined) return
    if (elf.interpreter !== undefined) paths.add(elf.interpreter)
    const own = elf.runpath.length > 0 ? [] : elf.rpath.map((folder) => expand(folder, real))
    pending.push({ path: real, elf, inheritedRpath: [...own, ...rpath] })
  }
}

async function resolveLibrary(
  name: string,
  by: Loaded,
  cache: ReadonlyMap<string, readonly string[]>,
): Promise<string> {
  const candidates = name.includes('/')
    ? [name]
    : [
        ...(by.elf.runpath.length > 0 ? [] : by.inheritedRpath.map((folder) => join(folder, name))),
        ...by.elf.runpath.map((folder) => join(expand(folder, by.path), name)),
        ...(cache.get(name) ?? []),
        ...standardFolders(by.elf.machine).map((folder) => join(folder, name)),
      ]
  for (const candidate of candidates) {
    // The cache lists 32-bit twins too; ld.so passes over files of another machine, and so do we.
    if (existsSync(candidate) && (await readElf(candidate))?.machine === by.elf.machine) return candidate
  }
  throw new DewarError('not-found', `cannot find library ${name}, which ${by.path} needs`, {
    remedy: 'install it on the host, or pull an image instead',
  })
}

function standardFolders(machine: number): string[] {
  const triplet = DEBIAN_TRIPLET[machine]
  const multiarch = triplet === undefined ? [] : [`/lib/${triplet}`, `/usr/lib/${triplet}`]
  return [...multiarch, ...STANDARD_FOLDERS]
}

function expand(folder: string, path: string): string {
  return folder.replace(/\$(ORIGIN|\{ORIGIN\})/g, dirname(path)).replace(/\$(LIB|\{LIB\})/g, 'lib')
}

const CACHE_MAGIC = 'glibc-ld.so.cache1.1'
const CACHE_HEADER = 48
const CACHE_ENTRY = 24

/** soname → paths, in the cache's order. Empty when there is no cache (musl) or it is of the format before 2.2. */
export async function readLoaderCache(path: string): Promise<Map<string, string[]>> {
  const bytes = await readFile(path).catch(() => Buffer.alloc(0))
  return parseLoaderCache(bytes)
}

export function parseLoaderCache(bytes: Buffer): Map<string, string[]> {
  const found = new Map<string, string[]>()
  const start = bytes.indexOf(CACHE_MAGIC)
  if (start === -1 || bytes.length < start + CACHE_HEADER) return found
  const count = bytes.readUInt32LE(start + CACHE_MAGIC.length)
  for (let i = 0; i < count; i++) {
    const entry = start + CACHE_HEADER + i * CACHE_ENTRY
    if (entry + CACHE_ENTRY > bytes.length) break
    // Entries for newer processors (glibc-hwcaps) have twins that run everywhere.
    if (bytes.readBigUInt64LE(entry + 16) !== 0n) continue
    const name = cString(bytes, start + bytes.readUInt32LE(entry + 4))
    const file = cString(bytes, start + bytes.readUInt32LE(entry + 8))
    if (file.startsWith('/')) found.set(name, [...(found.get(name) ?? []), file])
  }
  return found
}

function cString(bytes: Buffer, start: number): string {
  const end = bytes.indexOf(0, start)
  return end === -1 ? '' : bytes.toString('utf8', start, end)
}
