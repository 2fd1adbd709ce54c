/** HTTP spoken by hand and by Node, to say what no client library would. */
import { request } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { Served } from './fake-engine.ts'

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Ask {
  readonly method?: string
  readonly json?: unknown
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
}

/** One request on a connection of its own. */
export function ask(
  { socketPath }: Pick<Served, 'socketPath'>,
  path: string,
  options: Ask = {},
): Promise<Reply> {
  const body = options.json === undefined ? options.body : JSON.stringify(options.json)
  const headers = {
    ...(options.json === undefined ? {} : { 'content-type': 'application/json' }),
    ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    ...options.headers,
  }
  return new Promise((resolve, reject) => {
    const call = request(
      { socketPath, path, method: options.method ?? 'GET', headers, agent: false },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        )
        response.on('error', reject)
      },
    )
    call.on('error', reject)
    call.end(body)
  })
}

export function dial({ socketPath }: Pick<Served, 'socketPath'>): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath, allowHalfOpen: true })
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Everything until the other side ends, bounded. */
export function readAll(socket: Socket, limit = 1 << 20): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    socket.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) socket.destroy(new Error(`more than ${limit} bytes`))
      chunks.push(chunk)
    })
    socket.resume()
    socket.once('end', () => resolve(Buffer.concat(chunks)))
    socket.once('close', () => resolve(Buffer.concat(chunks)))
    socket.once('error', reject)
  })
}

/** Reads up to and with the empty line after the headers; what follows is given back to the socket. */
export function readHead(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let have = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      have = Buffer.concat([have, chunk])
      const end = have.indexOf('\r\n\r\n')
      if (end === -1) return
      socket.off('data', onData)
      socket.pause()
      if (have.length > end + 4) socket.unshift(have.subarray(end + 4))
      resolve(have.subarray(0, end + 4).toString())
    }
    socket.on('data', onData)
    socket.once('error', reject)
  })
}
