/** Layers as one file tree, an overlay: shared read-only ones, idmapped, for a container's root under a writable one. */
import { basename, dirname, join } from 'node:path'
import { DewarError } from '../../base/errors.ts'
import type { Slot, Step } from '../../kernel/plan.ts'
import type { Rootfs } from '../level.ts'
import { ATTR, treePropagation } from './mount-words.ts'
import { O_PATH } from './places.ts'
import type { Slots } from './slots.ts'

const CLONE_NEWNS = 0x0002_0000

/** How this machine makes an overlay of idmapped layers. */
export interface Layering {
  /** Slot of the container's user namespace, undefined without one: layers are used as they are then. */
  readonly userns: Slot | undefined
  /** A host folder that may be mounted over in a passing mount namespace (kernels before 6.15). */
  readonly scratch: string
  readonly overlayByFd: boolean
  /** Of the parent: a shim makes its sockets there by relative paths, and setns(2) to a mount namespace leads to /. */
  readonly workingDirectory: string
}

export interface TreeInput extends Layering {
  /** Layer folders, topmost first. */
  readonly lower: readonly string[]
  /** Without it the tree is read-only, which the kernel takes with two layers at least. */
  readonly writable?: Pick<Rootfs, 'upper' | 'work'>
  /** The tree is what lies at this path inside it. */
  readonly subpath?: string | undefined
  readonly attrs: number
}

/** `parent` steps that leave the tree, mounted nowhere yet, in the returned slot. */
export function treeSteps(
  input: TreeInput,
  slots: Slots,
  slot = slots.take(),
): { readonly steps: Step[]; readonly slot: Slot } {
  const layers = input.lower.map((path) => ({ path, slot: slots.take() }))
  const prepared = layers.flatMap((layer) => layerSteps(layer.path, layer.slot, input.userns))
  const part = partOf(input, slot, slots)
  if (!input.overlayByFd) {
    const mount = [overlayOver(input, slot, layers.length), ...part.hung, ...part.steps]
    return { slot: part.slot, steps: inPassingNamespace(input, layers, prepared, mount, slots) }
  }
  const lower = layers.map((layer): [string, { slot: Slot }] => ['lowerdir+', { slot: layer.slot }])
  const writable = input.writable === undefined ? NOT_WRITABLE : writableSteps(input.writable, slots)
  return {
    slot: part.slot,
    steps: [
      ...prepared,
      ...writable.steps,
      overlay(slot, [...lower, ...writable.options], input.attrs),
      ...part.steps,
    ],
  }
}

/**
 * Looked up inside the tree, so that no symlink of an image leads elsewhere. Before Linux 6.15 a mount is copied only
 * while it hangs somewhere (`hung`).
 */
function partOf({ subpath, scratch }: TreeInput, whole: Slot, slots: Slots) {
  if (subpath === undefined) return { slot: whole, hung: [], steps: [] }
  const slot = slots.take()
  const path = join(scratch, 'whole')
  const hung: Step[] = [
    { actor: 'parent', op: 'mkdir', path, mode: 0o700 },
    { actor: 'parent', op: 'attach-mount', path, slot: whole, create: false },
  ]
  const part: Step = { actor: 'parent', op: 'clone-mount', at: whole, path: subpath, slot, recursive: false }
  return { slot, hung, steps: [part] }
}

/**
 * The writable layer by descriptors of an unattached mount as well: its path on the host, with the engine's folder
 * and the container's id, then stands in no mount table inside.
 */
function writableSteps(
  rootfs: Pick<Rootfs, 'upper' | 'work'>,
  slots: Slots,
): { readonly steps: Step[]; readonly options: Options } {
  const [folder, upper, work] = [slots.take(), slots.take(), slots.take()]
  const open = (path: string, slot: Slot): Step => ({
    actor: 'parent',
    op: 'open',
    at: folder,
    path: basename(path),
    slot,
    flags: O_PATH,
  })
  return {
    steps: [
      { actor: 'parent', op: 'clone-mount', path: dirname(rootfs.upper), slot: folder, recursive: false },
      open(rootfs.upper, upper),
      open(rootfs.work, work),
    ],
    options: [...NO_INDEX, ['upperdir', { slot: upper }], ['workdir', { slot: work }]],
  }
}

type Options = readonly (readonly [string, string | { readonly slot: Slot }])[]
/**
 * As with dockerd. Where hosts have it on by default, an index ties the writable layer to the first mount's lower ones
 * (ESTALE with others), and refuses a mount while the last one is on its way out (EBUSY).
 */
