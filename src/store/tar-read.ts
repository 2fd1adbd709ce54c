/**
 * Reads tar as it arrives: ustar, GNU (long names, base-256 numbers, old sparse) and pax (records, global records,
 * xattrs, sparse 0.0, 0.1 and 1.0). Names are byte strings (see ops.ts).
 *
 * Own code, not the tar-stream package: that one gathers long-name and pax blocks of any size in memory (an
 * archive decides how much), knows no sparse files and makes a stream per entry. Docs: docs/decisions.
 */
import { checksumFits, describe, isZero, kindOf, number, padding, tarError, untilZero } from './tar-header.ts'
import type { TarEntry } from './tar-header.ts'
import { parsePax } from './tar-pax.ts'
import type { Pax } from './tar-pax.ts'
import {
  oldSparseMap,
  paxSparseMap,
  readOldSparseBlock,
  readSparseText,
  sparseProblem,
  SparseCursor,
} from './tar-sparse.ts'
import type { SparseRange } from './tar-sparse.ts'

export type TarEvent =
  | { readonly type: 'entry'; readonly entry: TarEntry }
  /** Ascending; gaps are holes. */
  | { readonly type: 'data'; readonly offset: number; readonly bytes: Buffer }
  | { readonly type: 'file-end' }

const BLOCK = 512
/** Long names, pax records and sparse maps are gathered before they are read; Linux paths end at 4 KiB, xattrs at 64 KiB each. */
const META_BYTES_MAX = 1024 * 1024
/** What holds for all entries that follow is looked through for each of them; git writes 52 bytes. */
const GLOBAL_BYTES_MAX = 64 * 1024
type State = 'header' | 'meta' | 'old-sparse' | 'sparse-text' | 'data' | 'padding' | 'skip' | 'end'

export class TarReader {
  #state: State = 'header'
  #pending: Buffer[] = []
  #pendingBytes = 0
  #zeroBlocks = 0
  /** Bytes still to come in this state, and the padding after them. */
  #left = 0
  #padding = 0
  #metaKind = ''
  #global: Pax = new Map()
  #local: Pax = new Map()
  #longName: string | undefined
  #longLink: string | undefined
  #entry: TarEntry | undefined
  #sparse: SparseRange[] | undefined
  #cursor: SparseCursor | undefined
  #entries = 0
  #sparseInput: Buffer[] = []

