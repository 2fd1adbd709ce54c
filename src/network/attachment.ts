/** A container's places on its networks, as the steps are made of them. */
import type { Published } from './firewall.ts'
import type { Network } from './network.ts'

/** /proc/sys/net/FOLDER/INTERFACE/KEY; checked. */
export interface InterfaceSetting {
  readonly folder: string
  readonly key: string
  readonly value: string
}

/** A container's place on one network. */
export interface Attachment {
  readonly network: Network
  /** Interface index of the network's bridge, or of a macvlan's parent. */
  readonly bridgeIndex: number
  readonly address?: string
  readonly address6?: string
  /** `--link-local-ip`: more addresses, which nothing is routed to. */
  readonly linkLocal?: readonly string[]
  readonly mac: string
  /** Number of its interface: eth0, eth1… Those of one container differ. */
  readonly slot: number
  /** Who has the most gives the default route (`--network name=…,gw-priority=N`). */
  readonly gatewayPriority: number
  /** It may send under any address. */
  readonly unguarded?: boolean
  /** What the user wants of its interface. */
  readonly settings?: readonly InterfaceSetting[]
}

export interface ContainerNetwork {
  readonly containerId: string
  /** Makes interface indexes of two starts of one container differ; e.g. the time of the start. */
  readonly start: number
  /** At most 6 letters. */
  readonly vethPrefix: string
  readonly table: string
  /** The host has IPv6. */
  readonly ipv6: boolean
  /** The kernel has what the source guard needs. */
  readonly guard: boolean
  readonly attachments: readonly Attachment[]
  readonly published: readonly Published[]
}

/**
 * Indexes inside the container start here: above the fallback devices (tunl0, sit0, gre0 …) that some kernels put
 * into every new network namespace, and which would make lower ones EEXIST.
 */
export const GUEST_INDEX = 64

export interface Gateways<A extends GatewayChoice = Attachment> {
  readonly v4?: A
  readonly v6?: A
}

type GatewayChoice = Pick<Attachment, 'network' | 'gatewayPriority' | 'address' | 'address6'>

/**
 * Who gives the default routes, as dockerd chooses: the highest priority, then the first name. Internal networks lead
 * nowhere.
 */
export function gatewaysOf<A extends GatewayChoice>(attachments: readonly A[]): Gateways<A> {
  const ordered = attachments
    .filter(({ network }) => !network.internal)
    .toSorted((a, b) => b.gatewayPriority - a.gatewayPriority || compareText(a.network.name, b.network.name))
  const v4 = ordered.find(({ address }) => address !== undefined)
  const v6 = ordered.find(({ address6 }) => address6 !== undefined)
  return { ...(v4 === undefined ? {} : { v4 }), ...(v6 === undefined ? {} : { v6 }) }
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Where published ports lead: to where the default routes come from, and only over a bridge, since nothing else is ours to forward to. */
export function portTargets<A extends GatewayChoice>(attachments: readonly A[]): Gateways<A> {
  const { v4, v6 } = gatewaysOf(attachments)
  return {
    ...(v4?.network.driver === 'bridge' ? { v4 } : {}),
    ...(v6?.network.driver === 'bridge' ? { v6 } : {}),
  }
}

/** The rest hangs on parents (macvlan). */
export const onBridges = <A extends Pick<Attachment, 'network'>>(attachments: readonly A[]): A[] =>
  attachments.filter(({ network }) => network.driver === 'bridge')
