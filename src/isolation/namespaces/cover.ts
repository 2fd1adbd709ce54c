/** What hides parts of /proc and /sys, or makes them read-only. Pure. */
import type { Slot, Step } from '../../kernel/plan.ts'
import { ATTR } from './mount-words.ts'
import type { MountSteps } from './mounts.ts'
import type { Surroundings } from './namespace-steps.ts'
import { O_PATH, SYSTEM, treeOf, type Places } from './places.ts'
import type { Slots } from './slots.ts'

/** Linux's own number; the same on x86-64 and arm64. */
const S_IFCHR = 0o020000
/** Clones have it from the mount that they are made of. */
const HIDDEN = ATTR.ro | ATTR.nosuid | ATTR.noexec

export interface Cover {
  readonly parent: Step[]
  readonly guest: Step[]
  /** What hides a folder, and what hides anything else. */
  readonly by: { readonly folder: Slot; readonly file: Slot }
  /** Where /proc, /sys and /dev wait for the root, and then the root for its turn, in folders of their names. */
  readonly stage: Slot
}

/** On the stage: the root, before it is entered. */
export const ROOT = '/root'

/**
 * An empty folder and a null device of the host's root's making, in a file system that nobody else has: a /dev/null of
 * the container's could be something else, which would be mounted over a file instead of hiding it (CVE-2025-31133).
 * First it lies over /dev of the guest's own copy of the host's mounts, since only of what is attached somewhere can a
 * clone be made. Not over /proc or /sys: the kernel lets a user namespace mount these only while they are visible in full.
 */
export function coverSteps(ids: { readonly uid: number; readonly gid: number }, slots: Slots): Cover {
  const [stage, folder, file] = [slots.take(), slots.take(), slots.take()]
  const owner = Object.entries(ids).map(([id, n]) => [id, String(n)] as const)
  const take = (path: string, slot: Slot): Step => ({
    actor: 'guest',
    op: 'open',
    at: stage,
    path,
    slot,
    flags: O_PATH,
  })
  return {
    parent: [
      {
        actor: 'parent',
        op: 'fsmount',
        slot: stage,
        type: 'tmpfs',
        options: [['size', '0k'], ...owner],
        attrs: 0,
      },
      ...['/folder', ROOT, ...SYSTEM].map((path): Step => ({
        actor: 'parent',
        op: 'mkdir',
        at: stage,
        path: path.slice(1),
        mode: 0o755,
        ...ids,
      })),
      {
        actor: 'parent',
        op: 'mknod',
        at: stage,
        path: 'file',
        mode: S_IFCHR | 0o666,
        major: 1,
        minor: 3,
        ...ids,
      },
      { actor: 'parent', op: 'mount-attr', slot: stage, set: HIDDEN, clear: 0, recursive: false },
    ],
    guest: [
      { actor: 'guest', op: 'attach-mount', path: '/dev', slot: stage, create: false },
      take('folder', folder),
      take('file', file),
    ],
    by: { folder, file },
    stage,
  }
}

/** What closes the doors to the kernel. `staged`: in trees that are whole before the root is there. */
export function closingSteps(
  { linux }: Surroundings,
  mounts: MountSteps,
  { by }: Cover,
): { readonly staged: Step[]; readonly late: Step[] } {
  const closing = (places: Places, wanted: (tree: string) => boolean): Step[] =>
    [
      ...covering(linux.maskedPaths, places, { attrs: 0, by }),
      ...covering(linux.readonlyPaths, places, { attrs: ATTR.ro }),
    ].flatMap(([tree, step]) => (wanted(tree) ? [step] : []))
  const { places } = mounts.staged
  return {
    staged: closing(places, (tree) => places.isStaged(tree)),
    late: closing(mounts.places, (tree) => !places.isStaged(tree)),
  }
}

type Covering = readonly (readonly [tree: string, step: Step])[]
/** Of each list of paths, by where they are looked up and what covers them. */
const coverings = new WeakMap<readonly string[], Map<string, Covering>>()
const MOST_COVERINGS = 16

/** Two thirds of a plan, and nearly always the same: made once, and frozen, so that it is encoded once, too. */
function covering(
  paths: readonly string[],
  places: Places,
  how: { readonly attrs: number; readonly by?: Cover['by'] },
): Covering {
  const known = coverings.get(paths) ?? new Map<string, Covering>()
  const key = `${places.key} ${JSON.stringify(how)}`
  const found = known.get(key)
  if (found !== undefined) return found
  const made = paths.map((path): Covering[number] => [
    treeOf(path),
    Object.freeze<Step>({ actor: 'guest', op: 'cover', ...places.of(path), optional: true, ...how }),
  ])
  if (known.size === MOST_COVERINGS) known.clear()
  coverings.set(paths, known.set(key, made))
  return made
}
