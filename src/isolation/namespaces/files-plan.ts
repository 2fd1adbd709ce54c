/** Plans that read or write a container's files for `cp`, `export`, `commit` and user look-ups. Pure. */
import { dirname } from 'node:path'
import { capabilityMask } from '../../kernel/capabilities.ts'
import type { OciMount } from '../../kernel/oci.ts'
import type { Plan, Slot, Step } from '../../kernel/plan.ts'
import { unpackFilter } from '../../kernel/seccomp-unpack.ts'
import type { Bundle } from '../level.ts'
import { treePropagation } from './mount-words.ts'
import { mountSteps } from './mounts.ts'
import { CLONE, ownedBy } from './namespace-steps.ts'
import { rootIds, rootSteps, type Machine } from './plan.ts'
import { enterSteps, type Layering } from './rootfs.ts'
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

const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8

const FINAL: ReadonlySet<Step['op']> = new Set(['pack', 'unpack', 'read'])

/**
 * `steps` run as the container's root and see its files only, with a filter that allows file calls alone, since
 * those files are a stranger's. Of a running container's mount namespace a copy is made; of one that is not running
 * the layers and volumes are mounted for the moment. `bare`: the root alone.
 */
export function filesPlan(
  bundle: Bundle,
  pid: number | undefined,
  steps: readonly Step[],
  machine: Machine,
  bare = false,
): Plan {
  // Only what the user put there: the kernel's own file systems have no place in a copy.
  const kept = bare
    ? []
    : bundle.spec.mounts.filter(
        (m) =>
          (m.type === 'bind' || m.type === 'overlay') &&
          !isEtcFile(m.destination) &&
          !isSystem(m.destination),
      )
  const enter = pid === undefined ? mountedSteps(bundle, kept, machine) : enteredSteps(bundle, pid, bare)
  const limits: Step[] = [
    { actor: 'guest', op: 'no-new-privs' },
    {
      actor: 'guest',
      op: 'caps',
      bounding: CAPS,
      held: CAPS,
    },
    { actor: 'guest', op: 'seccomp', ...unpackFilter(machine.arch) },
  ]
  const last = steps.findIndex((step) => FINAL.has(step.op))
  return { steps: [...enter, ...steps.slice(0, last), ...limits, ...steps.slice(last)] }
}

/**
 * In a copy of the mounts the kernel's are taken off, for a walk through /proc would fail on its files and never
 * see the same twice. A mount that the container took off itself is none to take off (EINVAL, ENOENT).
 */
function enteredSteps(bundle: Bundle, pid: number, bare: boolean): Step[] {
  const off = bare ? bundle.spec.mounts.map((mount) => mount.destination) : ['/proc', '/sys', '/dev']
  const own = bundle.spec.linux.namespaces.some((ns) => ns.type === 'user')
  const [user, mount]: [Slot, Slot] = [0, 1]
  const root: Step = { actor: 'guest', op: 'user', uid: 0, gid: 0, groups: [] }
  return [
    ...(own
      ? [{ actor: 'host', op: 'open', path: `/proc/${pid}/ns/user`, slot: user, flags: 0 } satisfies Step]
      : []),
    { actor: 'host', op: 'open', path: `/proc/${pid}/ns/mnt`, slot: mount, flags: 0 },
    { actor: 'host', op: 'clone', flags: 0 },
    ...(own ? [{ actor: 'guest', op: 'setns', slot: user, flags: CLONE.user } satisfies Step, root] : []),
    { actor: 'guest', op: 'setns', slot: mount, flags: CLONE.mount },
    { actor: 'guest', op: 'unshare', flags: CLONE.mount },
    { actor: 'guest', op: 'propagation', flags: treePropagation('private') },
    ...off
      .toReversed()
      .map((path): Step => ({ actor: 'guest', op: 'umount', path, flags: MNT_DETACH | UMOUNT_NOFOLLOW })),
    { actor: 'guest', op: 'chdir', path: '/', create: false },
  ]
}

function mountedSteps(bundle: Bundle, kept: readonly OciMount[], machine: Machine): Step[] {
  const { spec } = bundle
  const own = spec.linux.uidMappings.length > 0
  const slots = new Slots()
  const userns = own ? slots.take() : undefined
  const mapText = (maps: typeof spec.linux.uidMappings): string =>
    maps.map((m) => `${m.containerID} ${m.hostID} ${m.size}\n`).join('')
  const layering: Layering = {
    userns,
    // Its own folder is there while it runs, and no longer.
    scratch: dirname(bundle.shim.runDir),
    workingDirectory: '/',
    overlayByFd: machine.overlayByFd,
  }
  const root = rootSteps(bundle.rootfs, layering, slots)
  const ids = rootIds(spec)
  const mounts = mountSteps(
    {
      spec: { ...spec, mounts: kept },
      root: root.slot,
      layering,
      layout: machine.layout,
      kcore: machine.kcore,
      cgroupTrees: new Set(),
      rootUid: ids.uid,
      rootGid: ids.gid,
    },
    slots,
  )
  const flags = (CLONE.mount | CLONE.network | CLONE.ipc | (own ? CLONE.user : 0)) >>> 0
  return [
    { actor: 'host', op: 'clone', flags, ...ownedBy(flags, ids.uid) },
    ...(userns === undefined
      ? []
      : ([
          {
            actor: 'parent',
            op: 'idmap',
            uid: mapText(spec.linux.uidMappings),
            gid: mapText(spec.linux.gidMappings),
          },
          { actor: 'parent', op: 'open-ns', slot: userns, kind: 'user' },
        ] satisfies Step[])),
    ...root.steps,
    ...mounts.parent,
    ...(own ? [{ actor: 'guest', op: 'user', uid: 0, gid: 0, groups: [] } satisfies Step] : []),
    { actor: 'guest', op: 'propagation', flags: treePropagation('private') },
    { actor: 'guest', op: 'attach-mount', path: '/dev', slot: root.slot, create: false },
    ...mounts.guest,
    ...enterSteps(root.slot, false),
  ]
}

/** The engine's own binds. A user's on /etc/ssl is not among them. */
const isEtcFile = (path: string): boolean =>
  ['/etc/hosts', '/etc/hostname', '/etc/resolv.conf'].includes(path)

const isSystem = (path: string): boolean =>
  ['/proc', '/sys', '/dev'].some((p) => path === p || path.startsWith(`${p}/`))
