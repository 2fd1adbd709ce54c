/**
 * The name server at 127.0.0.11. It listens on sockets that the core makes in each container's own network namespace
 * (name-steps.ts): which socket a question comes by says which container asks, nothing in a packet can.
 *
 * The enemy: a container that floods, sends nonsense, or builds a loop of forwarders. Each has a budget of questions
 * per second (the kernel keeps it too, see name-steps.ts), of questions on their way outside, and of connections.
 */
import { Socket as UdpSocket } from 'node:dgram'
import type { Server, Socket } from 'node:net'
import { RCODE, encodeAnswer, parseQuery, type Query } from './dns-message.ts'
import { decide, shuffled, type ContainerNames } from './name-answer.ts'
import { askOutside, framed, HostServers, type Protocol } from './name-forward.ts'

/** Of one container. */
export const LIMITS = {
  /** Questions per second, and how many may come at once. */
  rate: 5000,
  /** Questions on their way outside: each holds a socket of the engine's. */
  forwards: 100,
  connections: 32,
  /** Milliseconds a connection may be silent. */
  idle: 10_000,
} as const
/** Of all containers together: the engine has other uses for its descriptors. */
const ALL_FORWARDS = 1000
const TCP_MOST = 65_535

export interface NameServerOptions {
  /** What the container may know now; undefined: nothing, it is gone. */
  readonly names: (containerId: string) => ContainerNames | undefined
  readonly hostServers?: HostServers
  /** Of the servers outside; 53 but in tests. */
  readonly port?: number
}

interface Client {
  readonly id: string
  readonly udp: Set<UdpSocket>
  readonly tcp: Set<Server>
  readonly connections: Set<Socket>
  readonly gone: AbortController
  forwards: number
  /** Tokens left, and when they were counted. */
  tokens: number
  counted: number
}

export class NameServer {
  readonly #options: NameServerOptions
  readonly #hostServers: HostServers
  readonly #clients = new Map<string, Client>()
  #forwards = 0

  constructor(options: NameServerOptions) {
    this.#options = options
    this.#hostServers = options.hostServers ?? new HostServers()
  }

  /** From now on the container is heard on this socket, too; closed when the container has gone meanwhile. */
  listen(containerId: string, socket: UdpSocket | Server): void {
    if (this.#options.names(containerId) === undefined) {
      socket.close()
      return
    }
    const client = this.#clients.get(containerId) ?? newClient(containerId)
    this.#clients.set(containerId, client)
    // The engine's other work keeps it alive, not this.
    socket.unref()
    if (socket instanceof UdpSocket) {
      client.udp.add(socket)
      socket.on('message', (packet, from) => {
        if (from.port === 0) return
        // One question must not end the engine, whatever is wrong with it or with us.
        this.#serve(client, packet, 'udp', (reply) => sendTo(socket, reply, from)).catch(() => undefined)
      })
    } else {
      client.tcp.add(socket)
      socket.maxConnections = LIMITS.connections
      socket.on('connection', (connection: Socket) => this.#serveConnection(client, connection))
    }
  }

  /** The container is gone, or its sockets are about to be replaced. */
  forget(containerId: string): void {
    const client = this.#clients.get(containerId)
    if (client === undefined) return
    this.#clients.delete(containerId)
    client.gone.abort()
    for (const socket of client.udp) socket.close()
    for (const server of client.tcp) server.close()
    for (const connection of client.connections) connection.destroy()
  }

  close(): void {
    for (const id of [...this.#clients.keys()]) this.forget(id)
  }

  async #serve(
    client: Client,
    packet: Buffer,
    protocol: Protocol,
    send: (reply: Buffer) => void,
  ): Promise<void> {
    if (!takeToken(client)) return
    const parsed = parseQuery(packet)
    if (parsed.kind === 'ignore') return
    if (parsed.kind === 'refuse') return send(parsed.reply)
    const { query } = parsed
    const limit = protocol === 'udp' ? query.udpSize : TCP_MOST
    const names = this.#options.names(client.id)
    if (names === undefined) return
    const decision = decide(query, names, shuffled)
    if (decision.kind === 'answer') return send(encodeAnswer(query, decision.answer, limit))
    const reply = await this.#forward(client, query, protocol, names)
    if (client.gone.signal.aborted) return
    // Who lies outside cannot send more than was asked for either.
    if (reply !== undefined && reply.length <= limit) send(reply)
    else send(encodeAnswer(query, reply === undefined ? NO_ANSWER : TOO_LARGE, limit))
  }

  async #forward(
    client: Client,
    query: Query,
    protocol: Protocol,
    names: ContainerNames,
  ): Promise<Buffer | undefined> {
    if (client.forwards >= LIMITS.forwards || this.#forwards >= ALL_FORWARDS) return undefined
    client.forwards += 1
    this.#forwards += 1
    const { port } = this.#options
    try {
      return await askOutside({
        query,
        protocol,
        servers: names.servers ?? this.#hostServers.get(),
        signal: client.gone.signal,
        ...(port === undefined ? {} : { port }),
      })
    } finally {
      client.forwards -= 1
      this.#forwards -= 1
    }
  }

  /** Messages behind their lengths, one after the other: a client that does not read gets no further ones answered. */
  #serveConnection(client: Client, connection: Socket): void {
    client.connections.add(connection)
    connection.setTimeout(LIMITS.idle, () => connection.destroy())
    connection.on('error', () => undefined)
    connection.on('close', () => client.connections.delete(connection))
    let got: Buffer = Buffer.alloc(0)
    let busy = false
    const next = async (): Promise<void> => {
      if (busy) return
      busy = true
      connection.pause()
      while (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0) && !connection.destroyed) {
        const end = 2 + got.readUInt16BE(0)
        const packet = got.subarray(2, end)
        got = got.subarray(end)
        await this.#serve(client, packet, 'tcp', (reply) => connection.write(framed(reply)))
        if (connection.writableNeedDrain) await drained(connection)
      }
      busy = false
      connection.resume()
    }
    connection.on('data', (chunk: Buffer) => {
      got = Buffer.concat([got, chunk])
      next().catch(() => connection.destroy())
    })
  }
}

const NO_ANSWER = { rcode: RCODE.serverFailure, records: [], ttl: 0 }
const TOO_LARGE = { rcode: RCODE.ok, records: [], ttl: 0, isCut: true } as const

function newClient(id: string): Client {
  return {
    id,
    udp: new Set(),
    tcp: new Set(),
    connections: new Set(),
    gone: new AbortController(),
    forwards: 0,
    tokens: LIMITS.rate,
    counted: performance.now(),
  }
}

/** Whether the container may ask one more question now. */
function takeToken(client: Client): boolean {
  const now = performance.now()
  const earned = ((now - client.counted) / 1000) * LIMITS.rate
  client.tokens = Math.min(LIMITS.rate, client.tokens + earned)
  client.counted = now
  if (client.tokens < 1) return false
  client.tokens -= 1
  return true
}

function sendTo(socket: UdpSocket, reply: Buffer, to: { port: number; address: string }): void {
  try {
    // A receiver that is gone is no error of ours.
    socket.send(reply, to.port, to.address, () => undefined)
  } catch {
    // Closed while the answer was on its way.
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('drain', resolve)
    socket.once('close', () => resolve())
  })
}
