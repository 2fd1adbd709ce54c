import { Agent, request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import { addAbortSignal } from 'node:stream'
import type { Duplex, Readable } from 'node:stream'
import { formatAddress } from './address.ts'
import type { Address } from './address.ts'
import { bytesOf } from './bytes.ts'
import { ClientError } from './error.ts'

/** Query values as Docker's clients send them: undefined and false are left out, true is "1". */
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD'
  readonly path: string
  readonly query?: Query
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as it is (tar archives). */
  readonly body?: Readable
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

const GOES_WITHOUT_VERSION = new Set(['/_ping'])

/** One engine's HTTP connection pool. Everything above it speaks in Docker's words; only this file knows HTTP. */
export class Transport {
  readonly address: Address
  /** The API version used in paths, e.g. "1.44"; undefined before negotiation. */
  version: string | undefined
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Infinity })

  constructor(address: Address) {
    this.address = address
  }

  /** Sends a call and gives the response's head; its body has not been read. Throws ClientError on status ≥ 400. */
  async send(call: Call): Promise<IncomingMessage> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpRequest(this.#options(call, {}))
      abortable(request, call.signal)
      request.once('response', resolve)
      request.once('error', (error) => reject(this.#unanswered(error)))
      writeBody(request, call, reject)
    })
    if ((response.statusCode ?? 0) >= 400) throw await errorOf(response)
    return response
  }

  /** Sends a call and gives the body as text. */
  async text(call: Call): Promise<string> {
    const response = await this.send(call)
    return readText(response)
  }

  /** Sends a call and gives the parsed JSON body; `undefined` for an empty one. */
  async json(call: Call): Promise<unknown> {
    const text = await this.text(call)
    if (text.trim() === '') return undefined
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw new ClientError(
        0,
        `reading the engine's answer to ${call.method} ${call.path} failed: it is not JSON`,
        { cause },
      )
    }
  }

  /**
   * Asks to take over the connection (attach, exec). The duplex carries raw bytes both ways; `end()` closes only our
   * side, the engine's bytes go on arriving.
   */
  async hijack(call: Call): Promise<Duplex> {
    return new Promise<Duplex>((resolve, reject) => {
      const request = httpRequest({
        ...this.#options(call, { Connection: 'Upgrade', Upgrade: 'tcp' }),
        agent: false,
      })
      abortable(request, call.signal)
      request.once('upgrade', (_response, socket, head) => {
        if (call.signal !== undefined) addAbortSignal(call.signal, socket)
        if (head.length > 0) socket.unshift(head)
        resolve(socket)
      })
      request.once('response', (response) => {
        if ((response.statusCode ?? 0) >= 400) {
          errorOf(response).then(reject, reject)
          return
        }
        response.destroy()
        reject(
          new ClientError(0, `attaching failed: the engine answered ${response.statusCode} instead of 101`),
        )
      })
      request.once('error', (error) => reject(this.#unanswered(error)))
      writeBody(request, call, reject)
    })
  }

  close(): void {
    this.#agent.destroy()
  }

  #options(call: Call, extra: Record<string, string>): RequestOptions {
    const prefix =
      this.version === undefined || GOES_WITHOUT_VERSION.has(call.path) ? '' : `/v${this.version}`
    const type =
      call.json === undefined
        ? call.body === undefined
          ? {}
          : { 'Content-Type': 'application/x-tar' }
        : { 'Content-Type': 'application/json' }
    const target =
      this.address.kind === 'unix'
        ? { socketPath: this.address.path, headers: { Host: 'localhost' } }
        : { host: this.address.host, port: this.address.port, headers: {} }
    return {
      ...target,
      agent: this.#agent,
      method: call.method,
      path: `${prefix}${call.path}${queryString(call.query)}`,
      headers: { ...target.headers, 'User-Agent': 'dewar', ...type, ...extra, ...call.headers },
    }
  }

  #unanswered(error: NodeJS.ErrnoException): ClientError {
    if (error.name === 'AbortError')
      return new ClientError(0, 'context canceled', { cause: error, code: 'ABORT_ERR' })
    const where = formatAddress(this.address)
    const code = error.code ?? ''
    if (code === 'ENOENT' || code === 'ECONNREFUSED') {
      return new ClientError(
        0,
        `Cannot connect to the Docker daemon at ${where}. Is the docker daemon running?${this.#remedy}`,
        { cause: error, code },
      )
    }
    if (code === 'EACCES') {
      return new ClientError(
        0,
        `permission denied while trying to connect to the Docker daemon socket at ${where} (run as root, or as a member of the socket's group)`,
        { cause: error, code },
      )
    }
    const why = `error during connect to ${where}: ${error.message}${this.#remedy}`
    return new ClientError(0, why, { cause: error, code })
  }

  /** Over TCP there is no socket to look at; for the local one Docker's words say it all. */
  get #remedy(): string {
    if (this.address.kind === 'unix') return ''
    return ' (check host and port of -H or DOCKER_HOST, and that an engine was started with that -H; an engine with --tlsverify is reached by the docker client)'
  }
}

/**
 * Not by the option `signal`: it destroys the request, which Node (20) takes for ended when the rest of the answer is there
 * already, so that its connection fails with nobody listening. Whoever reads the answer is told by the reading.
 */
function abortable(request: ClientRequest, signal: AbortSignal | undefined): void {
  if (signal === undefined) return
  let reached: ClientRequest | IncomingMessage = request
  const abort = (): void => {
    const error = new Error('The operation was aborted', { cause: signal.reason })
    reached.destroy(Object.assign(error, { name: 'AbortError', code: 'ABORT_ERR' }))
  }
  request.once('response', (response) => {
    reached = response.on('error', () => undefined)
  })
  request.once('close', () => signal.removeEventListener('abort', abort))
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort, { once: true })
}

function writeBody(request: ClientRequest, call: Call, reject: (error: Error) => void): void {
  if (call.json !== undefined) {
    const bytes = Buffer.from(JSON.stringify(call.json))
    request.setHeader('Content-Length', bytes.length)
    request.end(bytes)
    return
  }
  if (call.body === undefined) {
    request.end()
    return
  }
  call.body.once('error', (error) => {
    request.destroy(error)
    reject(error)
  })
  // Headers at once: an engine may refuse the upload (404, 409) before the first byte of it exists.
  request.flushHeaders()
  call.body.pipe(request)
}

function queryString(query: Query | undefined): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === false) continue
    for (const item of Array.isArray(value) ? value : [value])
      params.append(key, item === true ? '1' : String(item))
  }
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}

/** All of a body as text. */
export async function readText(body: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of bytesOf(body)) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

async function errorOf(response: IncomingMessage): Promise<ClientError> {
  const status = response.statusCode ?? 0
  const text = (await readText(response)).trim()
  return new ClientError(
    status,
    messageIn(text) ?? (text === '' ? `the engine answered with status ${status}` : text),
  )
}

function messageIn(text: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== 'object' || parsed === null || !('message' in parsed)) return undefined
    return typeof parsed.message === 'string' ? parsed.message : undefined
  } catch {
    return undefined
  }
}
