/** What a guest reaches over sockets: the engine's, the host's services, name servers it should not have. */
import { isIPv4 } from 'node:net'
import type { Guest } from '../../guest-types.ts'
import { internetAddress } from '../../guest-files.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import { gatewayOf, hostAddresses } from './gateway.ts'
import { hostReach } from './host-reach.ts'
import { lookingProbe, sees, short, textInside } from './inside.ts'

const AF_UNIX = 1
const AF_INET = 2
const STREAM = 1

const ENGINE = /Api-Version|Docker|Libpod|Ostype|containerd|dewar|"Version"/i

/** What answers a request for an engine's version; empty when nothing does. */
async function askEngine(guest: Guest, family: number, address: Buffer): Promise<string> {
  const request = 'GET /_ping HTTP/1.0\r\nHost: x\r\n\r\n'
  const answers = await guest.inChild(
    [
      { name: 'socket', args: [family, STREAM, 0], ends: true },
      { name: 'connect', args: [{ result: 0 }, { in: address }, address.length], ends: true },
      { name: 'sendto', args: [{ result: 0 }, { in: Buffer.from(request) }, request.length, 0, 0, 0] },
      { name: 'recvfrom', args: [{ result: 0 }, { out: 1024, short: true }, 1024, 0, 0, 0] },
    ],
    1500,
  )
  return answers[3]?.out[0]?.toString('latin1') ?? ''
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

/** Without a gateway, as on an internal network, the host is a neighbour on the bridge all the same. */
async function wayToHost(guest: Guest, context: ProbeContext): Promise<readonly string[]> {
  const gateway = await gatewayOf(guest)
  if (gateway !== undefined) return [gateway]
  const four = (await hostAddresses(context)).map(({ address }) => address).filter((one) => isIPv4(one))
  return four.slice(0, 4)
}

const PORTS = [2375, 2376, 4243, 5000, 6443, 8080, 10250, 10010]

export const controlSockets: Probe = lookingProbe(
  {
    id: 'I34',
    slug: 'in.control.sockets',
    asset: 'control plane',
    question: 'Can a guest talk to a container engine?',
    method: `Every unix socket in the guest’s folders and in /proc/net/unix, and ports ${PORTS.join(', ')} of the gateway (or the host’s addresses), are asked for /_ping.`,
    references: ['T1552.007', 'T1611'],
    remedy: 'Do not mount an engine’s socket, no --network=host, no engine on TCP.',
  },
  async (guest, context) => {
    const { signal } = context
    const abstract = [...(await textInside(guest, '/proc/net/unix')).matchAll(/ (@\S+)$/gm)].map(
      (match) => match[1] ?? '',
    )
    const files = [...(await mountedSockets(guest)), ...(await socketsIn(guest, '', 4))]
    const paths = [...new Set([...files, ...abstract])].slice(0, 200)
    const seen: Evidence[] = []
    for (const path of paths) {
      signal.throwIfAborted()
      const answer = await askEngine(guest, AF_UNIX, unixAddress(path))
      if (ENGINE.test(answer)) seen.push({ kind: 'path', text: `${path}: ${short(answer, 60)}` })
    }
    const hosts = await wayToHost(guest, context)
    for (const host of hosts)
      for (const port of PORTS) {
        signal.throwIfAborted()
        const answer = await askEngine(guest, AF_INET, internetAddress(host, port))
        if (ENGINE.test(answer)) seen.push({ kind: 'packet', text: `${host}:${port}: ${short(answer, 60)}` })
      }
    const refused = await guest.connect({ unix: '@dewar-audit-nobody' })
    return conclude({
      seen,
      controls: [
        await sees(guest),
        { what: 'the guest can make sockets and try to connect', held: refused === 'ECONNREFUSED' },
      ],
      leak: 'A container engine answers the guest: who may talk to it is root of the host.',
      contained: `${paths.length} sockets and ${hosts.length * PORTS.length} ports were asked; no engine answered.`,
    })
  },
)

export const REACH: readonly Probe[] = [controlSockets, hostReach]
