/** The plan of a container at the level `namespaces`: its whole story, in the order in which it happens. Pure. */
import { dirname } from 'node:path'
import type { CgroupLayout, CgroupPlan } from '../../kernel/cgroup.ts'
import type { OciNamespaceType, OciProcess, OciSpec } from '../../kernel/oci.ts'
import type { Plan, Slot, Step } from '../../kernel/plan.ts'
import type { MachineArch } from '../../kernel/seccomp.ts'
import type { Bundle, Rootfs } from '../level.ts'
import { closingSteps, coverSteps } from './cover.ts'
import { ATTR, treePropagation } from './mount-words.ts'
import { mountSteps } from './mounts.ts'
import { oomSteps, processSteps, rlimitSteps } from './process-steps.ts'
import { enterSteps, treeSteps, type Layering } from './rootfs.ts'
import { INIT_SLOT, Slots } from './slots.ts'

/** What the plan needs to know of the machine. */
export interface Machine {
  readonly arch: MachineArch
  readonly layout: CgroupLayout
  /** Whether overlayfs takes its layers as descriptors of unattached mounts (Linux 6.15). */
  readonly overlayByFd: boolean
  /** Whether the host has /proc/kcore: only then is there a /dev/core, as with runc. */
  readonly kcore: boolean
  /** Whether the engine holds CAP_SYS_RESOURCE: only then can it set limits of processes of other users. */
  readonly raisesLimits: boolean
}

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

interface Namespaces {
  /** Flags of those made new by the clone. */
  readonly fresh: number
  readonly joined: readonly { readonly type: OciNamespaceType; readonly path: string; readonly slot: Slot }[]
}

const has = (spec: OciSpec, type: OciNamespaceType): boolean =>
  spec.linux.namespaces.some((ns) => ns.type === type)

/** Time and cgroup namespaces are no matter of the clone: one is made before it, the other after joining. */
function readNamespaces(spec: OciSpec, slots: Slots): Namespaces {
  let fresh = 0
  const joined: { type: OciNamespaceType; path: string; slot: Slot }[] = []
  for (const { type, path } of spec.linux.namespaces) {
    if (path !== undefined) joined.push({ type, path, slot: slots.take() })
    else if (type !== 'time' && type !== 'cgroup') fresh |= CLONE[type]
  }
  return { fresh: fresh >>> 0, joined }
}

/** What is decided when only the container's ids and limits are known, and what the rest has to know of that. */
function beginning({ spec, shim }: Beginning, cgroup: CgroupPlan, machine: Machine) {
  const slots = new Slots(cgroup.slotsUsed)
  const namespaces = readNamespaces(spec, slots)
  const userns = usernsOf(spec, namespaces, slots)
  const ids = rootIds(spec)
  const layering: Layering = {
    userns: userns?.slot,
    scratch: dirname(shim.runDir),
    workingDirectory: shim.runDir,
    overlayByFd: machine.overlayByFd,
  }
  const clocks = clockSteps(spec, slots)
  const cover = coverSteps(spec, ids, slots)
  // Taken here: these slots must not depend on how many layers an image has.
  const root = slots.take()
  const mounts = mountSteps(
    {
      spec,
      root,
      layering,
      layout: machine.layout,
      kcore: machine.kcore,
      cgroupTrees: treesOf(cgroup, spec.linux.cgroupsPath),
      rootUid: ids.uid,
      rootGid: ids.gid,
    },
    slots,
    cover.stage,
  )
  const closing = closingSteps(spec, mounts, cover)
  const steps: Step[] = [
    // What each `after` step undoes comes behind it.
    ...cgroup.after,
    ...cgroup.host,
    ...namespaces.joined.map((ns): Step => ({
      actor: 'host',
      op: 'open',
      path: ns.path,
      slot: ns.slot,
      flags: 0,
    })),
    ...cloneSteps(namespaces, cgroup, ids.uid),
    // Before the parent's steps, which put an interface into the network namespace.
    ...joinSteps(namespaces),
    ...(userns?.steps ?? []),
    ...mounts.staged.parent,
    ...cover.parent,
    ...memberSteps(namespaces),
    ...(userns === undefined ? [] : [becomeRoot]),
    { actor: 'guest', op: 'propagation', flags: treePropagation(spec.linux.rootfsPropagation ?? 'rprivate') },
    ...cgroup.guest,
    ...(has(spec, 'cgroup') ? [{ actor: 'guest', op: 'unshare', flags: CLONE.cgroup } satisfies Step] : []),
    ...clocks.make,
    ...cover.guest,
    ...mounts.staged.guest,
    ...closing.staged,
    GATE,
  ]
  return { steps, slots, layering, root, mounts, closing, clocks }
}

export type Beginning = Pick<Bundle, 'spec'> & { readonly shim: Pick<Bundle['shim'], 'runDir'> }

/** The plan up to its gate. */
export function beginPlan(bundle: Beginning, cgroup: CgroupPlan, machine: Machine): Plan {
  return { steps: beginning(bundle, cgroup, machine).steps }
}

export function containerPlan(bundle: Bundle, cgroup: CgroupPlan, machine: Machine): Plan {
  const { spec, network } = bundle
  const { steps, slots, layering, root, mounts, closing, clocks } = beginning(bundle, cgroup, machine)
  return {
    steps: [
      ...steps,
      ...network.host,
      ...network.after,
      ...rootSteps(bundle.rootfs, layering, slots, root).steps,
      ...mounts.parent,
      ...network.parent,
      ...rlimitSteps(spec.process, machine),
      ...oomSteps(spec.process),
      ...clocks.enter,
      ...network.guest,
      ...nameSteps(spec),
      ...enterSteps(root, spec.root.readonly, [...mounts.guest, ...closing.late]),
      ...processSteps(spec, spec.process, bundle.init, machine.arch),
    ],
  }
}

