/**
 * A stream that is given out before there is anything behind it (an attach that waits for the start), or before what
 * is behind it has its turn (an attach that replays the log first).
 */
import { Duplex, type Readable } from 'node:stream'

export class LateStream extends Duplex {
  #inner: Duplex | undefined
  /** What is read now: something that comes before the inner stream, or that stream. */
  #source: Readable | undefined
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

  /** Input goes to `inner` at once; its output follows when `before` has come to its end. */
  connect(inner: Duplex, before?: Readable): void {
    if (this.destroyed) {
      inner.destroy()
      before?.destroy()
      return
    }
    this.#inner = inner
    if (before === undefined) this.#readInner(inner)
    else this.#read(before, () => this.#readInner(inner))
    if (this.#write !== undefined) inner.write(this.#write.chunk, this.#settle(this.#write.done))
    this.#write = undefined
    if (this.#final !== undefined) inner.end(this.#settle(this.#final))
    this.#final = undefined
  }

  #readInner(inner: Duplex): void {
    inner.on('close', () => this.#innerClosed())
    if (inner.destroyed) this.#innerClosed()
    else this.#read(inner, () => this.push(null))
  }

  /** Not by iteration: that destroys a stream at its end, and a socket destroyed so takes what is unread along. */
  #read(source: Readable, ended: () => void): void {
    this.#source = source
    source.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) source.pause()
    })
    source.once('end', ended)
    source.once('error', ended)
  }

  /** Nothing will ever come: the start failed. */
  abandon(): void {
    if (this.#inner === undefined) this.#innerClosed()
  }

  override _read(): void {
    this.#source?.resume()
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
    this.#source?.destroy()
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
