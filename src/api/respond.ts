/** Answers: JSON with dockerd's headers, raw byte streams, lines of progress. */
import type { ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FastifyReply } from 'fastify'
import { DewarError, messageOf } from '../base/errors.ts'
import type { OnProgress, Progress } from '../engine/types.ts'
import { answerFor } from './error-answer.ts'

/** Progress bars are dropped, other lines are not, while this much waits for a slow client. */
const SLOW_CLIENT_BYTES = 256 * 1024

/** dockerd ends each JSON answer with a line feed and names no charset; to text fastify would add one. */
export function sendJson(reply: FastifyReply, value: unknown, status = 200): FastifyReply {
  return reply
    .code(status)
    .header('content-type', 'application/json')
    .send(Buffer.from(`${JSON.stringify(value)}\n`))
}

export function sendEmpty(reply: FastifyReply, status: number): FastifyReply {
  return reply.code(status).send()
}

/** Aborts when the client goes away before the answer is complete. */
export function abortOnClose(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) controller.abort()
  })
  if (response.destroyed) controller.abort()
  return controller.signal
}

/**
 * Sends a stream as it comes. An error before the first byte becomes a proper answer; a later one cuts the
 * connection, so that the client cannot take half for the whole. `eager` sends the headers at once.
 */
export async function sendStream(
  reply: FastifyReply,
  stream: Readable,
  contentType: string,
  options: { readonly eager?: boolean } = {},
): Promise<FastifyReply> {
  if (options.eager !== true) await firstByte(stream)
  const response = reply.hijack().raw
  response.setHeader('Content-Type', contentType)
  response.flushHeaders()
  try {
    await pipeline(stream, response)
  } catch (error) {
    // A client that left is no failure of ours; anything else deserves a line.
    if (!isPrematureClose(error)) process.stderr.write(`stream to client broke: ${messageOf(error)}\n`)
    response.destroy()
  }
  return reply
}

function isPrematureClose(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false
  return (
    error.code === 'ERR_STREAM_PREMATURE_CLOSE' ||
    error.code === 'EPIPE' ||
    error.code === 'ECONNRESET' ||
    error.code === 'ABORT_ERR'
  )
}

function firstByte(stream: Readable): Promise<void> {
  if (stream.readableLength > 0 || stream.readableEnded) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      stream.off('readable', onReadable).off('error', settle).off('close', onClose)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onReadable = (): void => settle()
    const onClose = (): void => settle(stream.errored ?? undefined)
    stream.on('readable', onReadable).on('error', settle).on('close', onClose)
  })
}

/**
 * Runs `work` and sends what it reports as Docker's lines of JSON. Headers go out with the first line, so a failure
 * before it is answered with its status, a later one with an error line, as dockerd does.
 */
export async function sendProgress(
  reply: FastifyReply,
  work: (onProgress: OnProgress, signal: AbortSignal, ready: () => Promise<void>) => Promise<Progress | void>,
): Promise<FastifyReply> {
  const response = reply.raw
  const lines = new ProgressLines(reply)
  const signal = abortOnClose(response)
  try {
    const last = await work(
      (progress) => lines.write(progress),
      signal,
      () => drained(response),
    )
    if (last !== undefined) lines.write(last)
  } catch (error) {
    // Nobody is there to be told, and leaving is no failure.
    if (signal.aborted) return reply.hijack()
    if (!lines.started) throw error
    const { message } = answerFor(error)
    const code =
      error instanceof DewarError && error.exitStatus !== undefined ? { code: error.exitStatus } : {}
    lines.writeRaw({ errorDetail: { ...code, message }, error: message })
  }
  lines.end()
  return reply
}

/** Resolves when the client has taken what waits for it, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  if (!response.writableNeedDrain || response.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const settle = (): void => {
      response.off('drain', settle).off('close', settle)
      resolve()
    }
    response.on('drain', settle).on('close', settle)
  })
}

class ProgressLines {
  readonly #reply: FastifyReply
  started = false

  constructor(reply: FastifyReply) {
    this.#reply = reply
  }

  write(progress: Progress): void {
    const bar = progress.progressDetail?.current !== undefined
    if (bar && this.#reply.raw.writableLength > SLOW_CLIENT_BYTES) return
    this.writeRaw(
      progress.error === undefined ? progress : { errorDetail: { message: progress.error }, ...progress },
    )
  }

  writeRaw(line: object): void {
    this.#start()
    if (!this.#reply.raw.destroyed) this.#reply.raw.write(`${JSON.stringify(line)}\r\n`)
  }

  end(): void {
    this.#start()
    this.#reply.raw.end()
  }

  #start(): void {
    if (this.started) return
    this.started = true
    this.#reply.hijack()
    this.#reply.raw.setHeader('Content-Type', 'application/json')
    this.#reply.raw.flushHeaders()
  }
}
