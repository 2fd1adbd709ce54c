/** Making and removing a network's bridge on the host. */
import { DewarError } from '../base/errors.ts'
import type { Core } from '../kernel/core-api.ts'
import { ERRNO, NETLINK_ROUTE, NetlinkWriter, netlinkStep } from '../kernel/netlink.ts'
import { addAddress, createBridge, deleteLink, hardenBridge, setLinkUp } from '../kernel/netlink-route.ts'
import { dumpLinks, dumpRoutes, getLink, parseLinks, parseRoutes } from '../kernel/netlink-dump.ts'
import type { Link, Route } from '../kernel/netlink-dump.ts'
import type { Plan, Step } from '../kernel/plan.ts'
import type { Subnet } from './address.ts'
import { macOf } from './ipam.ts'
import { checkInterfaceName, poolOf } from './network.ts'
import type { Network } from './network.ts'

/** What the host's network looks like now. */
export interface HostNetwork {
  readonly links: readonly Link[]
  readonly routes: readonly Route[]
}

export function hostNetworkPlan(): Plan {
  const links = new NetlinkWriter()
  dumpLinks(links)
  const routes = new NetlinkWriter()
  dumpRoutes(routes)
  return {
    steps: [
      netlinkStep('host', NETLINK_ROUTE, 'list the interfaces', links, { emit: true }),
      netlinkStep('host', NETLINK_ROUTE, 'list the routes', routes, { emit: true }),
    ],
  }
}

export async function readHostNetwork(core: Core): Promise<HostNetwork> {
  const frames = await core.run(hostNetworkPlan())
  return { links: parseLinks(frames), routes: parseRoutes(frames) }
}

/** Subnets that routes of the host lead to, except through `bridge` (our own, left by an earlier engine). */
export function subnetsInUse(host: HostNetwork, bridge: string): Subnet[] {
  const own = host.links.find((link) => link.name === bridge)?.index
  return host.routes
    .filter((route) => route.prefix > 0 && (own === undefined || route.index !== own))
    .map((route) => ({ base: Uint8Array.from(route.destination), prefix: route.prefix }))
}

/** Interfaces whose IPv6 default route was learned from a router: they need accept_ra=2 once the host forwards. */
export function advertisedInterfaces(host: HostNetwork): string[] {
  const indexes = new Set(host.routes.filter((route) => route.advertised).map((route) => route.index))
  return host.links.filter((link) => indexes.has(link.index)).map((link) => link.name)
}

/** Creates the bridge if it is not there, and asks for it. */
export function createBridgePlan(network: Network): Plan {
  const name = checkInterfaceName(network.bridge)
  const pool = network.ipv4 ?? network.ipv6
  const mac = pool === undefined ? Uint8Array.from([2, 0, 0, 0, 0, 1]) : macOf(poolOf(pool).gateway)
  const create = new NetlinkWriter()
  createBridge(create, { name, mac, mtu: network.mtu })
  const get = new NetlinkWriter()
  getLink(get, name)
  return {
    steps: [
      netlinkStep('host', NETLINK_ROUTE, `create the bridge ${name}`, create, { ignore: [ERRNO.EEXIST] }),
      netlinkStep('host', NETLINK_ROUTE, `look at ${name}`, get, { emit: true }),
    ],
  }
}

export interface BridgeOptions {
  /** The host has IPv6 (/proc/sys/net/ipv6 exists). */
  readonly ipv6: boolean
  /** From `advertisedInterfaces`. */
  readonly advertised: readonly string[]
}

/** Gives the bridge its addresses and settings and sets it up. Can be done again on a bridge that is there. */
export function configureBridgePlan(network: Network, index: number, options: BridgeOptions): Plan {
  return {
    steps: [
      ...bridgeSettings(network, options),
      addressStep(network, index),
      ...forwarding(network, options),
    ],
  }
}

function bridgeSettings(network: Network, options: BridgeOptions): Step[] {
  const steps: Step[] = []
  // Before it is up: a container must not become the host's router by an advertisement (CVE-2020-13401).
  if (options.ipv6) {
    steps.push(sysctl(`ipv6/conf/${network.bridge}/accept_ra`, '0'))
    // The bridge asks for its neighbours from its link-local address; while that is being checked for duplicates, the
    // first IPv6 connection to the first container would wait a second.
    steps.push(sysctl(`ipv6/conf/${network.bridge}/accept_dad`, '0'))
  }
  // Lets connections from 127.0.0.1 leave by the bridge; the table's `loopback` chain guards what that opens.
  if (network.ipv4 !== undefined) steps.push(sysctl(`ipv4/conf/${network.bridge}/route_localnet`, '1'))
  return steps
}

function addressStep(network: Network, index: number): Step {
  const w = new NetlinkWriter()
  for (const pool of [network.ipv4, network.ipv6]) {
    if (pool === undefined) continue
    const { gateway, subnet } = poolOf(pool)
    addAddress(w, index, gateway, subnet.prefix)
  }
  hardenBridge(w, index)
  setLinkUp(w, { index })
  const addresses = [network.ipv4, network.ipv6].flatMap((pool) => (pool === undefined ? [] : [pool.gateway]))
  return netlinkStep(
    'host',
    NETLINK_ROUTE,
    `give ${network.bridge} ${addresses.join(' and ')} and set it up`,
    w,
  )
}

/** The host forwards, as Docker makes it do. An internal network does not need it. */
function forwarding(network: Network, options: BridgeOptions): Step[] {
  if (network.internal) return []
  const steps: Step[] = []
  if (network.ipv4 !== undefined) steps.push(sysctl('ipv4/ip_forward', '1'))
  if (network.ipv6 !== undefined) {
    // A forwarding host ignores router advertisements unless told otherwise, and would lose its own default route.
    for (const name of options.advertised) steps.push(sysctl(`ipv6/conf/${name}/accept_ra`, '2'))
    steps.push(sysctl('ipv6/conf/all/forwarding', '1'))
  }
  return steps
}

function sysctl(name: string, data: string): Step {
  return { actor: 'host', op: 'write', path: `/proc/sys/net/${name}`, data }
}

/** Makes the bridge of a network ready and gives its interface index. */
export async function ensureBridge(core: Core, network: Network, options: BridgeOptions): Promise<number> {
  const frames = await core.run(createBridgePlan(network))
  const link = parseLinks(frames).find((one) => one.name === network.bridge)
  if (link === undefined) {
    throw new DewarError(
      'system',
      `creating the bridge ${network.bridge} failed: the kernel does not show it`,
    )
  }
  if (link.kind !== 'bridge') {
    throw new DewarError(
      'conflict',
      `cannot use ${network.bridge} as a bridge: it is another kind of interface`,
      {
        remedy: 'choose another name with --bridge',
      },
    )
  }
  await core.run(configureBridgePlan(network, link.index, options))
  return link.index
}

/** Steps that remove the bridge; its ports are set free, not removed. */
export function removeBridgeSteps(network: Network): Step[] {
  const w = new NetlinkWriter()
  deleteLink(w, { name: network.bridge })
  return [
    netlinkStep('host', NETLINK_ROUTE, `delete the bridge ${network.bridge}`, w, { ignore: [ERRNO.ENODEV] }),
  ]
}
