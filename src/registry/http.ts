/** One HTTP exchange with a stranger: no redirects followed, silence and size bounded. */
import http from 'node:http'
import https from 'node:https'
import type { Readable } from 'node:stream'
import { DewarError, errnoOf, messageOf } from '../base/errors.ts'

export interface HttpRequest {
  readonly method: string
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | AsyncIterable<Buffer>
  /** Accept any TLS certificate: only for registries that were configured so, and loopback. */
  readonly insecure?: boolean
  /** Milliseconds without a byte in either direction. */
  readonly stallMs: number
  readonly signal?: AbortSignal
}

export interface HttpResponse {
  readonly url: URL
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: Readable
}

const keepAlive = { keepAlive: true, maxSockets: 16, scheduling: 'lifo' } as const
const plainAgent = new http.Agent(keepAlive)
const tlsAgent = new https.Agent(keepAlive)
const insecureAgent = new https.Agent({ ...keepAlive, rejectUnauthorized: false })

/** The connection did not come about, broke or fell silent: trying again may help, unlike with an answer. */
export class ConnectionFailed extends Error {
  readonly errno: string
  constructor(request: HttpRequest, error: unknown) {
    const method = request.method.charAt(0) + request.method.slice(1).toLowerCase()
    super(`${method} "${request.url.href}": ${describe(error)}`, { cause: error })
    this.name = 'ConnectionFailed'
    this.errno = errnoOf(error) ?? ''
  }
}

const GO_WORDS: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'connect: connection refused'],
  ['ENOTFOUND', 'no such host'],
  ['ECONNRESET', 'connection reset'],
  ['ETIMEDOUT', 'i/o timeout'],
  ['EHOSTUNREACH', 'connect: no route to host'],
  ['EAI_AGAIN', 'temporary failure in name resolution'],
])

/** Go's words, which people know from dockerd. */
function describe(error: unknown): string {
  const words = GO_WORDS.get(errnoOf(error) ?? '')
  if (words === undefined) return messageOf(error)
  const at = error as { address?: unknown; port?: unknown; hostname?: unknown }
  if (typeof at.address === 'string') return `dial tcp ${at.address}:${String(at.port)}: ${words}`
  return typeof at.hostname === 'string' ? `dial tcp: lookup ${at.hostname}: ${words}` : words
}

export function exchange(request: HttpRequest): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const tls = request.url.protocol === 'https:'
    const agent = tls ? (request.insecure === true ? insecureAgent : tlsAgent) : plainAgent
    const outgoing = (tls ? https : http).request(request.url, {
      method: request.method,
      headers: { 'user-agent': 'dewar/0.1', ...request.headers },
      agent,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    })
    const failed = (error: unknown): void => {
      reject(
        request.signal?.aborted === true ? abortReason(request.signal) : new ConnectionFailed(request, error),
      )
    }
    let answer: http.IncomingMessage | undefined
    outgoing.setTimeout(request.stallMs, () => {
      // Once there is a body, its reader is the one to be told; the request would only say "aborted".
      const broken = answer ?? outgoing
      broken.destroy(
        new Error(`no data for ${request.stallMs / 1000} seconds (the registry or the network stalls)`),
      )
    })
    outgoing.once('error', failed)
    outgoing.once('response', (incoming) => {
      answer = incoming
      // Until the body is read, errors would be nobody's; its reader gets them as well.
      incoming.on('error', () => undefined)
      resolve({
        url: request.url,
        status: incoming.statusCode ?? 0,
        headers: incoming.headers,
        body: incoming,
      })
    })
    void sendBody(outgoing, request.body).catch((error: unknown) => outgoing.destroy(toError(error)))
  })
}

async function sendBody(outgoing: http.ClientRequest, body: HttpRequest['body']): Promise<void> {
  if (body === undefined || Buffer.isBuffer(body)) {
    outgoing.end(body)
    return
  }
  for await (const bytes of body) {
    if (outgoing.destroyed) return
    if (outgoing.write(bytes)) continue
    await new Promise<void>((resolve) => {
      const go = (): void => {
        outgoing.off('drain', go).off('close', go)
        resolve()
      }
      outgoing.once('drain', go).once('close', go)
    })
  }
  outgoing.end()
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  if (reason instanceof DewarError) return reason
  return new DewarError('system', 'The operation was cancelled: context canceled', { cause: reason })
}

/** The whole body; throws when it is longer than `max` bytes. */
export async function bodyOf(response: HttpResponse, max: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  try {
    for await (const part of response.body) {
      if (!Buffer.isBuffer(part)) continue
      bytes += part.length
      if (bytes > max) {
        throw new DewarError(
          'system',
          `Reading ${response.url.href} failed: the answer is longer than ${max} bytes`,
        )
      }
      parts.push(part)
    }
  } catch (error) {
    if (error instanceof DewarError) throw error
    throw new ConnectionFailed({ method: 'GET', url: response.url, stallMs: 0 }, error)
  } finally {
    response.body.destroy()
  }
  return Buffer.concat(parts)
}

/** Gives the connection back without an interest in the body. */
export function drain(response: HttpResponse): void {
  const length = Number(response.headers['content-length'] ?? Number.NaN)
  if (length <= 64 * 1024) response.body.resume()
  else response.body.destroy()
}
