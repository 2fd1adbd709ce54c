/** Where a guest's network meets the host: its gateway, and the addresses of the host there. */
import { isIPv4, isIPv6 } from 'node:net'
import type { Guest } from '../../guest-types.ts'
import { hostCommand } from '../../host-command.ts'
import type { ProbeContext } from '../../probe.ts'
import { textInside } from './inside.ts'

/** The default gateway of a guest; undefined without one. */
export async function gatewayOf(guest: Guest): Promise<string | undefined> {
  const routes = (await textInside(guest, '/proc/net/route')).split('\n').map((line) => line.split('\t'))
  const hex = routes.find(
    ([, destination, gateway]) => destination === '00000000' && gateway !== '00000000',
  )?.[2]
  if (hex === undefined) return undefined
  return [6, 4, 2, 0].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)).join('.')
}

/** Where the engine's bridges are. */
export async function hostSide({ target, observer }: ProbeContext): Promise<Guest> {
  const pid = /^\/proc\/(\d+)\//.exec(target.networkNamespace ?? '')?.[1]
  return observer(pid === undefined ? {} : { networkOf: Number(pid) })
}

export interface HostAddress {
  readonly address: string
  readonly interface: string
}

/** `2: eth0    inet 172.17.0.1/16 brd … scope global …`, as `ip -o addr` says it; loopback left out. */
export function addressesIn(text: string): readonly HostAddress[] {
  return text.split('\n').flatMap((line) => {
    const [, name = '', , address = ''] = line.split(/\s+/)
    const [host = ''] = address.split('/')
    return name === '' || name === 'lo' || (!isIPv4(host) && !isIPv6(host))
      ? []
      : [{ address: host, interface: name }]
  })
}

/** Of all its interfaces: a firewall may close one address and forget the next. */
export async function hostAddresses({ target }: ProbeContext): Promise<readonly HostAddress[]> {
  const enter = target.networkNamespace === undefined ? [] : ['nsenter', `--net=${target.networkNamespace}`]
  const { stdout } = await hostCommand([...enter, 'ip', '-o', 'addr'])
  return addressesIn(stdout)
}

/** Interfaces of a guest beside its loopback, by number: what a link-local address needs. */
export async function linksOf(guest: Guest): Promise<readonly number[]> {
  const rows = (await textInside(guest, '/proc/net/if_inet6')).split('\n').map((line) => line.split(/\s+/))
  const numbers = rows
    .filter(([, , , , , name]) => name !== undefined && name !== 'lo')
    .map(([, index = '']) => index)
  return [...new Set(numbers)].map((hex) => Number.parseInt(hex, 16))
}

export interface HostPlace {
  readonly address: string
  /** Number of the guest's interface, for a link-local address: fe80::/10 is another one on each link. */
  readonly link?: number
}

/** Its gateway first: that is where all containers are told to go. Without one the host is a neighbour all the same. */
export function placesOf(
  addresses: readonly HostAddress[],
  gateway: string | undefined,
  links: readonly number[],
): readonly HostPlace[] {
  const all = new Set([
    ...(gateway === undefined ? [] : [gateway]),
    ...addresses.map(({ address }) => address),
  ])
  const fours = [...all].filter((address) => !isIPv6(address))
  const sixes = [...all].filter((address) => isIPv6(address))
  return [
    ...fours.map((address) => ({ address })),
    ...sixes.flatMap((address): readonly HostPlace[] =>
      /^fe[89ab]/i.test(address) ? links.map((link) => ({ address, link })) : [{ address }],
    ),
  ]
}
