/**
 * What a zstd stream asks of its decoder, read from the headers of frames and blocks (RFC 8878) before the decoder sees
 * them: how much memory, and how much output at once. fzstd takes any window up to 2 GiB and moves all of it for each
 * block, and four bytes can be a block of 128 KiB: a few MB would hold up the engine for minutes, with gigabytes.
 */
import { DewarError } from '../base/errors.ts'

/** As the zstd program without --long; compressors of images use at most 32 MiB. */
const WINDOW_MAX = 128 * 2 ** 20
/** Of at most 128 KiB each. */
const BLOCKS_AT_ONCE = 8
const MAGIC = 0xfd2f_b528
const SKIPPABLE = 0x184d_2a50
const FRAME_START = 5
type State = 'start' | 'header' | 'skippable' | 'block'

export class ZstdFrames {
  #state: State = 'start'
  #head: Buffer = Buffer.alloc(0)
  #need = FRAME_START
  /** Content of a block, or what is skipped. */
  #skip = 0
  #checksum = 0
  #blocks = 0

  #read(head: Buffer): void {
    if (this.#state === 'start') this.#start(head)
    else if (this.#state === 'header') this.#header(head)
    else if (this.#state === 'skippable') this.#next('start', head.readUInt32LE(4))
    else this.#block(head.readUIntLE(0, 3))
  }

  /** The same bytes in pieces that decode to 1 MiB at most. Throws too-large for a window that is. */
  *pieces(bytes: Buffer): Generator<Buffer> {
    let from = 0
    for (let at = 0; at < bytes.length;) {
      const skipped = Math.min(this.#skip, bytes.length - at)
      this.#skip -= skipped
      at += skipped
      const part = bytes.subarray(at, at + this.#need - this.#head.length)
      if (this.#skip > 0) break
      this.#head = Buffer.concat([this.#head, part])
      at += part.length
      if (this.#head.length < this.#need) break
      this.#read(this.#head)
      if (this.#blocks < BLOCKS_AT_ONCE) continue
      this.#blocks = 0
      yield bytes.subarray(from, at)
      from = at
    }
    if (from < bytes.length) yield bytes.subarray(from)
  }

  #next(state: State, skip = 0): void {
    this.#state = state
    this.#skip = skip
    this.#head = Buffer.alloc(0)
    this.#need = state === 'block' ? 3 : FRAME_START
  }

  #start(head: Buffer): void {
    const magic = head.readUInt32LE(0)
    const descriptor = head[4] ?? 0
    if (magic === MAGIC) {
      this.#state = 'header'
      this.#need = FRAME_START + sizesOf(descriptor).all
    } else if ((magic & ~0xf) >>> 0 === SKIPPABLE) {
      this.#state = 'skippable'
      this.#need = 8
    } else throw new Error('invalid zstd data')
  }

  #header(head: Buffer): void {
    const descriptor = head[4] ?? 0
    const { window, dictionary, content } = sizesOf(descriptor)
    const exponent = head[FRAME_START] ?? 0
    const base = 2 ** (10 + (exponent >> 3))
    const asked =
      window === 1
        ? base + (base / 8) * (exponent & 7)
        : contentSize(head.subarray(FRAME_START + dictionary), content)
    if (asked > WINDOW_MAX) throw tooLarge(asked)
    this.#checksum = (descriptor & 4) === 0 ? 0 : 4
    this.#next('block')
  }

  #block(header: number): void {
    const isLast = (header & 1) === 1
    const isRunLength = ((header >> 1) & 3) === 1
    this.#blocks += 1
    const size = isRunLength ? 1 : header >> 3
    this.#next(isLast ? 'start' : 'block', size + (isLast ? this.#checksum : 0))
  }
}

/** Bytes of the fields after the descriptor. */
function sizesOf(descriptor: number) {
  const isSingle = (descriptor & 0x20) !== 0
  const window = isSingle ? 0 : 1
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0
  const content = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
  return { window, dictionary, content, all: window + dictionary + content }
}

function contentSize(field: Buffer, bytes: number): number {
  if (bytes === 8) return Number(field.readBigUInt64LE(0))
  return field.readUIntLE(0, bytes) + (bytes === 2 ? 256 : 0)
}

function tooLarge(window: number): DewarError {
  return new DewarError(
    'too-large',
    `Decompressing failed: the zstd data asks for a window of ${window} bytes, and ${WINDOW_MAX} are allowed`,
    { remedy: 'compress it without --long and --ultra' },
  )
}