/** No device node of an image works in a container with an id range of its own: /dev has the allowed ones. */
export function rootSteps(
  rootfs: Rootfs,
  layering: Layering,
  slots: Slots,
  slot = slots.take(),
): ReturnType<typeof treeSteps> {
  const attrs = layering.userns === undefined ? 0 : ATTR.nodev
  return treeSteps({ ...layering, lower: rootfs.lower, writable: rootfs, attrs }, slots, slot)
}

/** The trees of those groups that the plan takes away at the end: these are the container's own. */
function treesOf(cgroup: CgroupPlan, path: string): ReadonlySet<string> {
  const folders = cgroup.after.flatMap((step) =>
    step.op === 'rmdir' && step.path.endsWith(path) ? [step.path] : [],
  )
  return new Set(folders.map((folder) => folder.slice(0, -path.length)))
}

/** Slot of the user namespace, and for a new one the steps that map it. */
function usernsOf(
  spec: OciSpec,
  namespaces: Namespaces,
  slots: Slots,
): { readonly slot: Slot; readonly steps: Step[] } | undefined {
  const joined = namespaces.joined.find((ns) => ns.type === 'user')
  if (joined !== undefined) return { slot: joined.slot, steps: [] }
  if (!has(spec, 'user')) return undefined
  const slot = slots.take()
  return {
    slot,
    steps: [
      {
        actor: 'parent',
        op: 'idmap',
        uid: mapText(spec.linux.uidMappings),
        gid: mapText(spec.linux.gidMappings),
      },
      { actor: 'parent', op: 'open-ns', slot, kind: 'user' },
    ],
  }
}

const mapText = (maps: OciSpec['linux']['uidMappings']): string =>
  maps.map((m) => `${m.containerID} ${m.hostID} ${m.size}\n`).join('')

/** Host ids of the container's root. */
export function rootIds(spec: OciSpec): { readonly uid: number; readonly gid: number } {
  return { uid: hostId(spec.linux.uidMappings, 0), gid: hostId(spec.linux.gidMappings, 0) }
}

/** Without maps ids are the host's. An unmapped id is left to the kernel to refuse. */
export function hostId(maps: OciSpec['linux']['uidMappings'], id: number): number {
  const map = maps.find((m) => id >= m.containerID && id < m.containerID + m.size)
  return map === undefined ? id : id - map.containerID + map.hostID
}

/** Root of the new user namespace: until then the process is nobody in it, though with all capabilities. */
const becomeRoot: Step = { actor: 'guest', op: 'user', uid: 0, gid: 0, groups: [] }

const GATE: Step = { actor: 'host', op: 'gate' }

/** A time namespace takes offsets until the first is in it, who has made it for its children (time_namespaces(7)). */
function clockSteps(spec: OciSpec, slots: Slots): { readonly make: Step[]; readonly enter: Step[] } {
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

/**
 * A new container is born into its namespaces. One that joins another's user namespace can only enter the
 * others once it is inside that, and a sibling is born into those of its own there.
 */
function cloneSteps(namespaces: Namespaces, cgroup: CgroupPlan, rootUid: number): Step[] {
  const into = cgroup.cloneInto === undefined ? {} : { cgroup: cgroup.cloneInto }
  const joinsUser = namespaces.joined.some((ns) => ns.type === 'user')
  const flags = joinsUser ? 0 : namespaces.fresh
  return [{ actor: 'host', op: 'clone', flags, ...into, ...ownedBy(flags, rootUid) }]
}

/** A new user namespace belongs to the root inside. */
export const ownedBy = (flags: number, rootUid: number): { readonly owner?: number } =>
  (flags & CLONE.user) === 0 ? {} : { owner: rootUid }

function joinSteps(namespaces: Namespaces): Step[] {
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
function memberSteps({ joined }: Namespaces): Step[] {
  const pid = joined.find((ns) => ns.type === 'pid')
  if (pid === undefined || joined.some((ns) => ns.type === 'user')) return []
  return [{ actor: 'guest', op: 'setns', slot: pid.slot, flags: CLONE.pid }, sibling(0)]
}

const sibling = (flags: number): Step => ({ actor: 'guest', op: 'sibling', flags })

function nameSteps(spec: OciSpec): Step[] {
  const steps: Step[] = []
  if (spec.hostname !== undefined) steps.push({ actor: 'guest', op: 'hostname', name: spec.hostname })
  if (spec.domainname !== undefined) steps.push({ actor: 'guest', op: 'domainname', name: spec.domainname })
  return steps
}

/** One more process for a running container; the shim carries it out and lends a pidfd of the first process. */
export function execPlan(bundle: Bundle, process: OciProcess, cgroup: CgroupPlan, machine: Machine): Plan {
  const { spec } = bundle
  const flags = spec.linux.namespaces.reduce((all, { type }) => (all | CLONE[type]) >>> 0, 0)
  const into = cgroup.cloneInto === undefined ? {} : { cgroup: cgroup.cloneInto }
  const steps: Step[] = [
    ...cgroup.host,
    { actor: 'host', op: 'clone', flags: 0, ...into },
    ...rlimitSteps(process, machine),
    ...oomSteps(process),
    ...cgroup.guest,
    { actor: 'guest', op: 'setns', slot: INIT_SLOT, flags },
    ...((flags & CLONE.pid) === 0 ? [] : [sibling(0)]),
    ...(has(spec, 'user') ? [becomeRoot] : []),
    ...processSteps(spec, process, false, machine.arch),
  ]
  return { steps }
}
