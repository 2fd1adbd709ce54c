/**
 * The plan that unpacks an archive where it can reach nothing but the folder it is meant for.
 *
 * What stands between a hostile archive and the host, should the unpacking code itself be taken over: the folder is
 * the root and the only mount there is; no network, no other process, no IPC to see; of root's rights only those
 * that unpacking needs; no new rights by executing; a filter with the few system calls that the code makes.
 * NOT protected: the folder's own content, and the space on its filesystem (tar-to-ops.ts counts).
 */
import { capabilityMask } from '../kernel/capabilities.ts'
import type { Action, Plan, Step } from '../kernel/plan.ts'

const CLONE = {
  NEWNS: 0x0002_0000,
  NEWCGROUP: 0x0200_0000,
  NEWUTS: 0x0400_0000,
  NEWIPC: 0x0800_0000,
  NEWPID: 0x2000_0000,
  NEWNET: 0x4000_0000,
} as const
const MS_REC = 0x4000
const MS_PRIVATE = 0x4_0000
const MOUNT_ATTR_NOSUID = 2
const MOUNT_ATTR_NODEV = 4
const MOUNT_ATTR_NOEXEC = 8

/** Each with the operation that fails without it. */
export const UNPACK_CAPABILITIES = [
  'CAP_CHOWN', // owners of entries
  'CAP_DAC_OVERRIDE', // entries below folders of other owners and modes
  'CAP_FOWNER', // modes and times of files of other owners
  'CAP_FSETID', // set-group-ID bits of files of other groups
  'CAP_MKNOD', // device nodes, and whiteouts on kernels before 5.8
  'CAP_SETFCAP', // security.capability
  'CAP_SYS_ADMIN', // trusted.overlay.opaque, and nothing else: the filter closes what else it opens
] as const

/** `folder`: absolute path on the host. `filter`: classic BPF, see plan.ts `seccomp`. */
export interface SandboxOptions {
  readonly folder: string
  readonly filter?: Uint8Array
}

/** Unpacks the operation stream from the connection into `folder`. */
export function unpackPlan(options: SandboxOptions): Plan {
  return sandboxPlan(options, { op: 'unpack' })
}

/** Packs `path` of the tree at `folder`, whiteouts as such: for a writable layer or a volume. */
export function packPlan(options: SandboxOptions, path: string): Plan {
  return sandboxPlan(options, { op: 'pack', path })
}

const TARGET = 0

function sandboxPlan(options: SandboxOptions, last: Action): Plan {
  const capabilities = capabilityMask(UNPACK_CAPABILITIES)
  const flags = CLONE.NEWNS | CLONE.NEWCGROUP | CLONE.NEWUTS | CLONE.NEWIPC | CLONE.NEWPID | CLONE.NEWNET
  const guest: readonly Action[] = [
    { op: 'propagation', flags: MS_PRIVATE | MS_REC },
    { op: 'clone-mount', path: options.folder, slot: TARGET, recursive: false },
    {
      op: 'mount-attr',
      slot: TARGET,
      set: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
      clear: 0,
      recursive: false,
    },
    { op: 'attach-mount', path: options.folder, slot: TARGET, create: false },
    { op: 'pivot', slot: TARGET },
    {
      op: 'caps',
      bounding: capabilities,
      held: capabilities,
    },
    { op: 'no-new-privs' },
    // After no-new-privs; before the first byte of the enemy's is read.
    ...(options.filter === undefined ? [] : [{ op: 'seccomp', filter: options.filter, flags: 0 } as const]),
  ]
  return {
    steps: [
      { actor: 'host', op: 'clone', flags },
      ...[...guest, last].map((action): Step => ({ actor: 'guest', ...action })),
    ],
  }
}
