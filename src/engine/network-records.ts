/** The networks of an engine: what they are by default, what is asked for, what clients see. Pure. */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import { formatSubnet, overlaps, parseSubnet, type Subnet } from '../network/address.ts'
import { chooseSubnet, privateSubnet6 } from '../network/ipam.ts'
import { checkInterfaceName, defaultPool, type IpPool, type Network } from '../network/network.ts'
import {
  BRIDGE_NAME,
  MTU,
  SOURCE_GUARD,
  checkDriver,
  checkRequest,
  flagOf,
  mtuOf,
} from './network-options.ts'
import type { NetworkView } from './types.ts'

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

const pool = z.object({
  subnet: z.string(),
  gateway: z.string(),
  ipRange: z.string().exactOptional(),
  chosen: z.boolean().exactOptional(),
  auxiliary: z.record(z.string(), z.string()).exactOptional(),
})
const schema = z.object({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  name: z.string().regex(NAME),
  driver: z.enum(['bridge', 'host', 'null']),
  created: z.number(),
  ipv4: pool.exactOptional(),
  ipv6: pool.exactOptional(),
  bridge: z.string(),
  internal: z.boolean(),
  attachable: z.boolean(),
  mtu: z.number(),
  icc: z.boolean(),
  masquerade: z.boolean(),
  hostBinding: z.string(),
  unguarded: z.boolean().exactOptional(),
  options: z.record(z.string(), z.string()),
  labels: z.record(z.string(), z.string()),
  ipamOptions: z.record(z.string(), z.string()).exactOptional(),
})

export function parseNetwork(value: unknown): Network {
  return schema.parse(value)
}

const newNetworkId = (): string => randomBytes(32).toString('hex')

function blank(name: string, driver: Network['driver']): Network {
  return {
    id: newNetworkId(),
    name,
    driver,
    created: Date.now(),
    bridge: '',
    internal: false,
    attachable: false,
    mtu: 1500,
    icc: true,
    masquerade: true,
    hostBinding: '',
    options: {},
    labels: {},
  }
}

/** What the predefined networks depend on. */
export interface PredefinedOptions {
  /** Interface name of the default bridge. */
  readonly bridge: string
  /** CIDR of the default bridge; undefined: the first of Docker's pools that overlaps nothing in `taken`. */
  readonly subnet: string | undefined
  readonly taken: readonly Subnet[]
  /** Of the default bridge; undefined where the host has no IPv6. */
  readonly ipv6: IpPool | undefined
}

/** A private IPv6 subnet that is always the same for the same engine or network. */
export const privatePool6 = (seed: string): IpPool => defaultPool(formatSubnet(privateSubnet6(seed)))

/** bridge, host and none, which are always there and cannot be removed. */
export function predefinedNetworks({ bridge, subnet, taken, ipv6 }: PredefinedOptions): Network[] {
  const chosen = subnet === undefined ? formatSubnet(chooseSubnet(taken)) : subnet
  return [
    {
      ...blank('bridge', 'bridge'),
      bridge: checkInterfaceName(bridge),
      ipv4: defaultPool(chosen),
      ...(ipv6 === undefined ? {} : { ipv6 }),
      options: {
        'com.docker.network.bridge.default_bridge': 'true',
        'com.docker.network.bridge.enable_icc': 'true',
        'com.docker.network.bridge.enable_ip_masquerade': 'true',
        'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
        'com.docker.network.bridge.name': bridge,
        'com.docker.network.driver.mtu': '1500',
      },
    },
    blank('host', 'host'),
    blank('none', 'null'),
  ]
}

export const isPredefined = (network: Pick<Network, 'name'>): boolean =>
  ['bridge', 'host', 'none', 'default'].includes(network.name)

export type NetworkRequest = Partial<NetworkView> & { readonly name: string }