  /**
   * Throws when the archive stopped inside an entry. A missing end mark is fine, as for GNU tar and Docker, and so is
   * the padding of the last entry: the docker client leaves it out when it adds a Dockerfile to a context.
   */
  finish(): void {
    if (this.#state === 'end') return
    const between = this.#state === 'header' || this.#state === 'padding'
    if (!between || this.#pendingBytes > 0) throw tarError('unexpected end of archive')
    if (this.#longName !== undefined || this.#local.size > 0) throw tarError('unexpected end of archive')
  }

  *push(bytes: Buffer): Generator<TarEvent> {
    let rest = bytes
    while (rest.length > 0 && this.#state !== 'end') {
      if (this.#state === 'data') {
        const part = rest.subarray(0, this.#left)
        rest = rest.subarray(part.length)
        this.#left -= part.length
        yield* this.#cursor?.place(part) ?? []
        if (this.#left === 0) yield* this.#endFile()
        continue
      }
      if (this.#state === 'padding' || this.#state === 'skip') {
        const n = Math.min(rest.length, this.#left)
        rest = rest.subarray(n)
        this.#left -= n
        if (this.#left === 0) this.#afterSkip()
        continue
      }
      const need = this.#state === 'meta' ? this.#left : BLOCK
      const missing = need - this.#pendingBytes
      const part = rest.subarray(0, missing)
      rest = rest.subarray(part.length)
      this.#pending.push(part)
      this.#pendingBytes += part.length
      if (this.#pendingBytes < need) return
      const whole = this.#pending.length === 1 ? part : Buffer.concat(this.#pending)
      this.#pending = []
      this.#pendingBytes = 0
      yield* this.#block(whole)
    }
  }

  *#block(bytes: Buffer): Generator<TarEvent> {
    switch (this.#state) {
      case 'header':
        yield* this.#header(bytes)
        return
      case 'meta':
        this.#meta(bytes)
        return
      case 'old-sparse':
        yield* this.#moreOldSparse(bytes)
        return
      case 'sparse-text':
        yield* this.#sparseText(bytes)
        return
      default:
        throw tarError('internal state')
    }
  }

  *#header(block: Buffer): Generator<TarEvent> {
    if (isZero(block)) {
      this.#zeroBlocks += 1
      if (this.#zeroBlocks === 2) this.#state = 'end'
      return
    }
    this.#zeroBlocks = 0
    if (!checksumFits(block)) {
      throw tarError(this.#entries === 0 ? 'invalid tar header' : 'invalid tar header (checksum)')
    }
    this.#entries += 1
    const type = String.fromCharCode(block[156] ?? 0)
    const size = number(block, 124, 12, 'size')
    if ('LKxg'.includes(type)) {
      this.#startMeta(type, size)
      return
    }
    const pax: Pax = new Map([...this.#global, ...this.#local])
    const entry = describe(block, kindOf(type), pax, { name: this.#longName, link: this.#longLink })
    yield* this.#start(entry, block, type, pax)
  }

  #startMeta(type: string, size: number): void {
    if (size > META_BYTES_MAX) throw tarError(`a name or attribute block has ${size} bytes`)
    this.#metaKind = type
    this.#padding = padding(size)
    this.#left = size
    this.#state = 'meta'
    if (size === 0) this.#meta(Buffer.alloc(0))
  }

  #meta(bytes: Buffer): void {
    // A copy: names outlive the chunk of input they came in.
    if (this.#metaKind === 'L') this.#longName = untilZero(bytes)
    else if (this.#metaKind === 'K') this.#longLink = untilZero(bytes)
    else if (this.#metaKind === 'g') this.#addGlobal(parsePax(bytes))
    else this.#local = parsePax(bytes)
    this.#skip(this.#padding, 'padding')
  }

  #addGlobal(records: Pax): void {
    this.#global = new Map([...this.#global, ...records])
    const bytes = [...this.#global].reduce((sum, [key, value]) => sum + key.length + value.length, 0)
    if (bytes > GLOBAL_BYTES_MAX) throw tarError(`its global attributes have ${bytes} bytes`)
  }

  *#start(entry: TarEntry, block: Buffer, type: string, pax: Pax): Generator<TarEvent> {
    // Only files carry data; GNU tar and Go skip what a folder's size field claims.
    const carried = entry.kind === 'file' ? entry.size : 0
    this.#padding = padding(carried)
    this.#left = carried
    this.#local = new Map()
    this.#longName = undefined
    this.#longLink = undefined
    if (entry.kind !== 'file') {
      yield { type: 'entry', entry }
      const claimed = entry.kind === 'dir' ? number(block, 124, 12, 'size') : 0
      this.#skip(claimed + padding(claimed), 'skip')
      return
    }
    this.#entry = entry
    if (type === 'S') {
      const { ranges, size, more } = oldSparseMap(block)
      this.#entry = { ...entry, size }
      this.#sparse = ranges
      if (more) this.#state = 'old-sparse'
      else yield* this.#startFile()
      return
    }
    const sparse = paxSparseMap(pax)
    if (sparse !== undefined) this.#entry = { ...entry, size: sparse.size }
    if (sparse?.textual === true) {
      this.#sparseInput = []
      this.#state = 'sparse-text'
      return
    }
    this.#sparse = sparse?.ranges
    yield* this.#startFile()
  }

  *#moreOldSparse(block: Buffer): Generator<TarEvent> {
    const { ranges, more } = readOldSparseBlock(block)
    this.#sparse = [...(this.#sparse ?? []), ...ranges]
    if (this.#sparse.length * 24 > META_BYTES_MAX) throw tarError('a sparse map is too large')
    if (!more) yield* this.#startFile()
  }

  *#sparseText(block: Buffer): Generator<TarEvent> {
    this.#sparseInput.push(Buffer.from(block))
    this.#left -= BLOCK
    if (this.#left < 0 || this.#sparseInput.length * BLOCK > META_BYTES_MAX) throw tarError('bad sparse map')
    const ranges = readSparseText(this.#sparseInput)
    if (ranges === undefined) return
    this.#sparse = ranges
    this.#sparseInput = []
    yield* this.#startFile()
  }

  *#startFile(): Generator<TarEvent> {
    const entry = this.#entry
    if (entry === undefined) throw tarError('internal state')
    const problem = this.#sparse && sparseProblem(this.#sparse, this.#left, entry.size)
    if (problem !== undefined) throw tarError(problem)
    this.#cursor = new SparseCursor(this.#sparse)
    this.#sparse = undefined
    this.#state = 'data'
    yield { type: 'entry', entry }
    if (this.#left === 0) yield* this.#endFile()
  }

  *#endFile(): Generator<TarEvent> {
    this.#entry = undefined
    yield { type: 'file-end' }
    this.#skip(this.#padding, 'padding')
  }

  #skip(bytes: number, state: 'padding' | 'skip'): void {
    this.#left = bytes
    this.#state = bytes === 0 ? 'header' : state
  }

  #afterSkip(): void {
    this.#state = 'header'
  }
}
