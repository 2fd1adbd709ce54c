/** The API over TCP: only for clients that show a certificate of our authority, since whoever reaches it is root. */
import { readFileSync } from 'node:fs'
import { createServer, type Server as SecureServer } from 'node:https'
import type { Server } from 'node:http'
import { DewarError, messageOf } from '../base/errors.ts'

export interface TlsFiles {
  /** Paths of PEM files. */
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export interface TcpAddress {
  readonly host: string
  readonly port: number
}

/** A handshake that takes longer is given up: it costs a connection and memory before anyone has shown who he is. */
const HANDSHAKE_MS = 10_000
/** As the plain server's, see src/api/server.ts. */
const MAX_HEADER_BYTES = 1024 * 1024

/**
 * Serves what `api` serves. A client without a certificate, or with one that `ca` has not signed for clients, does not
 * get past the handshake. Throws invalid-argument for files that cannot be read or do not fit together.
 */
export function secureServer(api: Server, files: TlsFiles): SecureServer {
  const server = makeServer(files)
  server.requestTimeout = 0
  server.keepAliveTimeout = 0
  server.on('request', (request, response) => api.emit('request', request, response))
  server.on('upgrade', (request, socket, head) => api.emit('upgrade', request, socket, head))
  server.on('clientError', (error, socket) => api.emit('clientError', error, socket))
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return server
}

function makeServer({ ca, cert, key }: TlsFiles): SecureServer {
  const pem = { ca: read('--tlscacert', ca), cert: read('--tlscert', cert), key: read('--tlskey', key) }
  try {
    return createServer({
      ...pem,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
      handshakeTimeout: HANDSHAKE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    })
  } catch (cause) {
    throw cannotStart(`the TLS files do not work: ${messageOf(cause)}`, cause)
  }
}

function read(flag: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw cannotStart(`reading ${flag} ${path}: ${messageOf(cause)}`, cause)
  }
}

function cannotStart(why: string, cause: unknown): DewarError {
  return new DewarError('invalid-argument', `Starting the engine failed: ${why}`, {
    cause,
    remedy:
      'give --tlscacert, --tlscert and --tlskey the PEM files of one authority, a server certificate and its key',
  })
}

export async function listenOnTcp(server: SecureServer, { host, port }: TcpAddress): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (cause: Error): void =>
      reject(
        new DewarError(
          'conflict',
          `Starting the engine failed: cannot listen on tcp://${host}:${port}: ${messageOf(cause)}`,
          {
            cause,
            remedy: 'listen elsewhere with -H',
          },
        ),
      )
    server.once('error', failed)
    server.listen({ host, port }, () => {
      server.off('error', failed)
      resolve()
    })
  })
}
