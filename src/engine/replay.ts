/** `attach` with logs: what was logged before, then the stream itself, joined where the one ends and the other begins. */
import { Readable, type Duplex } from 'node:stream'
import type { Container } from './container.ts'
import { LateStream } from './late-stream.ts'
import { frame } from './log-entry.ts'
import type { LogRange } from './log-files.ts'
import { readLogs } from './logs.ts'
import type { AttachRequest } from './types.ts'

/** `unfinished`: lines of stdout and stderr that had no newline yet at the end of the range. */
export function replay(
  container: Container,
  { stdout, stderr }: AttachRequest,
  range: LogRange,
  live: Duplex,
  unfinished: readonly [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)],
): Duplex {
  const tty = container.record.config.tty
  const past = readLogs(
    { path: container.paths.log, tty, ended: undefined, range },
    { follow: false, stdout, stderr, since: 0, until: 0, timestamps: false, details: false, tail: -1 },
    new AbortController().signal,
  )
  const middle = [
    stdout ? text(1, unfinished[0], tty) : undefined,
    stderr ? text(2, unfinished[1], tty) : undefined,
  ]
  const stream = new LateStream()
  stream.connect(
    live,
    Readable.from(
      inTurn(
        past,
        middle.filter((part) => part !== undefined),
      ),
      { objectMode: false },
    ),
  )
  return stream
}

function text(stream: 1 | 2, data: Buffer, tty: boolean): Buffer | undefined {
  if (data.length === 0) return undefined
  return tty ? data : frame(stream, data)
}

async function* inTurn(past: Readable, rest: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* past
  yield* rest
}

/**
 * A client that goes away makes Node's joined streams emit an AbortError; without a listener that would end the
 * engine. Whoever has the stream may listen too.
 */
export function patient<T extends Duplex>(stream: T): T {
  return stream.on('error', () => undefined)
}
