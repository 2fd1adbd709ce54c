/**
 * The raw connections of attach and exec: after the answer's headers the socket belongs to the container.
 * Bytes go through unread: the frames are made by the shim, so no frame is parsed here.
 */
import { STATUS_CODES } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { messageOf } from '../base/errors.ts'

/** A client that stopped sending may still be reading; this often we look whether it is gone. */
const PROBE_MS = 5_000
/** After the output's end the client gets this long to close its side. */
const LINGER_MS = 5_000
const NOTHING = Buffer.alloc(0)

export const RAW = 'application/vnd.docker.raw-stream'
export const MULTIPLEXED = 'application/vnd.docker.multiplexed-stream'

/** API 1.42 began to tell multiplexed from raw. */
export function streamType(tty: boolean, minor: number): string {
  return tty || minor < 42 ? RAW : MULTIPLEXED
}

/** `size`: bytes to which the answer is filled up; see client-quirks. */
export function writeUpgraded(socket: Socket, contentType: string, headers: string, size = 0): void {
  const head = `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${headers}`
  const room = size - Buffer.byteLength(`${head}X-Padding: \r\n\r\n`)
  const padding = room > 0 ? `X-Padding: ${'.'.repeat(room)}\r\n` : ''
  socket.write(`${head}${padding}\r\n`)
}

/** The answer on a connection that asked to be upgraded and is not. */
export function refuseUpgrade(socket: Socket, status: number, message: string, headers: string): void {
  const body = status === 304 ? '' : `${JSON.stringify({ message })}\n`
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n${headers}\r\n${body}`,
  )
  socket.resume()
  lingerThenDestroy(socket)
}

/**
 * Joins a client's socket and a container's stream until the container's output ends or the client is gone.
 * `head` are bytes that came with the request's headers. The client's half-close becomes end of standard input.
 * `pause`: milliseconds the output is held back; see client-quirks.
 */
export function splice(socket: Socket, stream: Duplex, head: Buffer, pause = 0): void {
  socket.setTimeout(0)
  socket.setNoDelay(true)
  const probe = probeWhenHalfClosed(socket)
  if (head.length > 0) socket.unshift(head)
  socket.pipe(stream, { end: true })
  afterPause(pause, () => stream.pipe(socket, { end: false }))

  stream.once('end', () => {
    socket.unpipe(stream)
    // What the client still sends has no reader; unread bytes at close would reset its side before it has read all.
    socket.resume()
    socket.end()
    lingerThenDestroy(socket)
  })
  stream.once('error', (error) => {
    process.stderr.write(`attached stream broke: ${messageOf(error)}\n`)
    socket.destroy()
  })
  stream.once('close', () => {
    if (!stream.readableEnded) socket.destroy()
  })
  socket.on('error', () => socket.destroy())
  socket.once('close', () => {
    clearInterval(probe)
    releaseStream(stream)
  })
  // The socket may have been closed while the engine was asked.
  if (socket.destroyed) releaseStream(stream)
}

function afterPause(pause: number, begin: () => void): void {
  if (pause === 0) begin()
  else setTimeout(begin, pause)
}

/** Input that was sent before the client went still reaches the container. */
function releaseStream(stream: Duplex): void {
  if (!stream.writableEnded || stream.writableFinished) {
    stream.destroy()
    return
  }
  const timer = setTimeout(() => stream.destroy(), LINGER_MS).unref()
  stream.resume()
  stream.once('finish', () => stream.destroy())
  stream.once('close', () => clearTimeout(timer))
}

/**
 * A client that half-closed and one that died look alike to a reader. Writing no bytes tells them apart: with the
 * peer gone the kernel answers EPIPE (unix_stream_sendmsg checks the shutdown before the length), and a container
 * that prints nothing would otherwise keep the session for ever.
 */
function probeWhenHalfClosed(socket: Socket): NodeJS.Timeout {
  const probe = (): void => {
    if (socket.readableEnded && socket.writable && socket.writableLength === 0) socket.write(NOTHING)
  }
  socket.once('end', probe)
  return setInterval(probe, PROBE_MS).unref()
}

function lingerThenDestroy(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref()
  socket.once('end', () => {
    if (socket.writableFinished) socket.destroy()
    else socket.once('finish', () => socket.destroy())
  })
  socket.once('close', () => clearTimeout(timer))
}

/**
 * Without `Upgrade` the same stream is the body of a 200, ended by the connection's end. dockerd calls it raw whatever
 * it holds, from every version of the API.
 */
export function streamAsBody(response: ServerResponse, stream: Duplex, pause: number): void {
  // Clients such as docker-py read the raw socket past the headers, so there must be no chunk framing.
  response.useChunkedEncodingByDefault = false
  response.writeHead(200, { 'Content-Type': RAW, Connection: 'close' })
  response.flushHeaders()
  afterPause(pause, () => stream.pipe(response))
  stream.once('error', (error) => {
    process.stderr.write(`attached stream broke: ${messageOf(error)}\n`)
    response.destroy()
  })
  response.once('close', () => stream.destroy())
}
