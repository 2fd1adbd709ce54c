/** Takes gzip, zstd, xz or bzip2 off a stream; what is none of them passes as it is. */
import { Readable, pipeline } from 'node:stream'
import zlib from 'node:zlib'
import { Decompress as ZstdDecompress } from 'fzstd'
import { DewarError, messageOf } from '../base/errors.ts'
import { byProgram } from './decompress-program.ts'
import { ZstdFrames } from './zstd-frames.ts'

export type Compression = 'none' | 'gzip' | 'zstd' | 'xz' | 'bzip2'

const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
]

/** By the first bytes, as Docker does: media types lie more often. */
export function compressionOf(head: Buffer): Compression {
  const name = MAGICS.find(([, magic]) => magic.every((byte, at) => head[at] === byte))?.[0] ?? 'none'
  // A tar may begin with a file named BZh…: a tar header carries its own magic.
  return head.toString('latin1', 257, 262) === 'ustar' ? 'none' : name
}

/** Bytes out of one step of decompression; larger steps cross to zlib's thread less often. */
const STEP = 256 * 1024
/** So far zlib's thread may be ahead of who unpacks, which is busy with other layers at times. */
const GUNZIP = { chunkSize: STEP, highWaterMark: 4 * STEP }

export async function* decompress(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { head, all } = await peek(source, 512)
  yield* decompressed(compressionOf(head), all)
}

/** Without xz and bzip2, for which layers have no media type (OCI image-spec, layer.md); gzip and zstd stay. */
export async function* asLayer(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { head, all } = await peek(source, 512)
  const compression = compressionOf(head)
  yield* compression === 'xz' || compression === 'bzip2' ? decompressed(compression, all) : all
}

function decompressed(compression: Compression, all: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  switch (compression) {
    case 'none':
      return all
    case 'gzip':
      return gunzip(all)
    case 'zstd':
      return unzstd(all)
    case 'xz':
    case 'bzip2':
      return byProgram(compression, all)
  }
}

/** The first bytes (fewer when there are fewer), and everything. */
async function peek(
  source: AsyncIterable<Buffer>,
  bytes: number,
): Promise<{ readonly head: Buffer; readonly all: AsyncIterable<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]()
  let head: Buffer = Buffer.alloc(0)
  while (head.length < bytes) {
    const next = await iterator.next()
    if (next.done === true) break
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value])
  }
  async function* all(): AsyncGenerator<Buffer> {
    try {
      if (head.length > 0) yield head
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
        yield next.value
    } finally {
      await iterator.return?.()
    }
  }
  return { head, all: all() }
}

async function* gunzip(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const state = { sourceFailed: false }
  const input = Readable.from(noting(source, state), { objectMode: false, highWaterMark: STEP })
  const out = zlib.createGunzip(GUNZIP)
  // Damage may be found while nobody reads, and an 'error' nobody hears ends the engine.
  for (const stream of [input, out]) stream.on('error', () => undefined)
  pipeline(input, out, () => undefined)
  try {
    for await (const bytes of out) {
      if (Buffer.isBuffer(bytes)) yield bytes
    }
  } catch (error) {
    throw state.sourceFailed ? error : damaged('gzip', error)
  }
}

async function* noting(
  source: AsyncIterable<Buffer>,
  state: { sourceFailed: boolean },
): AsyncGenerator<Buffer> {
  try {
    yield* source
  } catch (error) {
    state.sourceFailed = true
    throw error
  }
}

async function* unzstd(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const out: Buffer[] = []
  const decoder = new ZstdDecompress((bytes) => {
    if (bytes.length > 0) out.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  })
  const frames = new ZstdFrames()
  const push = (bytes: Buffer, last: boolean): void => {
    try {
      decoder.push(bytes, last)
    } catch (error) {
      throw damaged('zstd', error)
    }
  }
  for await (const bytes of source) {
    // fzstd decodes at once what it is given.
    for (const piece of piecesOf(frames, bytes)) {
      // A copy: the decoder keeps references to its input.
      push(Buffer.from(piece), false)
      yield* out.splice(0)
    }
  }
  push(Buffer.alloc(0), true)
  yield* out.splice(0)
}

function* piecesOf(frames: ZstdFrames, bytes: Buffer): Generator<Buffer> {
  try {
    yield* frames.pieces(bytes)
  } catch (error) {
    throw error instanceof DewarError ? error : damaged('zstd', error)
  }
}

function damaged(format: string, error: unknown): DewarError {
  return new DewarError(
    'invalid-argument',
    `Decompressing failed: the ${format} data is damaged: ${messageOf(error)}`,
    {
      cause: error,
      remedy: 'fetch it again',
    },
  )
}
