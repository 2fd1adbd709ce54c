import type { Readable, Writable } from 'node:stream'
import { once } from 'node:events'
import { bytesOf } from './bytes.ts'
import { ClientError } from './error.ts'

const HEADER = 8
/** Stream numbers in a frame's first byte; 3 carries the engine's own error while streaming. */
const STDOUT = 1
const STDERR = 2
const SYSTEM_ERROR = 3

/**
 * Splits Docker's multiplexed stream (frames of: 1 byte stream number, 3 zero bytes, 4 bytes big-endian length, payload)
 * onto two writables. Payload is passed on as it arrives, never gathered, so a frame that claims 4 GiB costs nothing.
 * Waits for slow writers. Resolves at the end of the source; throws ClientError on a frame that is not one.
 *
 * @example
 * await demultiplex(await client.containers.logs('web', { stdout: true, stderr: true }), process.stdout, process.stderr)
 */
export async function demultiplex(
  source: Readable,
  stdout: Writable | null,
  stderr: Writable | null,
): Promise<void> {
  const splitter = new FrameSplitter()
  for await (const chunk of bytesOf(source)) {
    for (const part of splitter.push(chunk)) await deliver(part, stdout, stderr)
  }
  const message = splitter.systemError()
  if (message !== undefined) throw new ClientError(0, `error from daemon in stream: ${message}`)
}

async function deliver(part: Part, stdout: Writable | null, stderr: Writable | null): Promise<void> {
  const target = part.stream === STDERR ? stderr : stdout
  if (target === null || target.destroyed) return
  if (!target.write(part.bytes)) await once(target, 'drain')
}

export interface Part {
  readonly stream: 1 | 2
  readonly bytes: Buffer
}

/** The frame reader without I/O: feed it chunks cut anywhere, it gives the payload pieces in order. */
export class FrameSplitter {
  readonly #header = Buffer.alloc(HEADER)
  #have = 0
  #left = 0
  #stream = STDOUT
  readonly #errors: Buffer[] = []

  push(chunk: Buffer): Part[] {
    const parts: Part[] = []
    let at = 0
    while (at < chunk.length) {
      if (this.#left === 0) {
        at = this.#readHeader(chunk, at)
        continue
      }
      const end = Math.min(chunk.length, at + this.#left)
      this.#emit(parts, chunk.subarray(at, end))
      this.#left -= end - at
      at = end
    }
    return parts
  }

  /** What the engine said on its own error stream, if anything. */
  systemError(): string | undefined {
    return this.#errors.length === 0 ? undefined : Buffer.concat(this.#errors).toString('utf8').trim()
  }

  #readHeader(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + HEADER - this.#have)
    chunk.copy(this.#header, this.#have, at, end)
    this.#have += end - at
    if (this.#have < HEADER) return end
    this.#have = 0
    this.#stream = this.#header[0] ?? 0
    if (this.#stream > SYSTEM_ERROR) {
      throw new ClientError(
        0,
        `Unrecognized input header: ${this.#stream} (is this the stream of a container with a terminal?)`,
      )
    }
    this.#left = this.#header.readUInt32BE(4)
    return end
  }

  #emit(parts: Part[], bytes: Buffer): void {
    if (this.#stream === SYSTEM_ERROR) this.#errors.push(bytes)
    else parts.push({ stream: this.#stream === STDERR ? STDERR : STDOUT, bytes })
  }
}
