/** Turns the operations that `pack` wrote into a tar archive. */
import { isKeptXattr } from './tar-to-ops.ts'
import type { Entry, OpsEvent } from './ops.ts'
import { OpsBatch } from './ops-batch.ts'
import type { TarEntry, TarKind } from './tar-header.ts'
import { encodeTarHeader, TAR_END, tarPadding } from './tar-write.ts'

export interface OpsToTarOptions {
  /**
   * `layer`: whiteouts and opaque folders become `.wh.` entries (a writable layer is packed); `tree`: there are none
   * (a merged view is packed), and a stray 0:0 device is a device.
   */
  readonly as: 'layer' | 'tree'
  /**
   * The name of what was packed; "" keeps names relative to it, which is what a whole root wants. With "." they begin
   * with "./", which the docker client replaces by the name of a new folder (`cp C:/d/. new`).
   */
  readonly root: string
  /** Sees every entry, e.g. to sum sizes. */
  readonly onEntry?: (entry: Entry) => void
  /** Whether the entry for the root itself is left out. */
  readonly omitRoot?: boolean
}

export async function* opsToTar(
  events: AsyncIterable<OpsEvent>,
  options: OpsToTarOptions,
): AsyncGenerator<Buffer> {
  const batch = new OpsBatch()
  const file = new FileBody()
  for await (const event of events) {
    if (event.type === 'entry') {
      options.onEntry?.(event.entry)
      for (const entry of tarEntries(event.entry, options)) yield* batch.add(encodeTarHeader(entry))
      file.start(event.entry.size ?? 0)
    } else if (event.type === 'data') {
      yield* file.write(event.offset, event.bytes, batch)
    } else {
      yield* file.finish(batch)
    }
  }
  yield* batch.add(TAR_END)
  yield* batch.flush()
}

const ZEROS = Buffer.alloc(64 * 1024)

/** Holes are written out: not every reader of tar knows sparse files. */
class FileBody {
  #size = 0
  #at = 0

  start(size: number): void {
    this.#size = size
    this.#at = 0
  }

  *write(offset: number, bytes: Buffer, batch: OpsBatch): Generator<Buffer> {
    yield* this.#zeros(Math.min(offset, this.#size), batch)
    // A file that grew while it was read: the header has promised less.
    const part = bytes.subarray(0, Math.max(0, this.#size - this.#at))
    this.#at += part.length
    yield* batch.add(part)
  }

  *finish(batch: OpsBatch): Generator<Buffer> {
    yield* this.#zeros(this.#size, batch)
    yield* batch.add(tarPadding(this.#size))
  }

  *#zeros(until: number, batch: OpsBatch): Generator<Buffer> {
    while (this.#at < until) {
      const part = ZEROS.subarray(0, until - this.#at)
      this.#at += part.length
      yield* batch.add(part)
    }
  }
}

const KINDS: ReadonlySet<string> = new Set(['file', 'hardlink', 'symlink', 'char', 'block', 'dir', 'fifo'])

function isTarKind(kind: string): kind is TarKind {
  return KINDS.has(kind)
}

function* tarEntries(entry: Entry, options: OpsToTarOptions): Generator<TarEntry> {
  if (entry.path === '.' && options.omitRoot === true) return
  const name = join(options.root, entry.path)
  if (entry.kind === 'whiteout' && options.as === 'layer') {
    const slash = name.lastIndexOf('/') + 1
    yield plain(entry, 'file', `${name.slice(0, slash)}.wh.${name.slice(slash)}`)
  } else if (entry.kind === 'whiteout') {
    yield plain(entry, 'char', name)
  } else if (entry.kind === 'opaque' && options.as === 'layer') {
    yield plain(entry, 'file', join(name, '.wh..wh..opq'))
  } else if (isTarKind(entry.kind)) {
    const target = entry.link ?? ''
    const link = entry.kind === 'hardlink' ? join(options.root, target) : target
    const xattrs = (entry.xattrs ?? []).filter(([key]) => isKeptXattr(key))
    const { size = 0, major = 0, minor = 0 } = entry
    yield { ...plain(entry, entry.kind, name), link, size, major, minor, xattrs }
  }
}

function plain(entry: Entry, kind: TarKind, name: string): TarEntry {
  const { mode, uid, gid, mtime } = entry
  return { kind, name, link: '', mode, uid, gid, mtime, size: 0, major: 0, minor: 0, xattrs: [] }
}

function join(root: string, path: string): string {
  if (path === '.') return root || '.'
  return root === '' || root === '/' ? `${root}${path}` : `${root}/${path}`
}
