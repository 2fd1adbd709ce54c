/**
 * Turns a tar archive into operations for the native side. Pure: it reads nothing and touches nothing.
 *
 * The enemy wrote the archive. Here it is refused with words; what slips through is contained by the native side,
 * which resolves every name inside the target and runs in a namespace where nothing else exists (unpack-plan.ts).
 * NOT checked here: symlink targets. A link may point anywhere, it is followed only inside a container's root.
 */
import { DewarError } from '../base/errors.ts'
import {
  bytesOf,
  encodeEntry,
  FILE_END,
  FLAG,
  MAGIC,
  PATH_BYTES_MAX,
  STREAM_END,
  textOf,
  XATTR_BYTES_MAX,
} from './ops.ts'
import { DefaultAcls } from './default-acls.ts'
import { entryBelow } from './entry-below.ts'
import type { Entry, Mtime } from './ops.ts'
import { OpsBatch } from './ops-batch.ts'
import { placeData } from './place-data.ts'
import { TarReader } from './tar-read.ts'
import type { TarEvent } from './tar-read.ts'
import type { TarEntry } from './tar-header.ts'
import { DEFAULT_LIMITS, UnpackCount, type UnpackLimits } from './unpack-limits.ts'

export interface TarToOpsOptions {
  /** Whether `.wh.` names and 0:0 devices are whiteouts, as in a layer, or files like any other (`docker cp`). */
  readonly layer: boolean
  readonly limits?: UnpackLimits
  /** Never put a directory in the place of something else, nor the reverse. */
  readonly keepType?: boolean
  /** Everything belongs to this owner, whatever the archive says. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** The folder everything goes into: a byte string without a leading slash. Its symlinks are resolved in the root. */
  readonly below?: string
}

/** What an archive turned out to hold; complete once the conversion has ended. */
export interface TarSummary {
  entries: number
  /** Bytes of all files, holes included, and of symlinks: what Docker calls the size of a layer. */
  bytes: number
  /** Parents that no entry of the archive describes; they were made as 0755 root. */
  readonly implicit: Set<string>
  /** The root itself is opaque: nothing of the layers below is to be seen. */
  opaqueRoot: boolean
}

export function emptySummary(): TarSummary {
  return { entries: 0, bytes: 0, implicit: new Set(), opaqueRoot: false }
}

export async function* tarToOps(
  source: AsyncIterable<Buffer>,
  options: TarToOpsOptions,
  summary: TarSummary = emptySummary(),
): AsyncGenerator<Buffer> {
  const reader = new TarReader()
  const counted = new UnpackCount(options.limits ?? DEFAULT_LIMITS)
  const translation = new Translation(options, summary, counted)
  const batch = new OpsBatch()
  yield* batch.add(MAGIC)
  for await (const bytes of source) {
    counted.read(bytes.length)
    for (const event of reader.push(bytes)) yield* translation.take(event, batch)
  }
  reader.finish()
  yield* translation.finish(batch)
  yield* batch.add(STREAM_END)
  yield* batch.flush()
}

const NO_TIME: Mtime = { sec: 0, ns: 0 }
const NO_ATTRIBUTES = { mode: 0, uid: 0, gid: 0, mtime: NO_TIME }

class Translation {
  readonly #options: TarToOpsOptions
  readonly #counted: UnpackCount
  readonly #summary: TarSummary
  /** Names that can be walked through: folders, and symlinks, whose targets the native side resolves. */
  #known = new Set<string>(['.'])
  /** Folders' times are set at the end: every file made in a folder changes them. */
  readonly #times = new Map<string, Mtime>()
  readonly #defaultAcls = new DefaultAcls()
  /** Whether the data that follows is for an entry that was left out. */
  #skipping = false

  constructor(options: TarToOpsOptions, summary: TarSummary, counted: UnpackCount) {
    this.#options = options
    this.#counted = counted
    this.#summary = summary
  }

