/** Services of the host that a guest reaches, by whichever of the host's addresses. */
import { isIPv6 } from 'node:net'
import { internetAddress } from '../../guest-files.ts'
import type { Guest } from '../../guest-types.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import { gatewayOf, hostAddresses, hostSide, linksOf } from './gateway.ts'
import type { HostAddress } from './gateway.ts'
import { lookingProbe, sees } from './inside.ts'

const [AF_INET, AF_INET6, STREAM] = [2, 10, 1]
const [IPPROTO_IPV6, IPV6_V6ONLY] = [41, 26]
/** Of each kind: on a host with many, those of its bridges and the first others. */
const MOST = 8
/** ms: a firewall that drops says nothing. */
const PATIENCE = 1500

/** Listens where the engine is; the port, or undefined where there are no such addresses. */
async function listen(host: Guest, address: string): Promise<number | undefined> {
  const six = isIPv6(address)
  const { value: socket, error } = await host.syscall('socket', six ? AF_INET6 : AF_INET, STREAM, 0)
  if (error !== '') return undefined
  const at = internetAddress(address, 0)
  if (six)
    await host.syscall('setsockopt', socket, IPPROTO_IPV6, IPV6_V6ONLY, { in: Buffer.from([1, 0, 0, 0]) }, 4)
  const bound = await host.syscall('bind', socket, { in: at }, at.length)
  if (bound.error !== '') return undefined
  await host.syscall('listen', socket, 64)
  const { out } = await host.syscall(
    'getsockname',
    socket,
    { out: 28 },
    { inout: Buffer.from([28, 0, 0, 0]) },
  )
  return out[0]?.readUInt16BE(2)
}

interface Try {
  readonly what: string
  readonly address: string
  readonly port: number
  /** Number of the guest's interface, for a link-local address. */
  readonly link?: number
}

/** undefined when connected, else the name of the error. */
async function connects(guest: Guest, { address, port, link = 0 }: Try): Promise<string | undefined> {
  const to = internetAddress(address, port)
  if (isIPv6(address)) to.writeUInt32LE(link, 24)
  const [socket, connected] = await guest.inChild(
    [
      { name: 'socket', args: [isIPv6(address) ? AF_INET6 : AF_INET, STREAM, 0], ends: true },
      { name: 'connect', args: [{ result: 0 }, { in: to }, to.length] },
    ],
    PATIENCE,
  )
  const error = socket?.error || connected?.error || ''
  return error === '' ? undefined : error
}

interface Ports {
  readonly all: number
  readonly loopback: number
  readonly six: number | undefined
}

/** Its gateway first: that is where all containers are told to go. */
export function triesOf(
  addresses: readonly HostAddress[],
  gateway: string | undefined,
  links: readonly number[],
  { all, loopback, six }: Ports,
): readonly Try[] {
  const four = addresses.map(({ address }) => address).filter((address) => !isIPv6(address))
  const first = [...new Set([...(gateway === undefined ? [] : [gateway]), ...four])].slice(0, MOST)
  const sixes = six === undefined ? [] : addresses.filter(({ address }) => isIPv6(address))
  return [
    ...first.map((address) => ({ what: 'on all addresses', address, port: all })),
    ...(gateway === undefined
      ? []
      : [{ what: 'on the loopback, by the gateway', address: gateway, port: loopback }]),
    { what: 'on all addresses, by 127.0.0.1', address: '127.0.0.1', port: all },
    { what: 'on the loopback, by 127.0.0.1', address: '127.0.0.1', port: loopback },
    ...sixes
      .flatMap(({ address }) =>
        // fe80::/10 is another address on each link.
        /^fe[89ab]/i.test(address)
          ? links.map((link) => ({
              what: 'on all IPv6 addresses, by the link’s',
              address,
              port: six ?? 0,
              link,
            }))
          : [{ what: 'on all IPv6 addresses', address, port: six ?? 0 }],
      )
      .slice(0, MOST),
  ]
}

export const hostReach: Probe = lookingProbe(
  {
    id: 'I41',
    slug: 'in.net.host-reach',
    asset: 'host services',
    question: 'Can a guest reach services of the host?',
    method:
      'The host listens on all addresses, IPv4 and IPv6, and on its loopback; the guest connects to its gateway, to each address of the host, and to 127.0.0.1.',
    references: ['T1552.005', 'moby#21990', 'CVE-2020-8558'],
    remedy:
      'A firewall on the host’s input from the bridge, for IPv6, too; services on addresses that are needed; --network=none.',
  },
  async (guest, context) => {
    const host = await hostSide(context)
    const [all, loopback, six] = [
      await listen(host, '0.0.0.0'),
      await listen(host, '127.0.0.1'),
      await listen(host, '::'),
    ]
    if (all === undefined || loopback === undefined) throw new Error('the host could not listen on a port')
    const [addresses, gateway] = [await hostAddresses(context), await gatewayOf(guest)]
    const own = await Promise.all([all, loopback].map((port) => host.connect({ host: '127.0.0.1', port })))
    const near = gateway === undefined || addresses.some(({ address }) => address === gateway)
    const seen: Evidence[] = []
    const errors: string[] = []
    for (const one of triesOf(addresses, gateway, await linksOf(guest), { all, loopback, six })) {
      context.signal.throwIfAborted()
      const error = await connects(guest, one)
      if (error !== undefined) errors.push(`${one.address} ${error}`)
      else seen.push({ kind: 'packet', text: `a service ${one.what}: ${one.address}:${one.port} answers` })
    }
    return conclude({
      seen,
      controls: [
        await sees(guest),
        { what: 'the host reaches its services', held: own.every((error) => error === undefined) },
        { what: 'the guest’s gateway is an address of the host', held: near },
      ],
      leak: 'The guest reaches services of the host that were published to nobody.',
      contained: `Refused: ${errors.join(', ')}.`,
    })
  },
)
