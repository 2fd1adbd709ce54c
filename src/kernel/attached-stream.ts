/** A process's output and input over a connection each, as one stream. */
import { Duplex } from 'node:stream'
import type { Socket } from 'node:net'

/**
 * Node destroys a socket whose write fails, and what was not read yet is lost with it. A process that has ended takes
 * no input, so on one connection input that comes too late would cost the last output. Here it is thrown away.
 */
export class AttachedStream extends Duplex {
  readonly #output: Socket
  readonly #input: Socket | undefined

  /** Both sockets are attached already; without `input` what is written is thrown away. */
  constructor(output: Socket, input: Socket | undefined) {
    super({ allowHalfOpen: true })
    this.#output = output
    this.#input = input
    input?.on('error', () => undefined)
    input?.on('end', () => input.destroy())
    input?.resume()
    output.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) output.pause()
    })
    // A process that printed nothing may have ended while the input was being connected: a socket with nothing left to
    // read tells its end unasked, and does not tell it twice.
    if (output.readableEnded) this.push(null)
    else output.once('end', () => this.push(null))
    output.once('error', (error) => this.destroy(error))
    output.once('close', () => input?.destroy())
  }

  override _read(): void {
    this.#output.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#input === undefined || this.#input.destroyed) done()
    else this.#input.write(chunk, () => done())
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#input === undefined || this.#input.destroyed) done()
    else this.#input.end(() => done())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#output.destroy()
    this.#input?.destroy()
    done(error)
  }
}
