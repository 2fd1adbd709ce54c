/**
 * Asking servers outside: one question at a time to one server after the other, each from a socket of its own with a
 * random port and number, so that an answer is hard to forge (RFC 5452). From the host's network namespace: servers
 * on the host's loopback (systemd-resolved, dnsmasq) are reached as the host reaches them.
 */
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { readFileSync, statSync } from 'node:fs'
import { connect, isIP, isIPv6 } from 'node:net'
import { RCODE, isReplyTo, rcodeOf, type Query } from './dns-message.ts'

const PORT = 53
/** As many as resolv.conf(5) has. */
const MOST_SERVERS = 3
/** Milliseconds for one server; the client (glibc, musl: 5 s) shall still be there when the second answers. */
const PATIENCE = { only: 4500, oneOfSeveral: 2000 } as const

export type Protocol = 'udp' | 'tcp'

export interface Question {
  readonly query: Query
  readonly protocol: Protocol
  readonly servers: readonly string[]
  readonly signal: AbortSignal
  /** 53 but in tests. */
  readonly port?: number
}

/** The answer with the client's own number; undefined when no server gave one. */
export async function askOutside(question: Question): Promise<Buffer | undefined> {
  const servers = question.servers.slice(0, MOST_SERVERS)
  const patience = servers.length > 1 ? PATIENCE.oneOfSeveral : PATIENCE.only
  let failure: Buffer | undefined
  for (const server of servers) {
    if (question.signal.aborted) return undefined
    const reply = await askOne(question, server, patience)
    if (reply === undefined) continue
    reply.writeUInt16BE(question.query.id, 0)
    const rcode = rcodeOf(reply)
    if (rcode !== RCODE.serverFailure && rcode !== RCODE.refused) return reply
    failure = reply
  }
  return failure
}

function askOne(question: Question, server: string, patience: number): Promise<Buffer | undefined> {
  const id = randomInt(0x10000)
  const packet = Buffer.from(question.query.packet)
  packet.writeUInt16BE(id, 0)
  const at = { question, id, packet, server, port: question.port ?? PORT, patience }
  return question.protocol === 'udp' ? askByUdp(at) : askByTcp(at)
}

interface Attempt {
  readonly question: Question
  readonly id: number
  readonly packet: Buffer
  readonly server: string
  readonly port: number
  readonly patience: number
}

function askByUdp({ question, id, packet, server, port, patience }: Attempt): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(server) ? 'udp6' : 'udp4')
    const finish = (reply?: Buffer): void => {
      clearTimeout(timer)
      question.signal.removeEventListener('abort', abort)
      socket.removeAllListeners('message')
      try {
        socket.close()
      } catch {
        // Closed by its own error.
      }
      resolve(reply)
    }
    const abort = (): void => finish()
    const timer = setTimeout(finish, patience)
    question.signal.addEventListener('abort', abort, { once: true })
    // Port unreachable, no route: the next server, at once.
    socket.on('error', () => finish())
    socket.on('message', (reply) => {
      if (isReplyTo(reply, question.query, id)) finish(reply)
    })
    // Connected: the kernel drops what others send.
    socket.once('connect', () => socket.send(packet, (error) => (error === null ? undefined : finish())))
    socket.connect(port, server)
  })
}

function askByTcp({ question, id, packet, server, port, patience }: Attempt): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: server, port })
    let got = Buffer.alloc(0)
    const finish = (reply?: Buffer): void => {
      clearTimeout(timer)
      question.signal.removeEventListener('abort', abort)
      socket.destroy()
      resolve(reply)
    }
    const abort = (): void => finish()
    const timer = setTimeout(finish, patience)
    question.signal.addEventListener('abort', abort, { once: true })
    socket.on('error', () => finish())
    socket.on('close', () => finish())
    socket.on('data', (chunk: Buffer) => {
      got = Buffer.concat([got, chunk])
      if (got.length < 2 || got.length < 2 + got.readUInt16BE(0)) return
      const reply = got.subarray(2, 2 + got.readUInt16BE(0))
      finish(isReplyTo(reply, question.query, id) ? Buffer.from(reply) : undefined)
    })
    socket.write(framed(packet))
  })
}

/** A message as TCP carries it, behind its length. */
export function framed(message: Buffer): Buffer {
  const out = Buffer.allocUnsafe(message.length + 2)
  out.writeUInt16BE(message.length, 0)
  message.copy(out, 2)
  return out
}

/** The servers of the host's resolv.conf, read again when the file changes (a laptop moves, a VPN comes up). */
export class HostServers {
  readonly #path: string
  #seen = ''
  #servers: readonly string[] = []

  constructor(path = '/etc/resolv.conf') {
    this.#path = path
  }

  get(): readonly string[] {
    try {
      const { mtimeNs, ino, size } = statSync(this.#path, { bigint: true })
      const seen = `${mtimeNs} ${ino} ${size}`
      if (seen !== this.#seen) this.#servers = serversIn(readFileSync(this.#path, 'utf8'))
      this.#seen = seen
    } catch {
      // Being replaced just now: what was read last is good.
    }
    return this.#servers
  }
}

/** The nameserver lines. A zone (fe80::1%eth0) is kept: the questions leave from the host, which knows it. */
export function serversIn(resolvConf: string): string[] {
  return resolvConf.split('\n').flatMap((line) => {
    const [keyword, server = ''] = line.trim().split(/\s+/)
    return keyword === 'nameserver' && isIP(server) !== 0 ? [server] : []
  })
}
