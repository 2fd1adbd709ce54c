/** Namespaces: which a container gets new or joins, and the steps from the clone until it is in all of them. Pure. */
import type { CgroupPlan } from '../../kernel/cgroup.ts'
import { NETLINK_ROUTE, NetlinkWriter, netlinkStep } from '../../kernel/netlink.ts'
import { LOOPBACK_INDEX, setLinkUp } from '../../kernel/netlink-route.ts'
import type { OciNamespaceType, OciSpec } from '../../kernel/oci.ts'
import type { Slot, Step } from '../../kernel/plan.ts'
import type { Slots } from './slots.ts'

export const CLONE: Readonly<Record<OciNamespaceType, number>> = {
  time: 0x80,
  mount: 0x2_0000,
  cgroup: 0x200_0000,
  uts: 0x400_0000,
  ipc: 0x800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  network: 0x4000_0000,
}

/** What of a specification is looked at before the gate (`plan.ts`): what is not in here cannot make a difference there. */
export interface Surroundings {
  readonly linux: Omit<OciSpec['linux'], 'seccomp'>
  readonly mounts: OciSpec['mounts']
}

export interface Namespaces {
  /** Flags of those made new by the clone. */
  readonly fresh: number
  readonly joined: readonly { readonly type: OciNamespaceType; readonly path: string; readonly slot: Slot }[]
}

export const has = (spec: Pick<Surroundings, 'linux'>, type: OciNamespaceType): boolean =>
  spec.linux.namespaces.some((ns) => ns.type === type)

/** Time and cgroup namespaces are no matter of the clone: the guest makes them, the latter when it has joined its groups. */
export function readNamespaces(spec: Surroundings, slots: Slots): Namespaces {
  let fresh = 0
  const joined: { type: OciNamespaceType; path: string; slot: Slot }[] = []
  for (const { type, path } of spec.linux.namespaces) {
    if (path !== undefined) joined.push({ type, path, slot: slots.take() })
    else if (type !== 'time' && type !== 'cgroup') fresh |= CLONE[type]
  }
  return { fresh: fresh >>> 0, joined }
}

export const GATE: Step = { actor: 'host', op: 'gate' }

/**
 * A new container is born into its namespaces. One that joins another's user namespace can only enter the
 * others once it is inside that, and a sibling is born into those of its own there.
 */
export function cloneSteps(namespaces: Namespaces, cgroup: CgroupPlan, rootUid: number): Step[] {
  const into = cgroup.cloneInto === undefined ? {} : { cgroup: cgroup.cloneInto }
  const joinsUser = namespaces.joined.some((ns) => ns.type === 'user')
  const flags = joinsUser ? 0 : namespaces.fresh
  return [{ actor: 'host', op: 'clone', flags, ...into, ...ownedBy(flags, rootUid) }]
}

/** A new user namespace belongs to the root inside. */
export const ownedBy = (flags: number, rootUid: number): { readonly owner?: number } =>
  (flags & CLONE.user) === 0 ? {} : { owner: rootUid }

export function joinSteps(namespaces: Namespaces): Step[] {
  const user = namespaces.joined.find((ns) => ns.type === 'user')
  const rest = namespaces.joined.filter((ns) => ns !== user)
  const enter = ({ type, slot }: Namespaces['joined'][number]): Step => ({
    actor: 'guest',
    op: 'setns',
    slot,
    flags: CLONE[type],
  })
  if (user === undefined) return rest.filter((ns) => ns.type !== 'pid').map(enter)
  return [enter(user), ...rest.map(enter), sibling(namespaces.fresh), GATE]
}

/** Once the parent is done with the process that another now takes the place of. */
export function memberSteps({ joined }: Namespaces): Step[] {
  const pid = joined.find((ns) => ns.type === 'pid')
  if (pid === undefined || joined.some((ns) => ns.type === 'user')) return []
  return [{ actor: 'guest', op: 'setns', slot: pid.slot, flags: CLONE.pid }, sibling(0)]
}

/** All that is in a new network namespace is a loopback interface, and that is down. */
export function loopbackSteps({ fresh }: Namespaces): Step[] {
  if ((fresh & CLONE.network) === 0) return []
  const w = new NetlinkWriter()
  setLinkUp(w, { index: LOOPBACK_INDEX })
  return [netlinkStep('guest', NETLINK_ROUTE, 'set lo up', w)]
}

export const sibling = (flags: number): Step => ({ actor: 'guest', op: 'sibling', flags })

/** A time namespace takes offsets until the first is in it, who has made it for its children (time_namespaces(7)). */
export function clockSteps(
  spec: Surroundings,
  slots: Slots,
): { readonly make: Step[]; readonly enter: Step[] } {
  if (!has(spec, 'time')) return { make: [], enter: [] }
  const slot = slots.take()
  const lines = Object.entries(spec.linux.timeOffsets ?? {}).map(
    ([clock, o]) => `${clock} ${o.secs} ${o.nanosecs}\n`,
  )
  return {
    make: [{ actor: 'guest', op: 'unshare', flags: CLONE.time }],
    enter: [
      { actor: 'parent', op: 'clock-offsets', offsets: lines.join(''), zero: lines.length === 0 },
      { actor: 'parent', op: 'open-ns', slot, kind: 'time_for_children' },
      { actor: 'guest', op: 'setns', slot, flags: CLONE.time },
    ],
  }
}
