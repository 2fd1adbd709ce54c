/**
 * What a step wrote, as a layer that is the same each time: entries in order of their names, whatever order the
 * filesystem lists them in, and no time of this build in it (docs/decisions/0085).
 */
import { open, rm, type FileHandle } from 'node:fs/promises'
import { findFolder } from '../../store/layers.ts'
import type { Entry, OpsEvent } from '../../store/ops.ts'
import { opsToTar } from '../../store/ops-to-tar.ts'
import { packFolder, type Sandbox } from '../../store/unpack.ts'
import { storageError } from '../../store/write-whole.ts'
import { insideEntry } from '../inside-ids.ts'
import type { IdRange } from '../spec-namespaces.ts'
import { byParts } from './tree.ts'

export interface LayerSource {
  readonly sandbox: Sandbox
  readonly upper: string
  /** Whose ids the files have; null: the host's own. */
  readonly range: IdRange | null
  /** The image's layers, topmost first. */
  readonly lower: readonly string[]
  /** What the engine made there for its mounts: a path beginning with "/", and whether it is empty. */
  readonly isDebris: (path: string, empty: boolean) => boolean
  /** A file for the contents on their way. */
  readonly spool: string
  readonly times: Times
}

/** Milliseconds. What was written from then until now is dated `to`. A date in the future is somebody's wish. */
export interface Times {
  readonly from: number
  readonly to: number
}

export interface Layer {
  readonly tar: AsyncIterable<Buffer>
  /** The latest time in it, milliseconds; complete at once. */
  readonly newest: number
}

/** Undefined when nothing was changed. */
export async function readLayer(source: LayerSource): Promise<(Layer & AsyncDisposable) | undefined> {
  const spool = new Spool(source.spool)
  try {
    const items = await collect(source, spool)
    if (items.length > 0) {
      const newest = Math.max(...items.map(({ entry }) => entry.mtime.sec * 1000))
      const tar = opsToTar(replay(items, spool), { as: 'layer', root: '', omitRoot: true })
      return { tar, newest, [Symbol.asyncDispose]: () => spool.close() }
    }
  } catch (error) {
    await spool.close()
    throw error
  }
  await spool.close()
  return undefined
}

/** The filesystem's clock may be a tick behind or before ours. */
export const CLOCK_SLACK_MS = 20

interface Item {
  readonly entry: Entry
  readonly chunks: readonly Chunk[]
}

interface Chunk {
  readonly offset: number
  readonly length: number
  readonly at: number
}

async function collect(source: LayerSource, spool: Spool): Promise<Item[]> {
  const items: { entry: Entry; chunks: Chunk[] }[] = []
  const until = Date.now() + CLOCK_SLACK_MS
  for await (const event of packFolder(source.sandbox, source.upper)) {
    if (event.type === 'entry') items.push({ entry: clean(event.entry, source, until), chunks: [] })
    else if (event.type === 'data')
      items.at(-1)?.chunks.push({
        offset: event.offset,
        length: event.bytes.length,
        at: await spool.write(event.bytes),
      })
  }
  const real = items.filter(({ entry }) => entry.kind !== 'times' && entry.path !== '.')
  const kept = await withoutDebris(real, source)
  return ownNames(kept.toSorted((a, b) => byParts(a.entry.path, b.entry.path)))
}

function clean(entry: Entry, { range, times }: LayerSource, until: number): Entry {
  const ms = entry.mtime.sec * 1000 + entry.mtime.ns / 1e6
  const sec = ms >= times.from && ms <= until ? Math.floor(times.to / 1000) : entry.mtime.sec
  return { ...insideEntry(entry, range), mtime: { sec, ns: 0 } }
}

