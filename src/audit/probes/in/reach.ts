/** What a guest reaches over sockets: the engine's, the host's services, name servers it should not have. */
import type { Guest } from '../../guest-types.ts'
import { internetAddress } from '../../guest-files.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import { lookingProbe, sees, short, textInside } from './inside.ts'

const AF_UNIX = 1
const AF_INET = 2
const STREAM = 1

/** The default gateway of a guest; undefined without one. */
export async function gatewayOf(guest: Guest): Promise<string | undefined> {
  const routes = (await textInside(guest, '/proc/net/route')).split('\n').map((line) => line.split('\t'))
  const hex = routes.find(
    ([, destination, gateway]) => destination === '00000000' && gateway !== '00000000',
  )?.[2]
  if (hex === undefined) return undefined
  return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join('.')
}

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

const PORTS = [2375, 2376, 4243, 5000, 6443, 8080, 10250, 10010]

export const controlSockets: Probe = lookingProbe(
  {
    id: 'I34',
    slug: 'in.control.sockets',
    asset: 'control plane',
    question: 'Can a guest talk to a container engine?',
    method: `Every unix socket in the guest’s folders and in /proc/net/unix, and ports ${PORTS.join(', ')} of the gateway, are asked for /_ping.`,
    references: ['T1552.007', 'T1611'],
    remedy: 'Do not mount an engine’s socket, no --network=host, no engine on TCP.',
  },
  async (guest, { signal }) => {
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
    const gateway = await gatewayOf(guest)
    for (const port of gateway === undefined ? [] : PORTS) {
      signal.throwIfAborted()
      const answer = await askEngine(guest, AF_INET, internetAddress(gateway ?? '', port))
      if (ENGINE.test(answer)) seen.push({ kind: 'packet', text: `${gateway}:${port}: ${short(answer, 60)}` })
    }
    const refused = await guest.connect({ unix: '@dewar-audit-nobody' })
    return conclude({
      seen,
      controls: [
        await sees(guest),
        { what: 'the guest can make sockets and try to connect', held: refused === 'ECONNREFUSED' },
      ],
      leak: 'A container engine answers the guest: who may talk to it is root of the host.',
      contained: `${paths.length} sockets and ${gateway === undefined ? 0 : PORTS.length} ports were asked; no engine answered.`,
    })
  },
)

/** Listens in the engine's network; the port. */
async function listen(host: Guest, address: string): Promise<number> {
  const { value: socket } = await host.syscall('socket', AF_INET, STREAM, 0)
  const at = internetAddress(address, 0)
  await host.syscall('bind', socket, { in: at }, at.length)
  await host.syscall('listen', socket, 16)
  const { out } = await host.syscall(
    'getsockname',
    socket,
    { out: 16 },
    { inout: Buffer.from([16, 0, 0, 0]) },
  )
  return out[0]?.readUInt16BE(2) ?? 0
}

/** Where the engine's bridges are. */
export async function hostSide({ target, observer }: ProbeContext): Promise<Guest> {
  const pid = /^\/proc\/(\d+)\//.exec(target.networkNamespace ?? '')?.[1]
  return observer(pid === undefined ? {} : { networkOf: Number(pid) })
}

export const hostReach: Probe = lookingProbe(
  {
    id: 'I41',
    slug: 'in.net.host-reach',
    asset: 'host services',
    question: 'Can a guest reach services of the host?',
    method:
      'The host listens on all addresses and on its loopback; the guest connects to the gateway and to 127.0.0.1.',
    references: ['T1552.005', 'moby#21990', 'CVE-2020-8558'],
    remedy:
      'A firewall on the host’s input from the bridge; services on addresses that are needed; --network=none.',
  },
  async (guest, context) => {
    const host = await hostSide(context)
    const [all, loopback] = [await listen(host, '0.0.0.0'), await listen(host, '127.0.0.1')]
    const held =
      (await host.connect({ host: '127.0.0.1', port: all })) === undefined &&
      (await host.connect({ host: '127.0.0.1', port: loopback })) === undefined
    const gateway = await gatewayOf(guest)
    const near = gateway === undefined || (await host.connect({ host: gateway, port: all })) === undefined
    const tries = [
      ...(gateway === undefined
        ? []
        : [{ what: 'on all addresses, by the gateway', host: gateway, port: all }]),
      ...(gateway === undefined
        ? []
        : [{ what: 'on the loopback, by the gateway', host: gateway, port: loopback }]),
      { what: 'on all addresses, by 127.0.0.1', host: '127.0.0.1', port: all },
      { what: 'on the loopback, by 127.0.0.1', host: '127.0.0.1', port: loopback },
    ]
    const seen: Evidence[] = []
    const errors: string[] = []
    for (const { what, host: address, port } of tries) {
      const error = await guest.connect({ host: address, port })
      if (error === undefined)
        seen.push({ kind: 'packet', text: `a service ${what}: ${address}:${port} answers` })
      else errors.push(error)
    }
    return conclude({
      seen,
      controls: [
        await sees(guest),
        { what: 'the host reaches its services', held },
        { what: 'the guest’s gateway is an address of the host', held: near },
      ],
      leak: 'The guest reaches services of the host that were published to nobody.',
      contained:
        gateway === undefined
          ? 'The guest has no network beside its loopback.'
          : `Refused: ${errors.join(', ')}.`,
    })
  },
)

export const REACH: readonly Probe[] = [controlSockets, hostReach]
