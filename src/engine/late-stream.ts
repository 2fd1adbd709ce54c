/** A stream that is given out before there is anything behind it: an attach that waits for the start. */
import { Duplex } from 'node:stream'

export class LateStream extends Duplex {
  #inner: Duplex | undefined
  #write: { readonly chunk: Buffer; readonly done: (error?: Error | null) => void } | undefined
  #final: ((error?: Error | null) => void) | undefined

  constructor() {
    super({ allowHalfOpen: true })
    // A client that goes away is no error of ours.
    this.on('error', () => undefined)
  }

  get connected(): boolean {
    return this.#inner !== undefined
  }

  connect(inner: Duplex): void {
    if (this.destroyed) {
      inner.destroy()
      return
    }
    this.#inner = inner
    inner.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) inner.pause()
    })
    inner.on('end', () => this.push(null))
    inner.on('error', () => this.push(null))
    inner.on('close', () => this.#innerClosed())
    if (this.#write !== undefined) inner.write(this.#write.chunk, this.#settle(this.#write.done))
    this.#write = undefined
    if (this.#final !== undefined) inner.end(this.#settle(this.#final))
    this.#final = undefined
  }

  /** Nothing will ever come: the start failed. */
  abandon(): void {
    if (this.#inner === undefined) this.#innerClosed()
  }

  override _read(): void {
    this.#inner?.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#inner === undefined) this.#write = { chunk, done }
    else this.#inner.write(chunk, this.#settle(done))
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#inner === undefined) this.#final = done
    else this.#inner.end(this.#settle(done))
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inner?.destroy()
    this.#innerClosed()
    done(error)
  }

  /** Input to a container that has ended is thrown away, as with a closed terminal. */
  #settle(done: (error?: Error | null) => void): () => void {
    return () => done()
  }

  #innerClosed(): void {
    if (!this.destroyed && !this.readableEnded) this.push(null)
    this.#write?.done()
    this.#final?.()
    this.#write = undefined
    this.#final = undefined
  }
}
