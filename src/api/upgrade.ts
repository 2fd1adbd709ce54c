/** Requests with an `Upgrade` header: attach and exec become raw connections, everything else is told no. */
import { ServerResponse } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { DewarError } from '../base/errors.ts'
import type { EngineApi } from '../engine/types.ts'
import { minorVersion, withoutVersion } from './api-version.ts'
import { headerSize, pauseAfterHeaders } from './client-quirks.ts'
import { attachContainer, startExec } from './attach.ts'
import { answerFor } from './error-answer.ts'
import { refuseUpgrade, splice, streamType, writeUpgraded } from './hijack.ts'
import { parseJson, requireJsonType } from './read-json.ts'
import { attachWebSocket, checkHandshake } from './websocket-attach.ts'

/** What exec/start sends is a few dozen bytes. */
const MAX_BODY = 64 * 1024
const BODY_TIMEOUT_MS = 30_000

const ATTACH = /^\/containers\/([^?]+)\/attach$/
const ATTACH_WS = /^\/containers\/([^?]+)\/attach\/ws$/
const EXEC_START = /^\/exec\/([^?]+)\/start$/

/** `headers` are the raw lines every answer carries. */
export function serveUpgrades(server: Server, engine: EngineApi, headers: string): void {
  server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    if (!isSocket(stream)) return
    stream.on('error', () => stream.destroy())
    upgrade(server, engine, headers, request, stream, head).catch((error: unknown) => {
      const { status, message } = answerFor(error)
      refuseUpgrade(stream, status, message, headers)
    })
  })
}

/** Node types the socket as a Duplex for the sake of TLS; ours come from a net.Server. */
function isSocket(stream: Duplex): stream is Socket {
  return 'setNoDelay' in stream
}

async function upgrade(
  server: Server,
  engine: EngineApi,
  headers: string,
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
): Promise<void> {
  const url = new URL(withoutVersion(request.url ?? '/'), 'http://localhost')
  const attach = ATTACH.exec(url.pathname)?.[1]
  const exec = EXEC_START.exec(url.pathname)?.[1]
  const byWebSocket = request.method === 'GET' ? ATTACH_WS.exec(url.pathname)?.[1] : undefined
  if (byWebSocket !== undefined) {
    checkHandshake(request)
    const { stream, tty } = await attachContainer(engine, decodeURIComponent(byWebSocket), url.searchParams)
    if (stream !== undefined) attachWebSocket(request, socket, head, { stream, tty })
    return
  }
  if (request.method !== 'POST' || (attach === undefined && exec === undefined)) {
    return serveWithoutUpgrade(server, request, socket)
  }
  const minor = minorVersion(request.url ?? '/')
  const { body, rest } = await readBody(request, socket, head)
  const { stream, tty } =
    attach !== undefined
      ? await attachContainer(
          engine,
          decodeURIComponent(attach),
          url.searchParams,
          request.headers['user-agent'],
        )
      : await startExec(engine, decodeURIComponent(exec ?? ''), body)
  if (stream === undefined) {
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n${headers}\r\n`)
    return
  }
  const agent = request.headers['user-agent']
  writeUpgraded(socket, streamType(tty, minor), headers, headerSize(agent))
  splice(socket, stream, rest, pauseAfterHeaders(agent))
}

/**
 * A server may ignore `Upgrade` (RFC 9110, 7.8); curl --http2 sends it with every GET. Requests with a body cannot
 * be handed back to Node's parser, so they are refused.
 */
function serveWithoutUpgrade(server: Server, request: IncomingMessage, socket: Socket): void {
  const url = withoutVersion(request.url ?? '/')
  if (request.method === 'POST' && /^\/(session|grpc)(\?|$)/.test(url)) {
    throw new DewarError(
      'not-implemented',
      'BuildKit sessions are not served by Dewar; build with DOCKER_BUILDKIT=0',
    )
  }
  const hasBody =
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0
  if (hasBody)
    throw new DewarError(
      'invalid-argument',
      'only attach and exec can be upgraded: send the request without the Upgrade header',
    )
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  response.once('finish', () => socket.end())
  server.emit('request', request, response)
}

/** The JSON body, which Node leaves on an upgraded socket, and the first bytes of the stream after it. */
async function readBody(
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
): Promise<{ body: unknown; rest: Buffer }> {
  if (request.headers['transfer-encoding'] !== undefined) return readChunkedBody(request, socket, head)
  const length = Number(request.headers['content-length'] ?? 0)
  if (!Number.isSafeInteger(length) || length > MAX_BODY) {
    throw new DewarError('too-large', `request body is larger than ${MAX_BODY} bytes`)
  }
  const bytes = await readAtLeast(socket, head, (have) => (have.length >= length ? length : undefined))
  const body = bytes.subarray(0, length)
  if (length === 0) return { body: undefined, rest: bytes }
  // dockerd reads no body for attach; clients send "{}" or "null" there with any content type.
  if (request.url?.includes('/attach') !== true) requireJsonType(request.headers['content-type'])
  return {
    body: request.url?.includes('/attach') === true ? undefined : parseJson(body),
    rest: bytes.subarray(length),
  }
}

/** One chunk and the end mark, which is all that clients send. */
async function readChunkedBody(
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
): Promise<{ body: unknown; rest: Buffer }> {
  const form = /^([0-9a-fA-F]{1,4})[^\r\n]*\r\n/
  const end = (have: Buffer): number | undefined => {
    const text = have.toString('latin1')
    if (/^0+\r\n\r\n/.test(text)) return text.indexOf('\r\n\r\n') + 4
    const size = form.exec(text)
    if (size === null) return undefined
    const after = size[0].length + Number.parseInt(size[1] ?? '0', 16)
    const tail = /^\r\n0+\r\n\r\n/.exec(text.slice(after))
    return tail === null ? undefined : after + tail[0].length
  }
  const bytes = await readAtLeast(socket, head, end)
  const text = bytes.toString('latin1')
  const length = end(bytes) ?? 0
  const size = form.exec(text)
  if (size === null || Number.parseInt(size[1] ?? '0', 16) === 0)
    return { body: undefined, rest: bytes.subarray(length) }
  requireJsonType(request.headers['content-type'])
  const start = size[0].length
  return {
    body: parseJson(bytes.subarray(start, start + Number.parseInt(size[1] ?? '0', 16))),
    rest: bytes.subarray(length),
  }
}

/** Reads until `enough` says how many bytes are needed. Leaves the socket paused. */
function readAtLeast(
  socket: Socket,
  head: Buffer,
  enough: (have: Buffer) => number | undefined,
): Promise<Buffer> {
  if (enough(head) !== undefined) return Promise.resolve(head)
  return new Promise((resolve, reject) => {
    let have = head
    const done = (settle: () => void): void => {
      clearTimeout(timer)
      socket.off('data', onData).off('end', onEnd).off('close', onEnd)
      socket.pause()
      settle()
    }
    const onData = (chunk: Buffer): void => {
      have = Buffer.concat([have, chunk])
      if (enough(have) !== undefined) done(() => resolve(have))
      else if (have.length > MAX_BODY)
        done(() => reject(new DewarError('too-large', `request body is larger than ${MAX_BODY} bytes`)))
    }
    const onEnd = (): void =>
      done(() => reject(new DewarError('invalid-argument', 'invalid JSON: unexpected EOF')))
    const timer = setTimeout(
      () => done(() => reject(new DewarError('invalid-argument', 'request body did not arrive in time'))),
      BODY_TIMEOUT_MS,
    )
    socket.on('data', onData).on('end', onEnd).on('close', onEnd)
  })
}
