/** A json-file log as its files, the oldest first, read in chunks; survives rotation while it is read. */
import { statSync, watch } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errnoOf } from '../base/errors.ts'

const CHUNK = 256 * 1024
/** Far above the longest line a shim writes: what has no newline for so long is no log. */
const LONGEST_LINE = 4 * 1024 * 1024
/** More files than any max-file in use; bounds the search. */
const MOST_FILES = 1000

export interface OpenLog extends AsyncDisposable {
  readonly handle: FileHandle
  readonly inode: number
}

/** A place in a log: so many bytes into the file with this inode. */
export interface LogPosition {
  readonly inode: number
  readonly size: number
}

export interface LogRange {
  readonly from?: LogPosition
  readonly to: LogPosition
}

/** Where a log ends that nobody is writing to; before everything when there is none. */
export function endOfLog(path: string): LogPosition {
  const found = statSync(path, { throwIfNoEntry: false })
  return { inode: found?.ino ?? 0, size: found?.size ?? 0 }
}

async function openLog(path: string): Promise<OpenLog | undefined> {
  try {
    const handle = await open(path, 'r')
    const { ino } = await handle.stat()
    return { handle, inode: ino, [Symbol.asyncDispose]: () => handle.close() }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Two rotations between two opens put a newer file among the older ones: such a list is made again. */
const LISTINGS = 50

export async function openLogs(path: string): Promise<OpenLog[]> {
  for (let attempt = 1; ; attempt += 1) {
    const logs = await listOnce(path)
    if ((await inodeAt(path)) === logs.at(-1)?.inode || attempt === LISTINGS) return logs
    for (const log of logs) await log.handle.close()
  }
}

/**
 * Opened newest first: a rotation in between then shows a file twice (and is seen by its inode) where the other
 * order would miss one.
 */
async function listOnce(path: string): Promise<OpenLog[]> {
  const logs: OpenLog[] = []
  // One name may be free while a rotation moves the files on, the oldest first; two in a row are the end.
  let missing = false
  for (let n = 0; n < MOST_FILES; n += 1) {
    const log = await openLog(n === 0 ? path : `${path}.${n}`)
    if (log === undefined) {
      if (missing) break
      missing = n > 0
      continue
    }
    missing = false
    if (logs.some((other) => other.inode === log.inode)) await log.handle.close()
    else logs.unshift(log)
  }
  return logs
}

/** The file that follows `inode` in time: its neighbour with the lower number; undefined while it is the last. */
export async function openNext(path: string, inode: number): Promise<OpenLog | undefined> {
  let newer = path
  let missing = false
  for (let n = 0; n < MOST_FILES; n += 1) {
    const here = n === 0 ? path : `${path}.${n}`
    const found = await inodeAt(here)
    if (found === undefined) {
      if (missing) break
      missing = n > 0
      continue
    }
    missing = false
    if (found === inode && n === 0) return undefined
    if (found === inode) {
      const next = await openLog(newer)
      // A rotation in between has made it the one after the next.
      if ((await inodeAt(here)) === inode) return next
      await next?.handle.close()
      return openNext(path, inode)
    }
    newer = here
  }
  // Rotated away altogether: go on with the oldest there is.
  return openLog(newer)
}

async function inodeAt(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.ino
}

export class LogCursor {
  readonly #log: OpenLog
  readonly #end: number
  #position: number
  #rest: Buffer = Buffer.alloc(0)

  /** From `position` to `end` of it (bytes), or to wherever it ends. */
  constructor(log: OpenLog, position = 0, end = Number.POSITIVE_INFINITY) {
    this.#log = log
    this.#position = position
    this.#end = end
  }

  get inode(): number {
    return this.#log.inode
  }

  /** Complete lines from the next chunk, each with its newline; undefined at the end of what is there. */
  async next(): Promise<Buffer | undefined> {
    const chunk = Buffer.allocUnsafe(CHUNK)
    const wanted = Math.min(CHUNK, this.#end - this.#position)
    if (wanted <= 0) return undefined
    const { bytesRead } = await this.#log.handle.read(chunk, 0, wanted, this.#position)
    if (bytesRead === 0) {
      // Truncated: by its shim, which takes half a line back on a full disk, or by somebody else: begin anew then.
      const { size } = await this.#log.handle.stat()
      const whole = this.#position - this.#rest.length
      if (size < this.#position) [this.#position, this.#rest] = [size < whole ? 0 : whole, Buffer.alloc(0)]
      return undefined
    }
    this.#position += bytesRead
    return this.#complete(chunk.subarray(0, bytesRead))
  }

  async close(): Promise<void> {
    await this.#log.handle.close()
  }

  #complete(chunk: Buffer): Buffer {
    const end = chunk.lastIndexOf(10) + 1
    const rest = chunk.subarray(end)
    const block =
      this.#rest.length === 0 ? chunk.subarray(0, end) : Buffer.concat([this.#rest, chunk.subarray(0, end)])
    if (end > 0) {
      this.#rest = rest
      return block
    }
    // No newline in all of it: it belongs to what is still being written, if that is a log at all.
    this.#rest = block.length + rest.length > LONGEST_LINE ? Buffer.alloc(0) : Buffer.concat([block, rest])
    return Buffer.alloc(0)
  }
}

/** Cursors placed so that the last `tail` lines follow (-1: all lines). Files not needed are closed. */
export async function openAtTail(path: string, tail: number): Promise<LogCursor[]> {
  const logs = await openLogs(path)
  if (tail < 0) return logs.map((log) => new LogCursor(log))
  const cursors: LogCursor[] = []
  let wanted = tail
  for (const log of logs.reverse()) {
    // The newest is kept even for `--tail 0`: following goes on from its end.
    if (wanted === 0 && cursors.length > 0) {
      await log.handle.close()
      continue
    }
    const { position, found } = await findTail(log, wanted)
    cursors.unshift(new LogCursor(log, position))
    wanted -= found
  }
  return cursors
}

/**
 * Cursors over exactly what was logged between two places, wherever rotation has moved the files meanwhile. What it
 * has thrown away is not there; a log that has none of the range left gives no cursors.
 */
export async function openRange(path: string, { from, to }: LogRange): Promise<LogCursor[]> {
  const logs = await openLogs(path)
  const first = Math.max(
    0,
    logs.findIndex((log) => log.inode === from?.inode),
  )
  const last = logs.findIndex((log) => log.inode === to.inode)
  const cursors: LogCursor[] = []
  for (const [n, log] of logs.entries()) {
    const start = log.inode === from?.inode ? from.size : 0
    const end = n === last ? to.size : Number.POSITIVE_INFINITY
    if (n >= first && n <= last) cursors.push(new LogCursor(log, start, end))
    else await log.handle.close()
  }
  return cursors
}

async function findTail(log: OpenLog, wanted: number): Promise<{ position: number; found: number }> {
  const { size } = await log.handle.stat()
  const chunk = Buffer.allocUnsafe(64 * 1024)
  let found = 0
  let lineEnd = -1
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - chunk.length)
    const { bytesRead } = await log.handle.read(chunk, 0, end - start, start)
    const view = chunk.subarray(0, bytesRead)
    for (let at = view.lastIndexOf(10); at !== -1; at = at === 0 ? -1 : view.lastIndexOf(10, at - 1)) {
      if (lineEnd !== -1) found += 1
      // What follows the last newline is a line still being written, not one of the last N.
      if (found === wanted) return { position: start + at + 1, found }
      lineEnd = start + at
    }
    end = start
  }
  return { position: 0, found: lineEnd === -1 ? found : found + 1 }
}

/** Resolves whenever something in the log's folder may have changed. */
export class LogWatcher implements Disposable {
  readonly #watcher
  #dirty = true
  #wake: (() => void) | undefined

  constructor(path: string) {
    this.#watcher = watch(dirname(path), () => this.poke())
    this.#watcher.on('error', () => this.poke())
  }

  poke(): void {
    this.#dirty = true
    this.#wake?.()
  }

  async changed(): Promise<void> {
    if (!this.#dirty) await new Promise<void>((wake) => (this.#wake = wake))
    this.#wake = undefined
    this.#dirty = false
  }

  [Symbol.dispose](): void {
    this.#watcher.close()
  }
}
