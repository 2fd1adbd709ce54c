/** Plans that read or write a container's files for `cp`, `export`, `commit` and user look-ups. Pure. */
import { capabilityMask } from '../../kernel/capabilities.ts'
import type { Plan, Slot, Step } from '../../kernel/plan.ts'
import { unpackFilter } from '../../kernel/seccomp-unpack.ts'
import type { Bundle } from '../level.ts'
import { ATTR, treePropagation } from './mount-words.ts'
import { mountSteps } from './mounts.ts'
import { CLONE, rootIds, type Machine } from './plan.ts'
import { enterSteps, rootfsSteps } from './rootfs.ts'
import { Slots } from './slots.ts'

/** What handling files of every kind needs, and no more. */
const CAPS = capabilityMask([
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_MKNOD',
  'CAP_SETFCAP',
])

const FINAL: ReadonlySet<Step['op']> = new Set(['pack', 'unpack', 'read'])

/**
 * `steps` run as the container's root and see its files only, with a filter that allows file calls alone, since
 * those files are a stranger's. A running container's mount namespace is entered; of one that is not running the
 * layers and volumes are mounted for the moment.
 */
export function filesPlan(bundle: Bundle, pid: number | undefined, steps: readonly Step[], machine: Machine): Plan {
  const enter = pid === undefined ? mountedSteps(bundle, machine) : enteredSteps(bundle, pid)
  const limits: Step[] = [
    { actor: 'guest', op: 'no-new-privs' },
    { actor: 'guest', op: 'caps', bounding: CAPS, effective: CAPS, permitted: CAPS, inheritable: 0n, ambient: 0n },
    { actor: 'guest', op: 'seccomp', ...unpackFilter(machine.arch) },
  ]
  const last = steps.findIndex((step) => FINAL.has(step.op))
  return { steps: [...enter, ...steps.slice(0, last), ...limits, ...steps.slice(last)] }
}

function enteredSteps(bundle: Bundle, pid: number): Step[] {
  const own = bundle.spec.linux.namespaces.some((ns) => ns.type === 'user')
  const [user, mount]: [Slot, Slot] = [0, 1]
  const root: Step = { actor: 'guest', op: 'user', uid: 0, gid: 0, groups: [] }
  return [
    ...(own ? [{ actor: 'host', op: 'open', path: `/proc/${pid}/ns/user`, slot: user, flags: 0 } satisfies Step] : []),
    { actor: 'host', op: 'open', path: `/proc/${pid}/ns/mnt`, slot: mount, flags: 0 },
    { actor: 'host', op: 'clone', flags: 0 },
    ...(own ? [{ actor: 'guest', op: 'setns', slot: user, flags: CLONE.user } satisfies Step, root] : []),
    { actor: 'guest', op: 'setns', slot: mount, flags: CLONE.mount },
    { actor: 'guest', op: 'chdir', path: '/', create: false },
  ]
}

function mountedSteps(bundle: Bundle, machine: Machine): Step[] {
  const { spec } = bundle
  const own = spec.linux.uidMappings.length > 0
  const slots = new Slots()
  const userns = own ? slots.take() : undefined
  const mapText = (maps: typeof spec.linux.uidMappings): string =>
    maps.map((m) => `${m.containerID} ${m.hostID} ${m.size}\n`).join('')
  const root = rootfsSteps(
    {
      rootfs: bundle.rootfs,
      userns,
      scratch: bundle.shim.runDir,
      overlayByFd: machine.overlayByFd,
      attrs: own ? ATTR.nodev : 0,
    },
    slots,
  )
  const ids = rootIds(spec)
  // Only what the user put there: the kernel's own file systems have no place in a copy.
  const binds = spec.mounts.filter((m) => m.type === 'bind' && !m.destination.startsWith('/etc/') && !isSystem(m.destination))
  const mounts = mountSteps(
    { spec: { ...spec, mounts: binds }, root: root.slot, userns, layout: machine.layout, cgroupTrees: new Set(), rootUid: ids.uid, rootGid: ids.gid },
    slots,
  )
  const flags = (CLONE.mount | CLONE.network | CLONE.ipc | (own ? CLONE.user : 0)) >>> 0
  return [
    { actor: 'host', op: 'clone', flags },
    ...(userns === undefined
      ? []
      : ([
          { actor: 'parent', op: 'idmap', uid: mapText(spec.linux.uidMappings), gid: mapText(spec.linux.gidMappings) },
          { actor: 'parent', op: 'open-ns', slot: userns, kind: 'user' },
        ] satisfies Step[])),
    ...root.steps,
    ...mounts.parent,
    ...(own ? [{ actor: 'guest', op: 'user', uid: 0, gid: 0, groups: [] } satisfies Step] : []),
    { actor: 'guest', op: 'propagation', flags: treePropagation('private') },
    ...enterSteps(root.slot, false, mounts.guest),
  ]
}

const isSystem = (path: string): boolean => ['/proc', '/sys', '/dev'].some((p) => path === p || path.startsWith(`${p}/`))