  *take(event: TarEvent, batch: OpsBatch): Generator<Buffer> {
    if (event.type === 'entry') {
      this.#count(event.entry)
      for (const entry of this.#translate(event.entry)) yield* this.#add(entry, batch)
      return
    }
    if (this.#skipping) return
    if (event.type === 'file-end') yield* batch.add(FILE_END)
    else yield* placeData(event.offset, event.bytes, batch)
  }

  *finish(batch: OpsBatch): Generator<Buffer> {
    for (const [path, mtime] of this.#times) {
      yield* this.#add({ kind: 'times', path, ...NO_ATTRIBUTES, mtime }, batch)
    }
  }

  *#add(entry: Entry, batch: OpsBatch): Generator<Buffer> {
    for (const each of this.#defaultAcls.take(entry))
      yield* batch.add(encodeEntry(entryBelow(this.#options.below ?? '', each)))
    this.#counted.acls(this.#defaultAcls.bytes)
  }

  #count(entry: TarEntry): void {
    this.#summary.entries += 1
    this.#counted.entry(entry)
    this.#summary.bytes = this.#counted.bytes
  }

  /** Counted again after `#replaced`: others of the places that keep it may still do so. */
  #know(path: string): void {
    this.#known.add(path)
    this.#counted.name(path)
  }

  *#translate(entry: TarEntry): Generator<Entry> {
    const path = cleanPath(entry.name)
    const slash = path.lastIndexOf('/')
    const base = path.slice(slash + 1)
    this.#skipping = entry.kind === 'file'
    if (
      this.#options.layer &&
      path.split('/').some((part) => part.startsWith('.wh..wh.') && part !== OPAQUE_NAME)
    ) {
      return // AUFS's own notes; Docker leaves them out too
    }
    const parent = slash < 0 ? '.' : path.slice(0, slash)
    yield* this.#parents(parent)
    if (this.#options.layer && base.startsWith('.wh.')) {
      yield this.#whiteout(entry.name, parent, base)
      return
    }
    if (this.#options.layer && entry.kind === 'char' && entry.major === 0 && entry.minor === 0) {
      yield { kind: 'whiteout', path, ...NO_ATTRIBUTES }
      return
    }
    this.#skipping = false
    yield this.#plain(entry, path)
  }

  #plain(entry: TarEntry, path: string): Entry {
    if (path === '.' && entry.kind !== 'dir') throw refused(entry.name, 'only a directory can be the root')
    if (entry.kind === 'dir') {
      this.#know(path)
      this.#times.set(path, entry.mtime)
      this.#summary.implicit.delete(path)
    } else {
      this.#replaced(path)
      if (entry.kind === 'symlink') this.#know(path)
    }
    return {
      kind: entry.kind,
      path,
      ...linkOf(entry),
      ...ownerOf(entry, this.#options),
      mode: entry.mode,
      mtime: entry.mtime,
      size: entry.size,
      ...deviceOf(entry),
      xattrs: xattrsOf(entry),
      flags: this.#options.keepType === true ? FLAG.keepType : 0,
    }
  }

  /** What was a folder or a link is something else now: what we know of names below it is void. */
  #replaced(path: string): void {
    this.#times.delete(path)
    this.#summary.implicit.delete(path)
    // All of it, not only what lies below: looking for that would be quadratic for an archive that does it often.
    if (this.#known.delete(path)) this.#known = new Set(['.'])
  }

  *#parents(path: string): Generator<Entry> {
    if (this.#known.has(path)) return
    const slash = path.lastIndexOf('/')
    if (slash > 0) yield* this.#parents(path.slice(0, slash))
    this.#counted.parent()
    this.#know(path)
    if (!this.#times.has(path)) this.#summary.implicit.add(path)
    yield { kind: 'dir', path, ...NO_ATTRIBUTES, mode: 0o755, flags: FLAG.implicit }
  }

  #whiteout(name: string, parent: string, base: string): Entry {
    if (base === OPAQUE_NAME) {
      if (parent === '.') this.#summary.opaqueRoot = true
      return { kind: 'opaque', path: parent, ...NO_ATTRIBUTES }
    }
    const hidden = base.slice('.wh.'.length)
    if (hidden === '' || hidden === '.' || hidden === '..') {
      throw refused(name, 'a whiteout cannot hide the folder it lies in or one above')
    }
    return { kind: 'whiteout', path: parent === '.' ? hidden : `${parent}/${hidden}`, ...NO_ATTRIBUTES }
  }
}

const OPAQUE_NAME = '.wh..wh..opq'

/** Lexically clean and relative; absolute names are meant inside the target, as for GNU tar and Docker. */
export function cleanPath(name: string): string {
  const parts: string[] = []
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue
    if (part.length > 255) throw refused(name, 'a part of the name is longer than 255 bytes')
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) throw refused(name, 'the name leads out of the archive')
  }
  const path = parts.length === 0 ? '.' : parts.join('/')
  if (path.length > PATH_BYTES_MAX) throw refused(name, `the name is longer than ${PATH_BYTES_MAX} bytes`)
  return path
}

