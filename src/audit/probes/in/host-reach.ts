/** Services of the host that a guest reaches, by whichever of the host's addresses. */
import { isIPv6 } from 'node:net'
import { internetAddress } from '../../guest-files.ts'
import type { Guest } from '../../guest-types.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import { gatewayOf, hostAddresses, hostSide, linksOf, placesOf } from './gateway.ts'
import type { HostPlace } from './gateway.ts'
import { lookingProbe, sees } from './inside.ts'
import { allTried, tryPorts } from './try-ports.ts'
import type { Place } from './try-ports.ts'

const [AF_INET, AF_INET6, STREAM] = [2, 10, 1]
const [IPPROTO_IPV6, IPV6_V6ONLY] = [41, 26]

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

interface Try extends Place {
  readonly what: string
}

interface Ports {
  readonly all: number
  readonly loopback: number
  readonly six: number | undefined
}

export function triesOf(
  places: readonly HostPlace[],
  gateway: string | undefined,
  { all, loopback, six }: Ports,
): readonly Try[] {
  const fours = places.filter(({ address }) => !isIPv6(address))
  const sixes = six === undefined ? [] : places.filter(({ address }) => isIPv6(address))
  return [
    ...fours.map(({ address }) => ({ what: 'on all addresses', address, port: all })),
    ...(gateway === undefined
      ? []
      : [{ what: 'on the loopback, by the gateway', address: gateway, port: loopback }]),
    { what: 'on all addresses, by 127.0.0.1', address: '127.0.0.1', port: all },
    { what: 'on the loopback, by 127.0.0.1', address: '127.0.0.1', port: loopback },
    ...sixes.map((place) => ({
      ...place,
      what: `on all IPv6 addresses${place.link === undefined ? '' : ', by the link’s'}`,
      port: six ?? 0,
    })),
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
    const tries = triesOf(placesOf(addresses, gateway, await linksOf(guest)), gateway, { all, loopback, six })
    const tried = await tryPorts(guest, tries, context.signal)
    for (const [index, { what, address, port }] of tries.entries())
      if (tried[index] === '')
        seen.push({ kind: 'packet', text: `a service ${what}: ${address}:${port} answers` })
    return conclude({
      seen,
      controls: [
        await sees(guest),
        { what: 'the host reaches its services', held: own.every((error) => error === undefined) },
        { what: 'the guest’s gateway is an address of the host', held: near },
        allTried(tried),
      ],
      leak: 'The guest reaches services of the host that were published to nobody.',
      contained: `Not reached: ${tries.map(({ address }, index) => `${address} ${tried[index]}`).join(', ')}.`,
    })
  },
)
