/** The networks of an engine: what they are by default, what is asked for, what clients see. Pure. */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import { formatSubnet, type Subnet } from '../network/address.ts'
import { chooseSubnet } from '../network/ipam.ts'
import { MODES } from '../network/macvlan.ts'
import { checkInterfaceName, defaultPool, type IpPool, type Network } from '../network/network.ts'
import { withConfig } from './config-networks.ts'
import { macvlanOf } from './macvlan-options.ts'
import {
  BRIDGE_NAME,
  MTU,
  SOURCE_GUARD,
  checkBridgeOptions,
  checkDriver,
  checkRequest,
  flagOf,
  hostBindingOf,
  mtuOf,
} from './network-options.ts'
import { poolsOf } from './network-pools.ts'
import type { NetworkRequest } from './types.ts'

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/

const pool = z.object({
  subnet: z.string(),
  gateway: z.string(),
  ipRange: z.string().exactOptional(),
  chosen: z.boolean().exactOptional(),
  unasked: z.boolean().exactOptional(),
  auxiliary: z.record(z.string(), z.string()).exactOptional(),
})
const askedPool = z.object({
  subnet: z.string().exactOptional(),
  gateway: z.string().exactOptional(),
  ipRange: z.string().exactOptional(),
  auxiliaryAddresses: z.record(z.string(), z.string()).exactOptional(),
})
const schema = z.object({
  id: z.string().regex(/^[0-9a-f]{64}$/),
  name: z.string().regex(NAME),
  driver: z.enum(['bridge', 'host', 'null', 'macvlan']),
  macvlan: z
    .object({
      parent: z.string(),
      mode: z.enum(MODES),
      made: z.union([z.literal('inner'), z.object({ on: z.string(), vlan: z.number() })]).exactOptional(),
    })
    .exactOptional(),
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
  foreignBridge: z.boolean().exactOptional(),
  options: z.record(z.string(), z.string()),
  labels: z.record(z.string(), z.string()),
  ipamOptions: z.record(z.string(), z.string()).exactOptional(),
  config: z.object({ enableIPv6: z.boolean(), pools: z.array(askedPool) }).exactOptional(),
  configFrom: z.string().exactOptional(),
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

/** What is there already. */
export interface Surroundings {
  readonly others: readonly Network[]
  /** Subnets that routes of the host lead to. */
  readonly taken: readonly Subnet[]
  /** Names of the host's interfaces. */
  readonly links: readonly string[]
  /** Keeps bridges of several engines apart. */
  readonly instance: string
}

/** Throws with dockerd's words. */
export function requestedNetwork(asked: NetworkRequest, around: Surroundings): Network {
  const { others, taken, links } = around
  const request = withConfig(asked, others)
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
  checkRequest(request)
  if (request.configOnly === true) return configNetwork(request)
  checkDriver(request.driver || 'bridge')
  const id = newNetworkId()
  if (request.driver !== 'macvlan') return bridgeNetwork(request, around, id)
  const options = request.options ?? {}
  const macvlan = macvlanOf({ id, options }, others, links)
  return {
    ...blank(request.name, 'macvlan'),
    id,
    macvlan,
    ...poolsOf(request, others, taken, id),
    ...common(request),
    // Without a parent there is nowhere to go.
    internal: request.internal === true || macvlan.made === 'inner',
    mtu: options[MTU] === undefined ? 0 : mtuOf(options[MTU]),
  }
}

/** dockerd shows it as one of the driver null. */
function configNetwork(request: NetworkRequest): Network {
  const config = { enableIPv6: request.enableIPv6 === true, pools: request.ipam?.config ?? [] }
  return { ...blank(request.name, 'null'), ...common(request), config }
}

function common(
  request: NetworkRequest,
): Pick<Network, 'attachable' | 'options' | 'labels' | 'ipamOptions' | 'configFrom'> {
  return {
    attachable: request.attachable ?? false,
    options: request.options ?? {},
    labels: request.labels ?? {},
    ...(request.ipam?.options ? { ipamOptions: request.ipam.options } : {}),
    ...(request.configFrom ? { configFrom: request.configFrom } : {}),
  }
}

function bridgeNetwork(
  request: NetworkRequest,
  { others, taken, links, instance }: Surroundings,
  id: string,
): Network {
  const options = request.options ?? {}
  checkBridgeOptions(options)
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
    ...(links.includes(bridge) ? { foreignBridge: true } : {}),
    ...poolsOf(request, others, taken, id),
    ...common(request),
    internal: request.internal ?? false,
    mtu: mtuOf(options[MTU]),
    icc: flagOf(options, 'com.docker.network.bridge.enable_icc', true),
    masquerade: flagOf(options, 'com.docker.network.bridge.enable_ip_masquerade', true),
    hostBinding: hostBindingOf(options),
    ...(flagOf(options, SOURCE_GUARD, true) ? {} : { unguarded: true }),
  }
}
