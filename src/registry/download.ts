/** One blob from a registry, taken up again where it broke, as a stream that is written and digested on the way. */
import { DewarError, messageOf } from '../base/errors.ts'
import type { BlobWriter } from '../store/blobs.ts'
import type { Descriptor } from '../store/image-config.ts'
import { setTimeout as pause } from 'node:timers/promises'
import { RegistryRefused } from './errors.ts'
import type { RegistryOptions } from './endpoints.ts'
import { abortReason, ConnectionFailed, drain } from './http.ts'
import { Meter, shortId } from './progress.ts'
import type { OnProgress } from './progress.ts'
import type { Repository } from './repository.ts'

export interface Download {
  readonly repository: Repository
  readonly descriptor: Descriptor
  readonly writer: BlobWriter
  readonly options: RegistryOptions
  readonly onProgress: OnProgress
  readonly signal: AbortSignal
}

/** Yields every byte of the blob, those of an earlier attempt first. Does not finish the writer. */
export async function* download(work: Download): AsyncGenerator<Buffer> {
  const { descriptor, writer, onProgress } = work
  const meter = new Meter(onProgress, 'Downloading', shortId(descriptor.digest), descriptor.size)
  for await (const bytes of writer.kept()) {
    meter.at(writer.bytes)
    yield bytes
  }
  for (let failures = 0; writer.bytes < descriptor.size;) {
    const before = writer.bytes
    try {
      for await (const bytes of attempt(work)) {
        meter.at(writer.bytes)
        yield bytes
      }
    } catch (error) {
      failures = writer.bytes > before ? 1 : failures + 1
      if (!isPassing(error) || failures >= work.options.attempts) throw given(error, work)
      await wait(work, failures)
    }
  }
  if (writer.bytes > descriptor.size) throw wrongSize(work)
}

/** From where the writer is to the end or to the break, whichever comes first; a break throws. */
async function* attempt({ repository, descriptor, writer, signal }: Download): AsyncGenerator<Buffer> {
  const from = writer.bytes
  const response = await repository.ask({
    method: 'GET',
    path: `blobs/${descriptor.digest}`,
    headers: from > 0 ? { range: `bytes=${from}-` } : {},
    expect: from > 0 ? [200, 206] : [200],
    signal,
  })
  const told = Number(response.headers['content-length'] ?? Number.NaN)
  const expected = response.status === 206 ? descriptor.size - from : descriptor.size
  if (Number.isFinite(told) && told !== expected) {
    drain(response)
    throw new DewarError(
      'system',
      `Downloading ${descriptor.digest} failed: the registry announces ${told} bytes, the manifest says ${expected}`,
      { remedy: 'the registry is inconsistent; push the image again' },
    )
  }
  // A registry that does not know Range sends all of it again.
  let skip = response.status === 206 ? 0 : from
  if (response.status === 206 && !String(response.headers['content-range']).startsWith(`bytes ${from}-`)) {
    drain(response)
    throw new ConnectionFailed({ method: 'GET', url: response.url, stallMs: 0 }, new Error('wrong range'))
  }
  try {
    for await (const chunk of largePieces(response.body)) {
      const bytes = chunk.subarray(Math.min(skip, chunk.length))
      skip -= chunk.length - bytes.length
      if (bytes.length === 0) continue
      // On their way to the disk and to the unpacker at once.
      const written = writer.write(bytes)
      written.catch(() => undefined) // told below, unless nobody wants more
      yield bytes
      await written
      if (writer.bytes > descriptor.size) return
    }
  } catch (error) {
    if (signal.aborted) throw abortReason(signal)
    if (error instanceof DewarError) throw error
    throw new ConnectionFailed({ method: 'GET', url: response.url, stallMs: 0 }, error)
  } finally {
    response.body.destroy()
  }
  if (writer.bytes < descriptor.size) {
    throw new ConnectionFailed({ method: 'GET', url: response.url, stallMs: 0 }, new Error('unexpected EOF'))
  }
}

/** Each piece crosses to the disk's and zlib's threads and back, which takes longest on a busy machine. */
const PIECE = 256 * 1024

/** The same bytes; all that came before a break come before its error. */
async function* largePieces(source: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  const broken: { error?: unknown } = {}
  let parts: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of source) {
      if (!Buffer.isBuffer(chunk)) continue
      parts.push(chunk)
      size += chunk.length
      if (size < PIECE) continue
      const piece = Buffer.concat(parts, size)
      parts = []
      size = 0
      yield piece
    }
  } catch (error) {
    broken.error = error
  }
  if (size > 0) yield Buffer.concat(parts, size)
  if ('error' in broken) throw broken.error
}

/** What may be gone the next time. */
function isPassing(error: unknown): boolean {
  if (error instanceof ConnectionFailed) return true
  return error instanceof RegistryRefused && (error.status >= 500 || error.status === 429)
}

async function wait({ descriptor, options, onProgress, signal }: Download, failures: number): Promise<void> {
  const ms = options.pauseMs * 2 ** (failures - 1)
  const seconds = Math.max(1, Math.round(ms / 1000))
  onProgress({
    status: `Retrying in ${seconds} second${seconds === 1 ? '' : 's'}`,
    id: shortId(descriptor.digest),
  })
  await pause(ms, undefined, { signal }).catch(() => {
    throw abortReason(signal)
  })
}

function given(error: unknown, { descriptor, repository, options, writer }: Download): Error {
  if (error instanceof DewarError) return error
  if (error instanceof RegistryRefused) {
    const why = `Downloading ${descriptor.digest} failed: ${error.message}`
    return new DewarError(error.status === 404 ? 'not-found' : 'system', why, { cause: error })
  }
  return new DewarError(
    'system',
    `Downloading ${descriptor.digest} from ${repository.endpoint.base.host} failed: ${messageOf(error)}`,
    {
      cause: error,
      remedy: `${writer.bytes} of ${descriptor.size} bytes are kept; pull again to go on after ${options.attempts} attempts`,
    },
  )
}

function wrongSize({ descriptor, writer }: Download): DewarError {
  return new DewarError(
    'system',
    `Downloading ${descriptor.digest} failed: more than the ${descriptor.size} bytes the manifest says (${writer.bytes})`,
    { remedy: 'the registry is inconsistent; push the image again' },
  )
}