const NO_INDEX = [['index', 'off']] as const
const NOT_WRITABLE = { steps: [], options: [] }

/** No file can be called that: names have 255 bytes at most. */
export const NEVER_THERE = 'x'.repeat(256)

/**
 * Overlayfs that finds no room for a folder of its own beside the writable layer mounts itself read-only, and says so in
 * the kernel's log alone ("mounting read-only", ovl_workdir_create; seen with 6.18). A container would start, and could
 * write nothing, for as long as it runs. rmdir(2) of nothing asks for a writable mount before it looks: EROFS.
 */
export function writableStep(slot: Slot): Step {
  return { actor: 'parent', op: 'rmdir', at: slot, path: NEVER_THERE }
}

function overlay(slot: Slot, options: Options, attrs: number): Step {
  return {
    actor: 'parent',
    op: 'fsmount',
    slot,
    type: 'overlay',
    options: [['source', 'overlay'], ...options],
    attrs,
  }
}

/** With a user namespace the layer's files belong to ids of its range, without a byte of the layer being changed. */
function layerSteps(path: string, slot: Slot, userns: Slot | undefined): Step[] {
  const idmap = userns === undefined ? {} : { userns }
  return [
    { actor: 'parent', op: 'clone-mount', path, slot, recursive: false },
    { actor: 'parent', op: 'mount-attr', slot, set: ATTR.ro, clear: 0, recursive: false, ...idmap },
  ]
}

/** Layers by paths relative to the working directory: see MAX_OPTION. */
function overlayOver(input: TreeInput, slot: Slot, layers: number): Step {
  const lower = Array.from({ length: layers }, (_, i) => layerName(i)).join(':')
  if (lower.length > MAX_OPTION) {
    throw new DewarError(
      'unavailable',
      `Mounting the image failed: it has ${layers} layers, too many for this kernel`,
      { remedy: 'Linux 6.15 and later take any number; or make an image of fewer layers' },
    )
  }
  return overlay(
    slot,
    [
      ['lowerdir', lower],
      ...(input.writable === undefined
        ? []
        : ([...NO_INDEX, ['upperdir', input.writable.upper], ['workdir', input.writable.work]] as const)),
    ],
    input.attrs,
  )
}

/** fsconfig(2) takes 256 bytes with the zero at the end: with these names that is 97 layers. */
const MAX_OPTION = 255
const layerName = (index: number): string => index.toString(36)

/**
 * Before Linux 6.15 overlayfs takes its layers by path only, and idmapped mounts must hang somewhere for that:
 * in a mount namespace that the parent enters for this and leaves again, so that the host never sees them.
 */
function inPassingNamespace(
  input: TreeInput,
  layers: readonly { readonly slot: Slot }[],
  prepared: readonly Step[],
  mount: readonly Step[],
  slots: Slots,
): Step[] {
  const home = slots.take()
  const scratch = slots.take()
  return [
    { actor: 'parent', op: 'open', path: '/proc/self/ns/mnt', slot: home, flags: 0 },
    { actor: 'parent', op: 'unshare', flags: CLONE_NEWNS },
    { actor: 'parent', op: 'propagation', flags: treePropagation('private') },
    { actor: 'parent', op: 'fsmount', slot: scratch, type: 'tmpfs', options: [['mode', '700']], attrs: 0 },
    { actor: 'parent', op: 'attach-mount', path: input.scratch, slot: scratch, create: false },
    ...prepared,
    ...layers.flatMap((layer, i): Step[] => [
      { actor: 'parent', op: 'mkdir', path: join(input.scratch, layerName(i)), mode: 0o700 },
      {
        actor: 'parent',
        op: 'attach-mount',
        path: join(input.scratch, layerName(i)),
        slot: layer.slot,
        create: false,
      },
    ]),
    { actor: 'parent', op: 'chdir', path: input.scratch, create: false },
    ...mount,
    { actor: 'parent', op: 'setns', slot: home, flags: CLONE_NEWNS },
    { actor: 'parent', op: 'chdir', path: input.workingDirectory, create: false },
  ]
}

/** Makes the tree of `slot`, which hangs somewhere, the guest's root. */
export function enterSteps(slot: Slot, readonly: boolean): Step[] {
  return [
    ...(readonly
      ? [{ actor: 'guest', op: 'mount-attr', slot, set: ATTR.ro, clear: 0, recursive: false } satisfies Step]
      : []),
    { actor: 'guest', op: 'pivot', slot },
  ]
}
