/** What a level's plan has to do for one container's network: the steps before, beside, inside and after it. */
import { createHash } from 'node:crypto'
import { DewarError } from '../base/errors.ts'
import { ERRNO, NETLINK_ROUTE, NetlinkWriter, netlinkStep } from '../kernel/netlink.ts'
import { numberNamespace } from '../kernel/netlink-macvlan.ts'
import {
  addAddress,
  addDefaultRoute,
  createVeth,
  deleteLink,
  setBridgePort,
  setLinkDown,
  setLinkUp,
} from '../kernel/netlink-route.ts'
import type { Actor, Step } from '../kernel/plan.ts'
import { bytesOf } from './address.ts'
import { forgetClientsStep, publishSteps, unpublishSteps } from './firewall.ts'
import type { Published } from './firewall.ts'
import { parseMac } from './ipam.ts'
import { GUEST_INDEX, gatewaysOf, onBridges } from './attachment.ts'
import type { Attachment, ContainerNetwork, Gateways, InterfaceSetting } from './attachment.ts'
import { macvlanSteps, namespaceNumber, removeMacvlanSteps } from './macvlan-steps.ts'
import { poolOf } from './network.ts'
import type { IpPool } from './network.ts'
import { guardSteps, unguardSteps } from './source-guard.ts'
import type { GuardedPort } from './source-guard.ts'

/** The same shape as the isolation room's NetworkSteps (arrows forbid to import it). */
export interface ContainerSteps {
  readonly host: readonly Step[]
  readonly parent: readonly Step[]
  readonly guest: readonly Step[]
  readonly after: readonly Step[]
}

/** Of `--network none`, and of host and container:ID, where the namespace is somebody else's. */
export const NO_STEPS: ContainerSteps = { host: [], parent: [], guest: [], after: [] }

/** As many networks can a container be on: its slots are 0 to 35. */
export const MOST_NETWORKS = 36

/**
 * Name of the host's end of an interface: prefix, 8 hex digits of the container's id, and a digit or letter from the
 * second on. At most 15 characters, which is what the kernel takes.
 */
export function vethName(prefix: string, containerId: string, slot = 0): string {
  if (prefix.length > 6 || slot >= MOST_NETWORKS)
    throw new DewarError('invalid-argument', `too long a name for a veth: ${prefix}`)
  return `${prefix}${containerId.slice(0, 8)}${slot === 0 ? '' : slot.toString(36)}`
}

/**
 * Index of the host's end, from a quarter of the range that the kernel's own numbering (1, 2, 3 …) does not get to. A
 * clash has odds of one in 2^28 per container, and fails the start with EEXIST or EBUSY; the next start has another.
 */
function hostIndex(container: ContainerNetwork, n: number): number {
  const hash = createHash('sha256').update(`${container.containerId} ${container.start} ${n}`).digest()
  return 0x10000000 + (hash.readUInt32LE(0) & 0x0fffffff)
}

/** The default: interfaces on bridges, published ports. */
export function bridgeSteps(container: ContainerNetwork): ContainerSteps {
  return {
    // A start right after the container's end may find its old interface still dying.
    host: [...deleteSteps(container, 'host'), ...container.published.map(reserveStep)],
    parent: [
      ...macvlanSteps(container),
      ...guardSteps('parent', container.table, guardedPorts(container)),
      ...vethSteps(container),
      // Published last: by then the interface it leads to is there.
      ...publishSteps('parent', container.table, container.published),
    ],
    guest: [...guestSettings('guest', container), guestStep(container)],
    // Carried out from the last to the first. What it was allowed to send as goes later (src/engine/guard-sweep.ts).
    after: [
      ...silenceSteps(container),
      ...removeMacvlanSteps(container, 'after'),
      ...forgetClientsStep('after', container.published),
      ...unpublishSteps('after', container.table, container.published),
    ],
  }
}

/**
 * Removes whatever the container has on the host and waits until it is gone. Can be done again, and without knowing
 * how far a start came. The `after` steps do not wait: the kernel removes the interface itself when the namespace of
 * the container's last process goes, some 30 ms later.
 */
export function releaseSteps(container: Released, actor: 'after' | 'host'): Step[] {
  return [
    ...unpublishSteps(actor, container.table, container.published),
    ...deleteSteps(container, actor),
    ...unguardSteps(actor, container.table, guardedPorts(container)),
  ]
}

export type Released = Pick<
  ContainerNetwork,
  'containerId' | 'vethPrefix' | 'table' | 'published' | 'attachments' | 'guard'
>

/** The container's ports whose senders are looked at. */
export function guardedPorts(container: Released, attachments = container.attachments): GuardedPort[] {
  if (!container.guard) return []
  return onBridges(attachments)
    .filter(({ unguarded }) => unguarded !== true)
    .map(({ slot, mac, address, address6, linkLocal = [] }) => ({
      veth: vethName(container.vethPrefix, container.containerId, slot),
      mac,
      addresses: [address ?? [], address6 ?? [], linkLocal].flat(),
    }))
}

/** Of the interfaces on bridges, if they are there. */
export function deleteSteps(
  container: Pick<Released, 'containerId' | 'vethPrefix' | 'attachments'>,
  actor: 'after' | 'host',
): Step[] {
  return onBridges(container.attachments).map(({ slot }) =>
    deleteVethStep(actor, vethName(container.vethPrefix, container.containerId, slot)),
  )
}

