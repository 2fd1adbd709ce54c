/** Sparse files in tar: where the data an archive carries belongs in the file. GNU old format, pax 0.0, 0.1, 1.0. */
import type { Pax } from './tar-pax.ts'
import { number, tarError } from './tar-header.ts'
import type { TarEvent } from './tar-read.ts'

export interface SparseRange {
  readonly offset: number
  readonly length: number
}

/** Why a map cannot be true: it is checked whole before any data is placed. */
export function sparseProblem(
  ranges: readonly SparseRange[],
  carried: number,
  size: number,
): string | undefined {
  let end = 0
  let sum = 0
  for (const { offset, length } of ranges) {
    if (offset < end || !Number.isSafeInteger(offset + length)) return 'a sparse map is not ascending'
    end = offset + length
    sum += length
  }
  if (end > size) return 'a sparse map reaches beyond the end of its file'
  return sum === carried ? undefined : 'a sparse map does not fit the data it comes with'
}

/** The main header's part of the old GNU format: four ranges, the real size, whether more blocks follow. */
export function oldSparseMap(block: Buffer): {
  readonly ranges: SparseRange[]
  readonly size: number
  readonly more: boolean
} {
  const ranges: SparseRange[] = []
  for (let n = 0; n < 4; n += 1) {
    const at = 386 + n * 24
    if (block[at] === 0) break
    ranges.push({ offset: number(block, at, 12, 'sparse'), length: number(block, at + 12, 12, 'sparse') })
  }
  return { ranges, size: number(block, 483, 12, 'real size'), more: block[482] === 1 }
}

/** An extension block of the old format. */
export function readOldSparseBlock(block: Buffer): {
  readonly ranges: SparseRange[]
  readonly more: boolean
} {
  const ranges: SparseRange[] = []
  for (let n = 0; n < 21; n += 1) {
    const at = n * 24
    if (block[at] === 0) break
    ranges.push({ offset: number(block, at, 12, 'sparse'), length: number(block, at + 12, 12, 'sparse') })
  }
  return { ranges, more: block[504] === 1 }
}

/** undefined: not sparse. `textual`: format 1.0, the map is at the head of the data. */
export function paxSparseMap(
  pax: Pax,
): { readonly size: number; readonly ranges?: SparseRange[]; readonly textual: boolean } | undefined {
  const text = (key: string): string | undefined => pax.get(key)?.toString('latin1')
  const size = text('GNU.sparse.realsize') ?? text('GNU.sparse.size')
  if (size === undefined) return undefined
  const real = integer(size)
  if (text('GNU.sparse.major') === '1' && text('GNU.sparse.minor') === '0')
    return { size: real, textual: true }
  const list = text('GNU.sparse.map') ?? text('GNU.sparse.list') ?? ''
  const numbers = list === '' ? [] : list.split(',').map(integer)
  return { size: real, ranges: pairs(numbers), textual: false }
}

/** Format 1.0: decimal lines, the count of ranges first, padded to a block. undefined: more blocks are needed. */
export function readSparseText(blocks: readonly Buffer[]): SparseRange[] | undefined {
  const text = Buffer.concat(blocks).toString('latin1')
  const lines = text.split('\n')
  const count = lines.length > 1 ? integer(lines[0] ?? '') : undefined
  if (count === undefined || lines.length - 1 < 1 + 2 * count) return undefined
  return pairs(lines.slice(1, 1 + 2 * count).map(integer))
}

function pairs(numbers: readonly number[]): SparseRange[] {
  if (numbers.length % 2 !== 0) throw tarError('a sparse map has an odd number of entries')
  const ranges: SparseRange[] = []
  for (let n = 0; n < numbers.length; n += 2) {
    ranges.push({ offset: numbers[n] ?? 0, length: numbers[n + 1] ?? 0 })
  }
  return ranges
}

function integer(text: string): number {
  const value = Number(text)
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(value)) throw tarError('a sparse map is malformed')
  return value
}

/** Gives carried bytes their offsets. Without ranges the file is dense. */
export class SparseCursor {
  readonly #ranges: readonly SparseRange[] | undefined
  #index = 0
  #done = 0

  constructor(ranges: readonly SparseRange[] | undefined) {
    this.#ranges = ranges
  }

  *place(bytes: Buffer): Generator<TarEvent> {
    if (this.#ranges === undefined) {
      yield { type: 'data', offset: this.#done, bytes }
      this.#done += bytes.length
      return
    }
    for (let rest = bytes; rest.length > 0;) {
      const range = this.#ranges[this.#index]
      if (range === undefined) throw tarError('a sparse map does not fit the data it comes with')
      const part = rest.subarray(0, range.length - this.#done)
      if (part.length > 0) yield { type: 'data', offset: range.offset + this.#done, bytes: part }
      rest = rest.subarray(part.length)
      this.#done += part.length
      if (this.#done < range.length) continue
      this.#index += 1
      this.#done = 0
    }
  }
}
