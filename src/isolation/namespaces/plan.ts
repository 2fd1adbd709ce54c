/** The plan of a container at the level `namespaces`: its whole story, in the order in which it happens. Pure. */
import { dirname } from 'node:path'
import type { CgroupLayout, CgroupPlan } from '../../kernel/cgroup.ts'
import type { OciProcess, OciSpec } from '../../kernel/oci.ts'
import type { Plan, Slot, Step } from '../../kernel/plan.ts'
import type { MachineArch } from '../../kernel/seccomp.ts'
import type { Bundle, Rootfs } from '../level.ts'
import { closingSteps, coverSteps, ROOT } from './cover.ts'
import { ATTR, treePropagation } from './mount-words.ts'
import { mountSteps, type MountSteps } from './mounts.ts'
import {
  CLONE,
  clockSteps,
  cloneSteps,
  GATE,
  has,
  joinSteps,
  loopbackSteps,
  memberSteps,
  readNamespaces,
  sibling,
  type Namespaces,
  type Surroundings,
} from './namespace-steps.ts'
import { O_PATH } from './places.ts'
import { oomSteps, processSteps, rlimitSteps } from './process-steps.ts'
import { enterSteps, treeSteps, writableStep, type Layering } from './rootfs.ts'
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

/** All that is looked at before the gate. Two that are written alike give the same beginning. */
export interface Beforehand {
  readonly spec: Surroundings
  readonly rootfs: Rootfs
  readonly runDir: string
}

/** Of a bundle of which the rest may still be open. */
export function beforehand({ spec, rootfs, shim }: Pick<Bundle, 'spec' | 'rootfs' | 'shim'>): Beforehand {
  const { seccomp: _, ...linux } = spec.linux
  return { spec: { linux, mounts: spec.mounts }, rootfs, runDir: shim.runDir }
}

export type Beginning = ReturnType<typeof beginning>

/** The steps up to the gate, and what the rest has to know of them. */
export function beginning({ spec, rootfs, runDir }: Beforehand, cgroup: CgroupPlan, machine: Machine) {
  const slots = new Slots(cgroup.slotsUsed)
  const namespaces = readNamespaces(spec, slots)
  const userns = usernsOf(spec, namespaces, slots)
  const ids = rootIds(spec)
  const layering: Layering = {
    userns: userns?.slot,
    scratch: dirname(runDir),
    workingDirectory: runDir,
    overlayByFd: machine.overlayByFd,
  }
  const clocks = clockSteps(spec, slots)
  const cover = coverSteps(ids, slots)
  const settings = slots.take()
  const root = slots.take()
  // Before the mounts', of which there may be more behind the gate.
  const rooted = rootSteps(rootfs, layering, slots, root)
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
    // The kernel lists mounts as they are made, or hung up before Linux 6.8: the root is the first, as everywhere.
    ...rooted.steps,
    writableStep(root),
    ...mounts.staged.parent,
    ...cover.parent,
    ...memberSteps(namespaces),
    ...(userns === undefined ? [] : [becomeRoot]),
    ...loopbackSteps(namespaces),
    { actor: 'guest', op: 'propagation', flags: treePropagation('private') },
    ...cgroup.guest,
    ...(has(spec, 'cgroup') ? [{ actor: 'guest', op: 'unshare', flags: CLONE.cgroup } satisfies Step] : []),
    ...clocks.make,
    ...cover.guest,
    { actor: 'guest', op: 'attach-mount', at: cover.stage, path: ROOT, slot: root, create: false },
    ...mounts.staged.guest,
    { actor: 'guest', op: 'open', ...settingsOf(mounts), slot: settings, flags: O_PATH },
    ...closing.staged,
    // Nothing of the host's stays mounted for as long as it waits.
    { actor: 'guest', op: 'pivot', slot: cover.stage },
    GATE,
  ]
  return { steps, root, mounts, closing, clocks, settings }
}

export function containerPlan(bundle: Bundle, begun: Beginning, machine: Machine): Plan {
  const { spec, network } = bundle
  const { steps, root, mounts, closing, clocks, settings } = begun
  return {
    steps: [
      ...steps,
      ...network.host,
      ...network.after,
      ...mounts.parent,
      ...network.parent,
      ...rlimitSteps(spec.process, machine),
      ...oomSteps(spec.process),
      ...clocks.enter,
      ...[...network.guest, ...nameSteps(spec), ...sysctlSteps(spec)].map((step) =>
        bySettings(step, settings),
      ),
      ...mounts.guest,
      ...closing.late,
      ...enterSteps(root, spec.root.readonly),
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
  spec: Surroundings,
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
export function rootIds(spec: Surroundings): { readonly uid: number; readonly gid: number } {
  return { uid: hostId(spec.linux.uidMappings, 0), gid: hostId(spec.linux.gidMappings, 0) }
}

/** Without maps ids are the host's. An unmapped id is left to the kernel to refuse. */
export function hostId(maps: OciSpec['linux']['uidMappings'], id: number): number {
  const map = maps.find((m) => id >= m.containerID && id < m.containerID + m.size)
  return map === undefined ? id : id - map.containerID + map.hostID
}

/** Root of the new user namespace: until then the process is nobody in it, though with all capabilities. */
const becomeRoot: Step = { actor: 'guest', op: 'user', uid: 0, gid: 0, groups: [] }

/** /proc/sys before it is closed. Whose settings it shows goes by the namespaces of who looks. */
function settingsOf({ staged }: MountSteps): { readonly path: string; readonly at?: Slot } {
  const own = staged.places.of(SETTINGS)
  return own.within === undefined ? { path: SETTINGS } : own
}

const SETTINGS = '/proc/sys'

/** By the way to /proc/sys that stays open until the root is entered. */
function bySettings(step: Step, slot: Slot): Step {
  if (step.op !== 'write' || step.at !== undefined || !step.path.startsWith(`${SETTINGS}/`)) return step
  return { ...step, at: slot, path: step.path.slice(SETTINGS.length), within: SETTINGS }
}

/** The network's interfaces are there by now. */
function sysctlSteps({ linux }: OciSpec): Step[] {
  return Object.entries(linux.sysctl).map(([name, data]): Step => ({
    actor: 'guest',
    op: 'write',
    path: `${SETTINGS}/${name.replaceAll('.', '/')}`,
    data,
  }))
}

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