export function deleteVethStep(actor: 'after' | 'host', name: string): Step {
  const w = new NetlinkWriter()
  deleteLink(w, { name })
  return netlinkStep(actor, NETLINK_ROUTE, `delete ${name} if it is there`, w, { ignore: [ERRNO.ENODEV] })
}

/** The namespace may live on in a process that joined it; its traffic ends with the container all the same. */
function silenceSteps(container: ContainerNetwork): Step[] {
  if (onBridges(container.attachments).length === 0) return []
  const w = new NetlinkWriter()
  for (const { slot } of onBridges(container.attachments)) setLinkDown(w, hostIndex(container, slot))
  const ignore = [ERRNO.ENODEV]
  return [netlinkStep('after', NETLINK_ROUTE, 'cut the container off its bridges', w, { ignore })]
}

function reserveStep(published: Published): Step {
  const { protocol, hostPort: port } = published
  return { actor: 'host', op: 'reserve-port', protocol, address: bytesOf(published.hostAddress), port }
}

function vethSteps(container: ContainerNetwork): Step[] {
  const attachments = onBridges(container.attachments)
  if (attachments.length === 0) return []
  const w = new NetlinkWriter()
  // For a macvlan that may be plugged in later; those of the start have done it.
  if (attachments.length === container.attachments.length) numberNamespace(w, namespaceNumber(container))
  for (const attachment of attachments) addVeth(w, container, attachment)
  const bridges = attachments.map((attachment) => attachment.network.bridge)
  return [netlinkStep('parent', NETLINK_ROUTE, `plug the container into ${bridges.join(' and ')}`, w)]
}

export function addVeth(
  w: NetlinkWriter,
  container: ContainerNetwork,
  attachment: Attachment,
  pid?: number,
): void {
  const { slot, network, mac } = attachment
  const index = hostIndex(container, slot)
  createVeth(w, {
    name: vethName(container.vethPrefix, container.containerId, slot),
    index,
    bridgeIndex: attachment.bridgeIndex,
    mtu: network.mtu,
    peer: {
      name: `eth${slot}`,
      index: GUEST_INDEX + slot,
      mac: parseMac(mac),
      ...(pid === undefined ? {} : { pid }),
    },
  })
  // With br_netfilter the destination is rewritten while the packet is still the bridge's, which then has to send it
  // back out of the port it came in when a container calls its own published port.
  setBridgePort(w, index, { hairpin: true, isolated: !network.icc })
}

/**
 * Before the interface is up: a neighbour's router advertisement must not redirect the container's traffic; and a
 * network without IPv6 has none, not even link-local. Any /proc/sys/net is that of the writer's network namespace; a level
 * must have one open for these.
 */
export function guestSettings(
  actor: Actor,
  container: Pick<ContainerNetwork, 'ipv6' | 'attachments'>,
): Step[] {
  return container.attachments.flatMap((attachment) =>
    [...(container.ipv6 ? ipv6Settings(attachment) : []), ...(attachment.settings ?? [])].map(
      ({ folder, key, value }): Step => ({
        actor,
        op: 'write',
        path: `/proc/sys/net/${folder}/eth${attachment.slot}/${key}`,
        data: value,
      }),
    ),
  )
}

function ipv6Settings({ address6 }: Attachment): InterfaceSetting[] {
  const folder = 'ipv6/conf'
  if (address6 === undefined) return [{ folder, key: 'disable_ipv6', value: '1' }]
  // The hairpin port sends the interface its own duplicate check back.
  return ['accept_ra', 'accept_dad'].map((key) => ({ folder, key, value: '0' }))
}

function guestStep(container: ContainerNetwork): Step {
  const w = new NetlinkWriter()
  for (const attachment of container.attachments) addInterface(w, attachment)
  addRoutes(w, gatewaysOf(container.attachments))
  const addresses = container.attachments.flatMap(({ address, address6 }) =>
    [address ?? [], address6 ?? []].flat(),
  )
  return netlinkStep('guest', NETLINK_ROUTE, `set eth0 up with ${addresses.join(' and ')}, default route`, w)
}

/** An interface that is there and down gets its addresses and goes up. */
export function addInterface(w: NetlinkWriter, attachment: Attachment): void {
  const { network, slot, address, address6, linkLocal = [] } = attachment
  const index = GUEST_INDEX + slot
  setLinkUp(w, { index })
  const pairs: (readonly [IpPool | undefined, string | undefined])[] = [
    [network.ipv4, address],
    [network.ipv6, address6],
  ]
  for (const [pool, text] of pairs) {
    if (pool === undefined || text === undefined) continue
    addAddress(w, index, bytesOf(text), poolOf(pool).subnet.prefix)
  }
  for (const bytes of linkLocal.map(bytesOf)) addAddress(w, index, bytes, bytes.length === 4 ? 16 : 64)
}

export function addRoutes(w: NetlinkWriter, { v4, v6 }: Gateways): void {
  if (v4?.network.ipv4 !== undefined)
    addDefaultRoute(w, GUEST_INDEX + v4.slot, poolOf(v4.network.ipv4).gateway)
  if (v6?.network.ipv6 !== undefined)
    addDefaultRoute(w, GUEST_INDEX + v6.slot, poolOf(v6.network.ipv6).gateway)
}
