/** The subnets of a new network: those asked for, or free ones. Pure. */
import { DewarError } from '../base/errors.ts'
import { formatSubnet, overlaps, parseSubnet, type Subnet } from '../network/address.ts'
import { chooseSubnet, privateSubnet6 } from '../network/ipam.ts'
import { defaultPool, type IpPool, type Network } from '../network/network.ts'
import type { NetworkRequest } from './types.ts'

/** A private IPv6 subnet that is always the same for the same engine or network. */
export const privatePool6 = (seed: string): IpPool => defaultPool(formatSubnet(privateSubnet6(seed)))

export function poolsOf(
  request: NetworkRequest,
  others: readonly Network[],
  taken: readonly Subnet[],
  seed: string,
): Pick<Network, 'ipv4' | 'ipv6'> {
  const ours = others.flatMap(({ ipv4, ipv6 }) =>
    [ipv4, ipv6].flatMap((p) => (p === undefined ? [] : [parseSubnet(p.subnet)])),
  )
  const used = [...taken, ...ours]
  // Beside the host, not behind it: its own subnet is just what is wanted.
  const forbidden = request.driver === 'macvlan' ? ours : used
  const asked = (request.ipam?.config ?? []).filter(
    (config) => config.subnet !== undefined && config.subnet !== '',
  )
  const found: { ipv4?: IpPool; ipv6?: IpPool } = {}
  for (const { subnet = '', gateway, ipRange, auxiliaryAddresses: auxiliary } of asked) {
    const parsed = parseSubnet(subnet)
    if (forbidden.some((other) => overlaps(parsed, other))) {
      throw new DewarError(
        'forbidden',
        'invalid pool request: Pool overlaps with other one on this address space',
        {
          remedy: `choose another subnet than ${subnet}`,
        },
      )
    }
    const made = {
      ...defaultPool(subnet, gateway || undefined),
      ...(gateway ? {} : { unasked: true }),
      ...(ipRange ? { ipRange } : {}),
      ...(auxiliary === undefined ? {} : { auxiliary }),
    }
    const family = parsed.base.length === 4 ? 'ipv4' : 'ipv6'
    if (found[family] !== undefined)
      throw new DewarError(
        'forbidden',
        `${request.driver || 'bridge'} driver doesn't support multiple subnets`,
      )
    found[family] = made
  }
  if (found.ipv4 === undefined && request.enableIPv4 !== false)
    found.ipv4 = { ...defaultPool(formatSubnet(chooseSubnet(used))), chosen: true }
  if (found.ipv6 === undefined && request.enableIPv6 === true)
    found.ipv6 = { ...privatePool6(seed), chosen: true }
  return found
}
