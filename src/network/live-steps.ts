/** Plugging a container that runs into one more network: the host's side, then the side of its own namespace. */
import { ERRNO, NETLINK_ROUTE, NetlinkWriter, netlinkStep } from '../kernel/netlink.ts'
import { deleteDefaultRoute } from '../kernel/netlink-route.ts'
import type { Step } from '../kernel/plan.ts'
import { gatewaysOf, type Attachment, type ContainerNetwork } from './attachment.ts'
import {
  addInterface,
  addRoutes,
  addVeth,
  deleteVethStep,
  guardedPorts,
  guestSettings,
  vethName,
} from './container-steps.ts'
import { addMacvlan, numberStep } from './macvlan-steps.ts'
import { guardSteps, unguardSteps } from './source-guard.ts'

/** On the host: a new interface for the container that `pid` is of. */
export function plugSteps(container: ContainerNetwork, attachment: Attachment, pid: number): Step[] {
  if (attachment.network.macvlan !== undefined) return plugMacvlan(container, attachment, pid)
  const w = new NetlinkWriter()
  addVeth(w, container, attachment, pid)
  const name = vethName(container.vethPrefix, container.containerId, attachment.slot)
  return [
    deleteVethStep('host', name),
    numberStep(container, pid),
    ...guardSteps('host', container.table, guardedPorts(container, [attachment])),
    netlinkStep('host', NETLINK_ROUTE, `plug the container into ${attachment.network.bridge}`, w),
  ]
}

function plugMacvlan(container: ContainerNetwork, attachment: Attachment, pid: number): Step[] {
  const w = new NetlinkWriter()
  addMacvlan(w, attachment, pid)
  const { name } = attachment.network
  return [numberStep(container, pid), netlinkStep('host', NETLINK_ROUTE, `put the container on ${name}`, w)]
}

/** On the host: takes the interface away again, or what is left of it. */
export function unplugSteps(container: ContainerNetwork, attachment: Attachment): Step[] {
  if (attachment.network.macvlan !== undefined) return []
  return [
    deleteVethStep('host', vethName(container.vethPrefix, container.containerId, attachment.slot)),
    ...unguardSteps('host', container.table, guardedPorts(container, [attachment])),
  ]
}

/** In the container's namespace: what `plugSteps` brought gets its addresses. */
export function interfaceSteps(ipv6: boolean, attachment: Attachment): Step[] {
  const w = new NetlinkWriter()
  addInterface(w, attachment)
  return [
    ...guestSettings('host', { ipv6, attachments: [attachment] }),
    netlinkStep('host', NETLINK_ROUTE, `set eth${attachment.slot} up`, w),
  ]
}

/** In the container's namespace: the default routes as they have to be with these attachments. */
export function routeSteps(ipv6: boolean, attachments: readonly Attachment[]): Step[] {
  const gateways = gatewaysOf(attachments)
  const gone = (length: 4 | 16): Step[] => {
    const w = new NetlinkWriter()
    deleteDefaultRoute(w, length)
    return [
      netlinkStep('host', NETLINK_ROUTE, 'no default route', w, { ignore: [ERRNO.ESRCH, ERRNO.ENOENT] }),
    ]
  }
  const w = new NetlinkWriter()
  addRoutes(w, gateways)
  const some = gateways.v4 !== undefined || gateways.v6 !== undefined
  return [
    ...(gateways.v4 === undefined ? gone(4) : []),
    ...(gateways.v6 === undefined && ipv6 ? gone(16) : []),
    ...(some ? [netlinkStep('host', NETLINK_ROUTE, 'default route', w)] : []),
  ]
}
