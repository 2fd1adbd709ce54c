/**
 * Sockets that the core makes in a container's network namespace and hands to this process, which cannot enter one
 * itself. Node.js takes descriptors on one kind of pipe only: the `ipc` channel of a child process, beside a line of
 * JSON in the words of its own `child.send(message, handle)`. Those words are not documented, but are what two
 * Node.js of different versions must agree on; suites/native/lent-sockets.test.ts fails should they ever change.
 * docs/decisions/0110-name-server.md.
 */
import { Socket as UdpSocket } from 'node:dgram'
import { Server } from 'node:net'

export type LentSocket = UdpSocket | Server
export type OnLent = (name: string, socket: LentSocket) => void

/** What the core writes beside the descriptor. `name` comes back in `takeLent`. */
export function lendingLine(protocol: 'tcp' | 'udp' | 'sctp', name: string): string {
  const kind = protocol === 'udp' ? { type: 'dgram.Socket', dgramType: 'udp4' } : { type: 'net.Server' }
  return `${JSON.stringify({ cmd: 'NODE_HANDLE', ...kind, msg: { lent: name } })}\n`
}

/** A message of the channel: gives the socket to who wants it, closes it otherwise. */
export function takeLent(message: unknown, handle: unknown, wanted: OnLent | undefined): void {
  if (!(handle instanceof UdpSocket) && !(handle instanceof Server)) return
  // A socket without a listener for its errors ends the process.
  handle.on('error', () => undefined)
  const name = typeof message === 'object' && message !== null && 'lent' in message ? message.lent : undefined
  if (wanted !== undefined && typeof name === 'string') wanted(name, handle)
  else handle.close()
}
