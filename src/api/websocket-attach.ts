/** Attach by WebSocket, for browsers and those who cannot hijack: binary messages both ways, streams unframed. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { pipeline, type Duplex } from 'node:stream'
import { createWebSocketStream, WebSocketServer } from 'ws'
import { DewarError } from '../base/errors.ts'
import type { Attached } from './attach.ts'
import { Unframe } from './unframe.ts'

/** Of one message from a client; a longer one ends the connection. Terminals and pipes are fed in small ones. */
const MAX_MESSAGE = 1024 * 1024

const server = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE, perMessageDeflate: false })

/** Throws invalid-argument for what is no WebSocket handshake, so that nothing is attached to before. */
export function checkHandshake(request: IncomingMessage): void {
  const key = request.headers['sec-websocket-key']
  const version = request.headers['sec-websocket-version']
  const asked = (request.headers.upgrade ?? '').toLowerCase() === 'websocket'
  if (
    asked &&
    key !== undefined &&
    /^[+/0-9A-Za-z]{22}==$/.test(key) &&
    (version === '13' || version === '8')
  )
    return
  throw new DewarError('invalid-argument', 'bad WebSocket handshake: attach/ws wants a WebSocket client')
}

/** As dockerd: the two output streams are not told apart, since one socket is meant for one of them. */
export function attachWebSocket(
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  { stream, tty }: Required<Attached>,
): void {
  let opened = false
  server.handleUpgrade(request, socket, head, (client) => {
    opened = true
    const messages = createWebSocketStream(client)
    // The client's end is its closing of the WebSocket, so it ends both ways; neither is a failure.
    pipeline(messages, stream, () => undefined)
    pipeline(tty ? [stream, messages] : [stream, new Unframe(), messages], () => release(messages, stream))
  })
  socket.once('close', () => {
    if (!opened) stream.destroy()
  })
}

function release(...streams: readonly Duplex[]): void {
  for (const stream of streams) stream.destroy()
}