/** Throws with dockerd's words. `instance` keeps bridges of several engines apart. */
export function requestedNetwork(
  request: NetworkRequest,
  others: readonly Network[],
  taken: readonly Subnet[],
  instance: string,
): Network {
  if (!NAME.test(request.name)) {
    throw new DewarError(
      'invalid-argument',
      `invalid network name ${JSON.stringify(request.name)}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    )
  }
  if (isPredefined(request)) {
    throw new DewarError('forbidden', `operation is not permitted on predefined ${request.name} network`)
  }
  if (others.some((network) => network.name === request.name)) {
    throw new DewarError('conflict', `network with name ${request.name} already exists`)
  }
  checkDriver(request.driver || 'bridge')
  checkRequest(request)
  const id = newNetworkId()
  const options = request.options ?? {}
  const bridge = checkInterfaceName(options[BRIDGE_NAME] ?? `dw${instance.slice(0, 3)}-${id.slice(0, 9)}`)
  const owner = others.find((network) => network.bridge === bridge)
  if (owner !== undefined) {
    throw new DewarError(
      'forbidden',
      `cannot create network ${id} (${bridge}): conflicts with network ${owner.id} (${bridge}): networks have same bridge name`,
    )
  }
  return {
    ...blank(request.name, 'bridge'),
    id,
    bridge,
    ...pools(request, others, taken, id),
    internal: request.internal ?? false,
    attachable: request.attachable ?? false,
    mtu: mtuOf(options[MTU]),
    icc: flagOf(options, 'com.docker.network.bridge.enable_icc', true),
    masquerade: flagOf(options, 'com.docker.network.bridge.enable_ip_masquerade', true),
    hostBinding: options['com.docker.network.bridge.host_binding_ipv4'] ?? '',
    ...(flagOf(options, SOURCE_GUARD, true) ? {} : { unguarded: true }),
    options,
    labels: request.labels ?? {},
    ...(request.ipam?.options ? { ipamOptions: request.ipam.options } : {}),
  }
}

function pools(
  request: NetworkRequest,
  others: readonly Network[],
  taken: readonly Subnet[],
  seed: string,
): Pick<Network, 'ipv4' | 'ipv6'> {
  const used = [
    ...taken,
    ...others.flatMap(({ ipv4, ipv6 }) =>
      [ipv4, ipv6].flatMap((p) => (p === undefined ? [] : [parseSubnet(p.subnet)])),
    ),
  ]
  const asked = (request.ipam?.config ?? []).filter(
    (config) => config.subnet !== undefined && config.subnet !== '',
  )
  const found: { ipv4?: IpPool; ipv6?: IpPool } = {}
  for (const { subnet = '', gateway, ipRange, auxiliaryAddresses: auxiliary } of asked) {
    const parsed = parseSubnet(subnet)
    if (used.some((other) => overlaps(parsed, other))) {
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
      ...(ipRange ? { ipRange } : {}),
      ...(auxiliary === undefined ? {} : { auxiliary }),
    }
    const family = parsed.base.length === 4 ? 'ipv4' : 'ipv6'
    if (found[family] !== undefined)
      throw new DewarError('forbidden', "bridge driver doesn't support multiple subnets")
    found[family] = made
  }
  if (found.ipv4 === undefined && request.enableIPv4 !== false)
    found.ipv4 = { ...defaultPool(formatSubnet(chooseSubnet(used))), chosen: true }
  if (found.ipv6 === undefined && request.enableIPv6 === true)
    found.ipv6 = { ...privatePool6(seed), chosen: true }
  return found
}

export interface NetworkMember {
  readonly id: string
  readonly name: string
  readonly endpointID: string
  readonly mac: string
  readonly address?: string
  readonly address6?: string
}

export function networkView(network: Network, members: readonly NetworkMember[]): NetworkView {
  const prefix = (of: IpPool | undefined): string => of?.subnet.split('/')[1] ?? '32'
  const config = [network.ipv4, network.ipv6].flatMap((one) =>
    one === undefined
      ? []
      : [
          {
            subnet: one.subnet,
            gateway: one.gateway,
            ...(one.ipRange === undefined ? {} : { ipRange: one.ipRange }),
            ...(one.auxiliary === undefined ? {} : { auxiliaryAddresses: one.auxiliary }),
          },
        ],
  )
  return {
    id: network.id,
    name: network.name,
    created: network.created,
    driver: network.driver,
    scope: 'local',
    enableIPv4: network.driver !== 'bridge' || network.ipv4 !== undefined,
    enableIPv6: network.ipv6 !== undefined,
    internal: network.internal,
    attachable: network.attachable,
    ingress: false,
    ipam: { driver: 'default', options: network.ipamOptions ?? null, config },
    options: network.options,
    labels: network.labels,
    containers: Object.fromEntries(
      members.map((member) => [
        member.id,
        {
          name: member.name,
          endpointID: member.endpointID,
          macAddress: member.mac,
          ipv4Address: member.address === undefined ? '' : `${member.address}/${prefix(network.ipv4)}`,
          ipv6Address: member.address6 === undefined ? '' : `${member.address6}/${prefix(network.ipv6)}`,
        },
      ]),
    ),
  }
}
