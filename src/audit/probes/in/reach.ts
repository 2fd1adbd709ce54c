/** What a guest reaches over sockets: the engine's, the host's services, name servers it should not have. */
import { isIPv6 } from 'node:net'
import type { Guest } from '../../guest-types.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import { gatewayOf, hostAddresses, linksOf, placesOf } from './gateway.ts'
import { hostReach } from './host-reach.ts'
import { lookingProbe, sees, short, textInside } from './inside.ts'
import { allTried, socketAddress, tryPorts } from './try-ports.ts'
import type { Place } from './try-ports.ts'

const AF_UNIX = 1
const [AF_INET, AF_INET6] = [2, 10]
const STREAM = 1

const ENGINE = /Api-Version|Docker|Libpod|Ostype|containerd|dewar|"Version"/i

/** ms: that is what an answer mostly takes; and what one takes on a busy machine, of an engine with one thread. */
const [SOON, LATE] = [1500, 15_000]

interface Asked {
  /** Empty when it closed, or could not be reached. */
  readonly answer: string
  /** It took the connection, or may have, and said nothing in all that time: that is no refusal. */
  readonly silent: boolean
}

/** What answers a request for an engine's version. */
async function askEngine(guest: Guest, family: number, address: Buffer): Promise<Asked> {
  const soon = await askOnce(guest, family, address, SOON)
  return soon.silent ? askOnce(guest, family, address, LATE) : soon
}

async function askOnce(guest: Guest, family: number, address: Buffer, patience: number): Promise<Asked> {
  const request = 'GET /_ping HTTP/1.0\r\nHost: x\r\n\r\n'
  const answers = await guest.inChild(
    [
      { name: 'socket', args: [family, STREAM, 0], ends: true },
      { name: 'connect', args: [{ result: 0 }, { in: address }, address.length], ends: true },
      { name: 'sendto', args: [{ result: 0 }, { in: Buffer.from(request) }, request.length, 0, 0, 0] },
      { name: 'recvfrom', args: [{ result: 0 }, { out: 1024, short: true }, 1024, 0, 0, 0] },
    ],
    patience,
  )
  return {
    answer: answers[3]?.out[0]?.toString('latin1') ?? '',
    silent: answers.some(({ error }) => error === 'TIMEOUT'),
  }
}

function unixAddress(path: string): Buffer {
  const name = path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`
  return Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(name)]).subarray(0, 110)
}

/** Sockets below a folder, not deeper than this many folders. */
async function socketsIn(guest: Guest, folder: string, depth: number): Promise<readonly string[]> {
  const entries = await guest.listFolder(folder === '' ? '/' : folder).catch(() => [])
  const found: string[] = []
  for (const { name, type } of entries.slice(0, 500)) {
    const path = `${folder}/${name}`
    if (type === 'other') found.push(path)
    if (type === 'directory' && depth > 0 && !/^\/(proc|sys|dev)$/.test(path))
      found.push(...(await socketsIn(guest, path, depth - 1)))
  }
  return found
}

/**
 * A socket that is mounted over a file: the folder goes on telling the type of the file below, so that only the list of
 * mounts and stat(2) know of it. That is how engines' sockets get into containers.
 */
async function mountedSockets(guest: Guest): Promise<readonly string[]> {
  const mounts = (await textInside(guest, '/proc/self/mountinfo')).split('\n')
  const found: string[] = []
  for (const path of mounts.map((line) => line.split(' ')[4] ?? '').filter((one) => one !== '')) {
    const mode = await guest.stat(path).then(
      (stat) => stat.mode,
      () => 0,
    )
    if ((mode & 0o170000) === 0o140000) found.push(path)
  }
  return found
}

const PORTS = [2375, 2376, 4243, 5000, 6443, 8080, 10250, 10010]

export const controlSockets: Probe = lookingProbe(
  {
    id: 'I34',
    slug: 'in.control.sockets',
    asset: 'control plane',
    question: 'Can a guest talk to a container engine?',
    method: `Every unix socket in the guest’s folders and in /proc/net/unix, and ports ${PORTS.join(', ')} of the gateway and of each of the host’s addresses, IPv4 and IPv6, are asked for /_ping.`,
    references: ['T1552.007', 'T1611'],
    remedy: 'Do not mount an engine’s socket, no --network=host, no engine on TCP.',
    timeout: 180_000,
  },
  async (guest, context) => {
    const { signal } = context
    const abstract = [...(await textInside(guest, '/proc/net/unix')).matchAll(/ (@\S+)$/gm)].map(
      (match) => match[1] ?? '',
    )
    const files = [...(await mountedSockets(guest)), ...(await socketsIn(guest, '', 4))]
    const paths = [...new Set([...files, ...abstract])].slice(0, 200)
    const seen: Evidence[] = []
    const silent: string[] = []
    const ask = async (what: string, kind: Evidence['kind'], family: number, address: Buffer) => {
      signal.throwIfAborted()
      const asked = await askEngine(guest, family, address)
      if (ENGINE.test(asked.answer)) seen.push({ kind, text: `${what}: ${short(asked.answer, 60)}` })
      if (asked.silent) silent.push(what)
    }
    for (const path of paths) await ask(path, 'path', AF_UNIX, unixAddress(path))
    const places = await portsOfHost(guest, context)
    const tried = await tryPorts(guest, places, signal)
    for (const place of places.filter((_, index) => tried[index] === '')) {
      const family = isIPv6(place.address) ? AF_INET6 : AF_INET
      await ask(`${place.address}:${place.port}`, 'packet', family, socketAddress(place))
    }
    const refused = await guest.connect({ unix: '@dewar-audit-nobody' })
    return conclude({
      seen,
      controls: [
        await sees(guest),
        { what: 'the guest can make sockets and try to connect', held: refused === 'ECONNREFUSED' },
        allTried(tried),
        {
          what: `what took a connection answered or closed it (silent: ${silent.slice(0, 5).join(', ') || 'none'})`,
          held: silent.length === 0,
        },
      ],
      leak: 'A container engine answers the guest: who may talk to it is root of the host.',
      contained: `${paths.length} sockets and ${places.length} ports were asked; no engine answered.`,
    })
  },
)

/** Of the gateway, and of each address of the host, since an engine may listen on one of them alone. */
async function portsOfHost(guest: Guest, context: ProbeContext): Promise<readonly Place[]> {
  const places = placesOf(await hostAddresses(context), await gatewayOf(guest), await linksOf(guest))
  return places.flatMap((place) => PORTS.map((port) => ({ ...place, port })))
}

export const REACH: readonly Probe[] = [controlSockets, hostReach]
