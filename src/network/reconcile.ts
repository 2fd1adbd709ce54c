/** What a killed engine or shim left of the network, and the steps that put it right. */
import { NETLINK_ROUTE, NetlinkWriter, netlinkStep } from '../kernel/netlink.ts'
import { dumpLinks, parseLinks } from '../kernel/netlink-dump.ts'
import type { Link } from '../kernel/netlink-dump.ts'
import { dumpBaseChains, parseBaseChains } from '../kernel/nftables-dump.ts'
import type { BaseChain } from '../kernel/nftables-dump.ts'
import type { Core } from '../kernel/core-api.ts'
import type { Step } from '../kernel/plan.ts'
import { deleteVethStep } from './container-steps.ts'
import { firewallStep, tableName } from './firewall.ts'
import type { Published } from './firewall.ts'
import type { Network } from './network.ts'
import { guardTableStep } from './source-guard.ts'
import type { GuardedPort } from './source-guard.ts'

/** What is true: the engine's records and the shims that live. */
export interface NetworkTruth {
  readonly networks: readonly Network[]
  /** Host ends of all running containers' interfaces. */
  readonly veths: ReadonlySet<string>
  /** What running containers publish. */
  readonly published: readonly Published[]
  readonly vethPrefix: string
  readonly table: string
  readonly ipv6: boolean
  /** Ports of all running containers that may send under their own addresses alone; undefined: the kernel cannot see to it. */
  readonly guarded: readonly GuardedPort[] | undefined
}

/**
 * Interfaces of ours that belong to no running container: veths with our prefix on one of our bridges. A veth that
 * lost its bridge, or is on someone else's, is not ours to judge.
 */
export function strayVeths(
  truth: Pick<NetworkTruth, 'networks' | 'veths' | 'vethPrefix'>,
  links: readonly Link[],
): string[] {
  const names = new Set(truth.networks.map((network) => network.bridge))
  const bridges = new Set(links.filter((link) => names.has(link.name)).map((link) => link.index))
  return links
    .filter(
      (link) => link.kind === 'veth' && bridges.has(link.master) && link.name.startsWith(truth.vethPrefix),
    )
    .map((link) => link.name)
    .filter((name) => !truth.veths.has(name))
}

/**
 * Deletes stray interfaces and writes the whole table anew. The table needs no comparison: replacing it is one
 * transaction of well under a millisecond, and also repairs what somebody else flushed.
 */
export function reconcileSteps(truth: NetworkTruth, links: readonly Link[]): Step[] {
  return [
    ...strayVeths(truth, links).map((name) => deleteVethStep('host', name)),
    firewallStep('host', truth),
    ...(truth.guarded === undefined ? [] : [guardTableStep('host', truth.table, truth.guarded)]),
  ]
}

/** Looks at the host and puts it right. Gives the names of the interfaces that were removed. */
export async function reconcileNetwork(core: Core, truth: NetworkTruth): Promise<string[]> {
  const w = new NetlinkWriter()
  dumpLinks(w)
  const frames = await core.run({
    steps: [netlinkStep('host', NETLINK_ROUTE, 'list the interfaces', w, { emit: true })],
  })
  const links = parseLinks(frames)
  await core.run({ steps: reconcileSteps(truth, links) })
  return strayVeths(truth, links)
}

/** Base chains of others that drop what they do not know on its way through the host. */
export function blockingChains(chains: readonly BaseChain[], table: string): BaseChain[] {
  return chains.filter((chain) => chain.hook === FORWARD && chain.policy === 'drop' && chain.table !== table)
}
const FORWARD = 2

/**
 * Warnings for `info`: a dockerd or a firewall that drops forwarded packets stops traffic between containers and the
 * outside (not that from this host to published ports), and no rule of ours can overrule it.
 */
export async function forwardWarnings(core: Core, bridge: string): Promise<string[]> {
  const chains = parseBaseChains(await core.run({ steps: [dumpBaseChains('host', 'ip')] }))
  return blockingChains(chains, tableName(bridge)).map(
    (chain) =>
      `WARNING: the chain ${chain.table} ${chain.name} drops forwarded packets: containers on ${bridge} cannot reach other machines, ` +
      `nor these their published ports (allow it, e.g.: iptables -I DOCKER-USER -i ${bridge} -j ACCEPT; iptables -I DOCKER-USER -o ${bridge} -j ACCEPT)`,
  )
}
