/** What a network is. Only data: the engine keeps the records, the functions around turn them into plans. */
import { formatAddress, nth, parseAddress, parseSubnet } from './address.ts'
import type { Pool } from './ipam.ts'
import type { Macvlan } from './macvlan.ts'
import { DewarError } from '../base/errors.ts'

export interface IpPool {
  /** CIDR */
  readonly subnet: string
  readonly gateway: string
  /** CIDR inside the subnet; only its addresses are given to containers. */
  readonly ipRange?: string
  /** The engine chose the subnet: nobody may count on an address of it. */
  readonly chosen?: boolean
  /** The subnet was asked for, the gateway not: then dockerd does not show it. */
  readonly unasked?: boolean
  /** `--aux-address`: addresses that others have, by name; never given to containers. */
  readonly auxiliary?: Readonly<Record<string, string>>
}

/** One subnet as a client asks for it. */
export interface AskedPool {
  readonly subnet?: string
  readonly gateway?: string
  readonly ipRange?: string
  readonly auxiliaryAddresses?: Readonly<Record<string, string>>
}

export interface Network {
  readonly id: string
  readonly name: string
  readonly driver: 'bridge' | 'host' | 'null' | 'macvlan'
  /** Milliseconds since the epoch. */
  readonly created: number
  readonly ipv4?: IpPool
  readonly ipv6?: IpPool
  /** It only keeps settings, as they were given, for networks that are made from it; nobody is on it. */
  readonly config?: { readonly enableIPv6: boolean; readonly pools: readonly AskedPool[] }
  /** Name of the network its settings were taken from. */
  readonly configFrom?: string
  /** Only of the driver macvlan. */
  readonly macvlan?: Macvlan
  /** Interface name of the bridge, at most 15 bytes. Empty where there is none. */
  readonly bridge: string
  /** No way out and none in from outside. */
  readonly internal: boolean
  readonly attachable: boolean
  /** 0: that of a macvlan's parent. */
  readonly mtu: number
  /** Containers on the network may talk to each other. */
  readonly icc: boolean
  readonly masquerade: boolean
  /** Host address for ports published without one; '' for all. */
  readonly hostBinding: string
  /** The bridge was there before the network, and stays when that goes. */
  readonly foreignBridge?: boolean
  /** Its containers may send under any address. */
  readonly unguarded?: boolean
  readonly options: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  /** What a client gave the address driver; only shown. */
  readonly ipamOptions?: Readonly<Record<string, string>>
}

/** A network somebody made: its containers find each other by name. Those of the default bridge do not, as ever. */
export const hasNames = (network: Pick<Network, 'driver' | 'name'>): boolean =>
  hasPlaces(network) && network.name !== 'bridge'

/** Containers on it have interfaces and addresses of their own. */
export const hasPlaces = ({ driver }: Pick<Network, 'driver'>): boolean =>
  driver === 'bridge' || driver === 'macvlan'

/** Records are immutable, so what their texts mean is worked out once. */
const pools = new WeakMap<IpPool, Pool>()

/** The pool as bytes. */
export function poolOf(pool: IpPool): Pool {
  const known = pools.get(pool)
  if (known !== undefined) return known
  const gateway = parseAddress(pool.gateway)
  if (gateway === undefined) {
    throw new DewarError('invalid-argument', `invalid gateway address ${JSON.stringify(pool.gateway)}`)
  }
  const range = pool.ipRange === undefined ? {} : { range: parseSubnet(pool.ipRange) }
  const made: Pool = { subnet: parseSubnet(pool.subnet), gateway, ...range }
  pools.set(pool, made)
  return made
}

/** The pool of a subnet with the usual gateway, its first address. */
export function defaultPool(subnetText: string, gateway?: string): IpPool {
  const subnet = parseSubnet(subnetText)
  return {
    subnet: `${formatAddress(subnet.base)}/${subnet.prefix}`,
    gateway: gateway ?? formatAddress(nth(subnet, 1n)),
  }
}

const INTERFACE_NAME = /^[A-Za-z0-9_.-]{1,15}$/

/** Throws invalid-argument for what the kernel would refuse, or what would lead out of /proc/sys/net/ipv4/conf. */
export function checkInterfaceName(name: string): string {
  if (INTERFACE_NAME.test(name) && name !== '.' && name !== '..') return name
  throw new DewarError('invalid-argument', `invalid interface name ${JSON.stringify(name)}`, {
    remedy: 'use 1 to 15 letters, digits, dots, dashes and underscores',
  })
}
