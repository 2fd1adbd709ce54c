/**
 * Networks of the driver macvlan: each container has an interface of its own on a parent interface of the host, beside
 * the host and not behind it. The kernel keeps such an interface from its own parent, so the host does not reach its
 * containers by it; no port is published, and no rule of ours stands between a container and the wire.
 * NOT protected: who else is on the wire, from what a container sends under other addresses; there is no port on the
 * host's side where it could be looked at.
 */
import { DewarError, messageOf } from '../base/errors.ts'
import type { Core } from '../kernel/core-api.ts'
import { ERRNO, NETLINK_ROUTE, NetlinkWriter, netlinkStep } from '../kernel/netlink.ts'
import { parseLinks } from '../kernel/netlink-dump.ts'
import type { Link } from '../kernel/netlink-dump.ts'
import { deleteLink, setLinkUp } from '../kernel/netlink-route.ts'
import { createDummy, createVlan } from '../kernel/netlink-macvlan.ts'
import { PlanFailed } from '../kernel/plan-failed.ts'
import type { Step } from '../kernel/plan.ts'
import { hostNetworkPlan } from './bridge.ts'
import type { Network } from './network.ts'

export const MODES = ['bridge', 'private', 'vepa', 'passthru'] as const
export type MacvlanMode = (typeof MODES)[number]

/** What a network of the driver macvlan has beside a bridge's. */
export interface Macvlan {
  /** Name of the interface of the host. */
  readonly parent: string
  readonly mode: MacvlanMode
  /** The engine makes the parent and takes it away: a VLAN of another interface, or a dummy without a way out. */
  readonly made?: { readonly on: string; readonly vlan: number } | 'inner'
}

/** Index of the parent, which is made when it is the engine's to make. */
export async function ensureParent(core: Core, network: Network): Promise<number> {
  const { macvlan } = network
  if (macvlan === undefined)
    throw new DewarError('system', `network ${network.name} failed: it has no parent interface`)
  const known = await findLink(core, macvlan.parent)
  if (known !== undefined) return known.index
  if (macvlan.made === undefined) throw noParent(network.name, macvlan.parent)
  if (macvlan.made === 'inner') await makeInner(core, macvlan.parent)
  else await makeVlan(core, network.name, macvlan.parent, macvlan.made)
  const made = await findLink(core, macvlan.parent)
  if (made === undefined) throw noParent(network.name, macvlan.parent)
  return made.index
}

function noParent(name: string, parent: string): DewarError {
  return new DewarError('system', `network ${name} has lost its parent interface: there is no ${parent}`, {
    remedy: 'bring that interface of the host back, or make the network anew with another',
  })
}

async function findLink(core: Core, name: string): Promise<Link | undefined> {
  const frames = await core.run(hostNetworkPlan())
  return parseLinks(frames).find((link) => link.name === name)
}

async function makeInner(core: Core, name: string): Promise<void> {
  const w = new NetlinkWriter()
  createDummy(w, name)
  setLinkUp(w, { name })
  try {
    await core.run({ steps: [netlinkStep('host', NETLINK_ROUTE, `make the parent interface ${name}`, w)] })
  } catch (cause) {
    throw notMade(
      `failed to create the parent interface ${name}`,
      cause,
      'this kernel has no dummy interfaces: load the module dummy, or give a parent (-o parent=IF)',
    )
  }
}

async function makeVlan(
  core: Core,
  network: string,
  name: string,
  { on, vlan }: { readonly on: string; readonly vlan: number },
): Promise<void> {
  const under = await findLink(core, on)
  if (under === undefined) throw noParent(network, on)
  const w = new NetlinkWriter()
  createVlan(w, { name, parentIndex: under.index, vlan })
  setLinkUp(w, { name })
  try {
    await core.run({ steps: [netlinkStep('host', NETLINK_ROUTE, `make the VLAN ${name}`, w)] })
  } catch (cause) {
    throw notMade(
      `failed to create ${name} vlan link`,
      cause,
      'this kernel knows no VLANs: load the module 8021q',
    )
  }
}

function notMade(what: string, cause: unknown, remedy: string): DewarError {
  const unsupported = cause instanceof PlanFailed && cause.errno === 'EOPNOTSUPP'
  if (!unsupported) return new DewarError('system', `${what}: ${messageOf(cause)}`, { cause })
  return new DewarError('system', `${what}: operation not supported`, { cause, remedy })
}

/** Nothing for a parent that is the host's own. */
export function removeParentSteps({ macvlan }: Network): Step[] {
  if (macvlan?.made === undefined) return []
  const w = new NetlinkWriter()
  deleteLink(w, { name: macvlan.parent })
  return [netlinkStep('host', NETLINK_ROUTE, `delete ${macvlan.parent}`, w, { ignore: [ERRNO.ENODEV] })]
}
