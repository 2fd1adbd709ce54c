/** `logs`: a container's log as Docker's stream, from the files the shim writes. Memory is bounded by one chunk. */
import { Readable } from 'node:stream'
import { LONGEST_TIMER } from '../base/longest-timer.ts'
import { LogCursor, LogWatcher, openAtTail, openNext, openRange, type LogRange } from './log-files.ts'
import { LogRenderer } from './log-render.ts'
import type { LogsRequest } from './types.ts'

export interface LogSource {
  /** json-file path. */
  readonly path: string
  readonly tty: boolean
  /** What `details` puts before each line. */
  readonly attributes?: string
  /** Resolves when no more will be written; undefined when nothing is being written now. */
  readonly ended: Promise<unknown> | undefined
  /** Only what stands between these places; such a request is not followed and has no tail. */
  readonly range?: LogRange
  /** Called when the files are open, whatever becomes of their names. */
  readonly onOpen?: () => void
}

/**
 * The same with its files open: whoever has the answer's headers may remove the container and read the rest then, as
 * docker-py's run(remove=True) does.
 */
export function openedLogs(source: LogSource, request: LogsRequest, signal: AbortSignal): Promise<Readable> {
  return new Promise((resolve, reject) => {
    const onOpen = (): void => {
      stream.off('error', reject)
      resolve(stream)
    }
    const stream = readLogs({ ...source, onOpen }, request, signal)
    stream.once('error', reject)
    stream.once('close', onOpen)
    // Starts the reading, and takes nothing.
    stream.read(0)
  })
}

export function readLogs(source: LogSource, request: LogsRequest, signal: AbortSignal): Readable {
  const stop = new AbortController()
  const abort = (): void => stop.abort()
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  const stream = Readable.from(chunks(source, request, stop.signal), {
    objectMode: false,
    highWaterMark: 256 * 1024,
  })
  stream.once('close', () => {
    signal.removeEventListener('abort', abort)
    abort()
  })
  return stream
}

async function* chunks(source: LogSource, request: LogsRequest, signal: AbortSignal): AsyncGenerator<Buffer> {
  const render = new LogRenderer(request, source.tty, source.attributes)
  using follow =
    request.follow && source.ended !== undefined
      ? new Follow(source.path, source.ended, request, signal)
      : undefined
  const cursors = await (source.range === undefined
    ? openAtTail(source.path, request.tail)
    : openRange(source.path, source.range))
  source.onOpen?.()
  try {
    for (let last = cursors[0]; last !== undefined; last = cursors[0]) {
      for (let lines = await last.next(); lines !== undefined && !signal.aborted; lines = await last.next()) {
        const out = render.block(lines)
        if (out.length > 0) yield out
        if (render.past) return
      }
      if (signal.aborted) return
      const successor = cursors.length > 1 ? undefined : await follow?.next(last)
      if (successor === 'again') continue
      if (successor !== undefined) cursors.push(successor)
      await last.close()
      cursors.shift()
    }
  } finally {
    for (const cursor of cursors) await cursor.close()
  }
}

/** Decides at the end of the newest file: wait for more, go on in the next file, or end. */
class Follow implements Disposable {
  readonly #path: string
  readonly #watcher: LogWatcher
  readonly #signal: AbortSignal
  readonly #timer: NodeJS.Timeout | undefined
  readonly #poke = (): void => this.#watcher.poke()
  #ended = false
  #drained = false

  constructor(path: string, ended: Promise<unknown>, request: LogsRequest, signal: AbortSignal) {
    this.#path = path
    this.#watcher = new LogWatcher(path)
    this.#signal = signal
    const end = (): void => {
      this.#ended = true
      this.#poke()
    }
    void ended.then(end, end)
    signal.addEventListener('abort', this.#poke)
    const left = request.until - Date.now()
    if (request.until > 0) this.#timer = setTimeout(end, Math.min(Math.max(left, 0), LONGEST_TIMER))
  }

  async next(last: LogCursor): Promise<LogCursor | 'again' | undefined> {
    const successor = await openNext(this.#path, last.inode)
    if (successor !== undefined) {
      // The old file may have grown between its end and the rotation.
      if (this.#drained) {
        this.#drained = false
        return new LogCursor(successor)
      }
      await successor.handle.close()
      this.#drained = true
      return 'again'
    }
    if (this.#ended) {
      if (this.#drained) return undefined
      this.#drained = true
      return 'again'
    }
    await this.#watcher.changed()
    return this.#signal.aborted ? undefined : 'again'
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#poke)
    clearTimeout(this.#timer)
    this.#watcher[Symbol.dispose]()
  }
}
