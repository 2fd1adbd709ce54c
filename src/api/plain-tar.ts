/** Clients may send a tar compressed (`docker load < image.tar.gz`); the engine reads plain ones. */
import { Readable, Transform } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { Decompress } from 'fzstd'
import { DewarError, messageOf } from '../base/errors.ts'

interface Format {
  readonly name: string
  readonly magic: readonly number[]
  readonly decoder?: () => Transform
}

const FORMATS: readonly Format[] = [
  { name: 'gzip', magic: [0x1f, 0x8b], decoder: () => createGunzip() },
  { name: 'zstd', magic: [0x28, 0xb5, 0x2f, 0xfd], decoder: unzstd },
  { name: 'bzip2', magic: [0x42, 0x5a, 0x68] },
  { name: 'xz', magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
]

/** The stream itself, or decompressed when it begins like gzip or zstd. Formats without a decoder are refused by name. */
export async function plainTar(stream: Readable): Promise<Readable> {
  const head = await peek(stream, 6)
  // A stream that has ended can neither take bytes back nor end again.
  if (stream.readableEnded) return Readable.from(head.length === 0 ? [] : [head])
  if (head.length > 0) stream.unshift(head)
  const format = FORMATS.find(({ magic }) => magic.every((byte, index) => head[index] === byte))
  if (format === undefined) return stream
  if (format.decoder === undefined) {
    throw new DewarError('invalid-argument', `archive is compressed with ${format.name}`, {
      remedy: 'send it plain or with gzip',
    })
  }
  return through(stream, format.decoder())
}

/** `pipe` does not tell the decoder of a client that went away; a cut archive must be an error, not an end. */
function through(stream: Readable, decoder: Transform): Readable {
  // Damage may be found before anybody reads, and an 'error' nobody hears ends the engine.
  decoder.on('error', () => undefined)
  stream.once('error', (error) => decoder.destroy(error))
  stream.once('close', () => {
    if (!stream.readableEnded)
      decoder.destroy(new Error('the client went away before the end of the archive'))
  })
  return stream.pipe(decoder)
}

function unzstd(): Transform {
  const decoder = new Decompress((chunk) => {
    transform.push(chunk)
  })
  const feed = (chunk: Uint8Array, last: boolean, done: (error?: Error) => void): void => {
    try {
      decoder.push(chunk, last)
      done()
    } catch (error) {
      done(new DewarError('invalid-argument', `cannot decompress the archive: ${messageOf(error)}`))
    }
  }
  const transform = new Transform({
    transform: (chunk: Buffer, _encoding, done) => feed(chunk, false, done),
    flush: (done) => feed(new Uint8Array(0), true, done),
  })
  return transform
}

/** Takes the first bytes. Fewer when the stream is shorter. */
async function peek(stream: Readable, count: number): Promise<Buffer> {
  let head = Buffer.alloc(0)
  while (head.length < count && !stream.readableEnded && !stream.destroyed) {
    const chunk: unknown = stream.read()
    if (Buffer.isBuffer(chunk)) head = Buffer.concat([head, chunk])
    else if (!(await moreToRead(stream))) break
  }
  return head
}

/** False at the end. An empty body ends without ever being readable. */
function moreToRead(stream: Readable): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const settle = (more: boolean): void => {
      stream.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onError)
      resolve(more)
    }
    const onReadable = (): void => settle(stream.readableLength > 0)
    const onEnd = (): void => settle(false)
    const onError = (error: Error): void => {
      settle(false)
      reject(error)
    }
    stream.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onError)
  })
}