function linkOf(entry: TarEntry): { readonly link?: string } {
  if (entry.kind !== 'symlink' && entry.kind !== 'hardlink') return {}
  if (entry.link === '') throw refused(entry.name, 'its link has no target')
  if (entry.link.length > PATH_BYTES_MAX) throw refused(entry.name, 'its link target is too long')
  if (entry.kind === 'symlink') return { link: entry.link }
  const link = cleanPath(entry.link)
  if (link === '.' || link === cleanPath(entry.name)) throw refused(entry.name, 'it is a hard link to itself')
  return { link }
}

const ID_MAX = 0xffff_fffe
function ownerOf(entry: TarEntry, options: TarToOpsOptions): { readonly uid: number; readonly gid: number } {
  if (options.owner !== undefined) return options.owner
  if (entry.uid > ID_MAX || entry.gid > ID_MAX) throw refused(entry.name, 'its owner is out of range')
  return { uid: entry.uid, gid: entry.gid }
}

/** Linux has 12 bits of major and 20 of minor numbers. */
function deviceOf(entry: TarEntry): { readonly major?: number; readonly minor?: number } {
  if (entry.kind !== 'char' && entry.kind !== 'block') return {}
  if (entry.major > 0xfff || entry.minor > 0xf_ffff)
    throw refused(entry.name, 'its device number is out of range')
  return { major: entry.major, minor: entry.minor }
}

/**
 * Capabilities, ACLs and user attributes are kept. Others are the host's to set: `trusted.overlay.*` would let a
 * layer redirect folders, labels of SELinux and IMA belong to the machine the image was built on.
 */
function xattrsOf(entry: TarEntry): readonly (readonly [string, Buffer])[] {
  const kept = entry.xattrs.filter(([name]) => isKeptXattr(name))
  if (kept.length === 0) return kept
  const bytes = kept.reduce((sum, [name, value]) => sum + 5 + name.length + value.length, 0)
  if (bytes > XATTR_BYTES_MAX || kept.some(([name, value]) => name.length > 255 || value.length > 65_536)) {
    throw refused(entry.name, 'its extended attributes are too large')
  }
  return entry.kind === 'file' || entry.kind === 'dir' ? kept : []
}

export function isKeptXattr(name: string): boolean {
  if (name.includes('\0')) return false
  if (name === 'security.capability' || name.startsWith('system.posix_acl_')) return true
  return name.startsWith('user.') && name.length > 'user.'.length && !name.startsWith('user.overlay.')
}

function refused(name: string, why: string): DewarError {
  const shown = JSON.stringify(textOf(name.length > 200 ? `${name.slice(0, 200)}${bytesOf('…')}` : name))
  return new DewarError('invalid-argument', `Unpacking ${shown} was refused: ${why}`, {
    remedy: 'the archive is hostile or damaged; nothing of it was kept',
  })
}
