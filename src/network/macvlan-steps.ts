/** A container's interfaces on networks of the driver macvlan. */
import { createHash } from 'node:crypto'
import { ERRNO, NETLINK_ROUTE, NetlinkWriter, netlinkStep } from '../kernel/netlink.ts'
import { createMacvlan, deleteLinkIn, numberNamespace } from '../kernel/netlink-macvlan.ts'
import { deleteLink } from '../kernel/netlink-route.ts'
import type { Step } from '../kernel/plan.ts'
import { GUEST_INDEX, type Attachment, type ContainerNetwork } from './attachment.ts'
import { parseMac } from './ipam.ts'

const onMacvlans = (attachments: readonly Attachment[]): Attachment[] =>
  attachments.filter(({ network }) => network.macvlan !== undefined)

/**
 * Given before an interface gets there, when the kernel would give one of its own, which begin at 0. By it the interface is
 * removed when the container's first process has ended: its namespace may go later (the engine's name server has sockets
 * in it), and two interfaces on one parent that are up cannot have one MAC address, so that a restart would fail.
 */
export function namespaceNumber({ containerId, start }: ContainerNetwork): number {
  const hash = createHash('sha256').update(`${containerId} ${start} namespace`).digest()
  return 0x10000000 + (hash.readUInt32LE(0) & 0x0fffffff)
}

export function macvlanSteps(container: ContainerNetwork): Step[] {
  const attachments = onMacvlans(container.attachments)
  if (attachments.length === 0) return []
  const w = new NetlinkWriter()
  numberNamespace(w, namespaceNumber(container))
  for (const attachment of attachments) addMacvlan(w, attachment)
  const parents = attachments.map(({ network }) => network.macvlan?.parent ?? '')
  return [netlinkStep('parent', NETLINK_ROUTE, `put the container on ${parents.join(' and ')}`, w)]
}

/** For a container that runs; most have their number from the start. */
export function numberStep(container: ContainerNetwork, pid: number): Step {
  const w = new NetlinkWriter()
  numberNamespace(w, namespaceNumber(container), pid)
  return netlinkStep('host', NETLINK_ROUTE, 'number its namespace', w, { ignore: [ERRNO.EEXIST] })
}

export function removeMacvlanSteps(container: ContainerNetwork, actor: 'after' | 'host'): Step[] {
  const attachments = onMacvlans(container.attachments)
  if (attachments.length === 0) return []
  const w = new NetlinkWriter()
  for (const { slot } of attachments) deleteLinkIn(w, namespaceNumber(container), GUEST_INDEX + slot)
  const ignore = [ERRNO.ENODEV, ERRNO.EINVAL]
  return [netlinkStep(actor, NETLINK_ROUTE, 'take the container off its parents', w, { ignore })]
}

export function addMacvlan(w: NetlinkWriter, attachment: Attachment, pid?: number): void {
  const { network, slot, mac, bridgeIndex: parentIndex } = attachment
  createMacvlan(w, {
    parentIndex,
    mode: network.macvlan?.mode ?? 'bridge',
    name: `eth${slot}`,
    index: GUEST_INDEX + slot,
    mac: parseMac(mac),
    ...(network.mtu === 0 ? {} : { mtu: network.mtu }),
    ...(pid === undefined ? {} : { pid }),
  })
}

/** In the container's namespace. Nothing for what hangs on a bridge, which goes from the host's side. */
export function removeInsideSteps({ network, slot }: Attachment): Step[] {
  if (network.macvlan === undefined) return []
  const w = new NetlinkWriter()
  deleteLink(w, { index: GUEST_INDEX + slot })
  return [netlinkStep('host', NETLINK_ROUTE, `delete eth${slot}`, w, { ignore: [ERRNO.ENODEV] })]
}
