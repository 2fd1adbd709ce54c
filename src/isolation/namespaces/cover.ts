/** What hides parts of /proc and /sys, or makes them read-only. Pure. */
import type { OciSpec } from '../../kernel/oci.ts'
import type { Slot, Step } from '../../kernel/plan.ts'
import { ATTR } from './mount-words.ts'
import type { Places } from './places.ts'
import type { Slots } from './slots.ts'

/** Linux's own numbers; all are the same on x86-64 and arm64. */
const O_PATH = 0o10000000
const S_IFCHR = 0o020000
/** Clones have it from the mount that they are made of. */
const HIDDEN = ATTR.ro | ATTR.nosuid | ATTR.noexec

export interface Cover {
  readonly parent: Step[]
  readonly guest: Step[]
  /** What hides a folder, and what hides anything else. */
  readonly by: { readonly folder: Slot; readonly file: Slot }
}

/**
 * An empty folder and a null device of the host's root's making, in a file system that nobody else has: a /dev/null of
 * the container's could be something else, which would be mounted over a file instead of hiding it (CVE-2025-31133).
 * Before the pivot it lies over /dev of the guest's own copy of the host's mounts, since only of what is attached
 * somewhere can a clone be made.
 */
export function coverSteps(
  spec: OciSpec,
  ids: { readonly uid: number; readonly gid: number },
  slots: Slots,
): Cover {
  const [all, folder, file] = [slots.take(), slots.take(), slots.take()]
  const by = { folder, file }
  if (spec.linux.maskedPaths.length === 0) return { parent: [], guest: [], by }
  const owner = Object.entries(ids).map(([id, n]) => [id, String(n)] as const)
  const take = (path: string, slot: Slot): Step => ({
    actor: 'guest',
    op: 'open',
    at: all,
    path,
    slot,
    flags: O_PATH,
  })
  return {
    parent: [
      {
        actor: 'parent',
        op: 'fsmount',
        slot: all,
        type: 'tmpfs',
        options: [['size', '0k'], ...owner],
        attrs: 0,
      },
      { actor: 'parent', op: 'mkdir', at: all, path: 'folder', mode: 0o755, ...ids },
      {
        actor: 'parent',
        op: 'mknod',
        at: all,
        path: 'file',
        mode: S_IFCHR | 0o666,
        major: 1,
        minor: 3,
        ...ids,
      },
      { actor: 'parent', op: 'mount-attr', slot: all, set: HIDDEN, clear: 0, recursive: false },
    ],
    guest: [
      { actor: 'guest', op: 'attach-mount', path: '/dev', slot: all, create: false },
      take('folder', folder),
      take('file', file),
    ],
    by,
  }
}

/** Inside the root before it is entered: kernel settings first, then the doors to them are closed. */
export function closingSteps({ linux }: OciSpec, places: Places, { by }: Cover): Step[] {
  return [
    ...Object.entries(linux.sysctl).map(([name, data]): Step => ({
      actor: 'guest',
      op: 'write',
      ...places.of(`/proc/sys/${name.replaceAll('.', '/')}`),
      data,
    })),
    ...linux.maskedPaths.map((path): Step => coverStep(places, path, { attrs: 0, by })),
    ...linux.readonlyPaths.map((path): Step => coverStep(places, path, { attrs: ATTR.ro })),
  ]
}

const coverStep = (
  places: Places,
  path: string,
  how: { readonly attrs: number; readonly by?: Cover['by'] },
): Step => ({ actor: 'guest', op: 'cover', ...places.of(path), optional: true, ...how })