/** A folder that only got a mount point of the engine's is not changed. */
async function withoutDebris(items: readonly Item[], source: LayerSource): Promise<Item[]> {
  const debris = new Set<string>()
  for (const { entry } of items) {
    const empty = entry.kind === 'dir' || (entry.kind === 'file' && (entry.size ?? 0) === 0)
    if (source.isDebris(`/${entry.path}`, empty)) debris.add(entry.path)
  }
  if (debris.size === 0) return [...items]
  const kept = items.filter(({ entry }) => !debris.has(entry.path))
  const parents = new Set([...debris].flatMap(parentsOf))
  const busy = new Set(
    kept.filter(({ entry }) => !parents.has(entry.path)).flatMap(({ entry }) => parentsOf(entry.path)),
  )
  const result: Item[] = []
  for (const item of kept) {
    const { path, kind } = item.entry
    const idle = kind === 'dir' && parents.has(path) && !busy.has(path)
    if (!idle || (await differs(item.entry, source.lower))) result.push(item)
  }
  return result
}

async function differs(entry: Entry, lower: readonly string[]): Promise<boolean> {
  const before = await findFolder(lower, entry.path)
  if (before === undefined) return false
  return (before.mode & 0o7777) !== entry.mode || before.uid !== entry.uid || before.gid !== entry.gid
}

function parentsOf(path: string): string[] {
  const parts = path.split('/')
  return parts.slice(1).map((_, n) => parts.slice(0, n + 1).join('/'))
}

/** Of a file's names the first is the file, wherever the filesystem listed it. */
function ownNames(items: readonly Item[]): Item[] {
  const files = new Map(
    items.filter(({ entry }) => entry.kind === 'file').map((item) => [item.entry.path, item]),
  )
  const first = new Map<Item, string>()
  return items.map((item) => {
    const { entry } = item
    const file = entry.kind === 'hardlink' ? files.get(entry.link ?? '') : files.get(entry.path)
    if (file === undefined || (entry.kind !== 'file' && entry.kind !== 'hardlink')) return item
    const name = first.get(file)
    if (name === undefined) {
      first.set(file, entry.path)
      return { entry: { ...file.entry, path: entry.path }, chunks: file.chunks }
    }
    return { entry: { ...file.entry, kind: 'hardlink', path: entry.path, link: name }, chunks: [] }
  })
}

async function* replay(items: readonly Item[], spool: Spool): AsyncGenerator<OpsEvent> {
  for (const { entry, chunks } of items) {
    yield { type: 'entry', entry }
    if (entry.kind !== 'file') continue
    for (const chunk of chunks) yield* spool.read(chunk)
    yield { type: 'file-end' }
  }
}

const PART = 256 * 1024

class Spool {
  readonly #path: string
  #file: FileHandle | undefined
  #size = 0

  constructor(path: string) {
    this.#path = path
  }

  /** Resolves with where it stands. */
  async write(bytes: Buffer): Promise<number> {
    const at = this.#size
    try {
      this.#file ??= await open(this.#path, 'wx+', 0o600)
      for (let rest = bytes; rest.length > 0;) {
        const { bytesWritten } = await this.#file.write(rest, 0, rest.length, this.#size)
        this.#size += bytesWritten
        rest = rest.subarray(bytesWritten)
      }
    } catch (error) {
      throw storageError('Keeping what a build step wrote', error)
    }
    return at
  }

  async *read({ offset, length, at }: Chunk): AsyncGenerator<OpsEvent> {
    for (let done = 0; done < length;) {
      const bytes = Buffer.alloc(Math.min(PART, length - done))
      const { bytesRead = 0 } = (await this.#file?.read(bytes, 0, bytes.length, at + done)) ?? {}
      if (bytesRead === 0) throw storageError('Reading what a build step wrote', new Error('it is cut short'))
      yield { type: 'data', offset: offset + done, bytes: bytes.subarray(0, bytesRead) }
      done += bytesRead
    }
  }

  async close(): Promise<void> {
    await this.#file?.close()
    if (this.#file !== undefined) await rm(this.#path, { force: true })
    this.#file = undefined
  }
}
