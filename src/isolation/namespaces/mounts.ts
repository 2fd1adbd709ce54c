/** The mounts inside a container's root: kernel file systems, /dev, binds and volumes. */
import { posix } from 'node:path'
import type { CgroupLayout } from '../../kernel/cgroup.ts'
import type { OciMount } from '../../kernel/oci.ts'
import type { Slot, Step } from '../../kernel/plan.ts'
import { deviceSteps } from './device-mount.ts'
import { ATTR, mountWords, PRIVATE, type MountWords } from './mount-words.ts'
import type { Surroundings } from './namespace-steps.ts'
import { O_PATH, Places, plainPath, SYSTEM, treeOf } from './places.ts'
import { treeSteps, type Layering } from './rootfs.ts'
import type { Slots } from './slots.ts'

export interface MountsInput {
  readonly spec: Surroundings
  readonly root: Slot
  readonly layering: Layering
  readonly layout: CgroupLayout
  readonly kcore: boolean
  /** Trees in which the container has a group of its own; of others it would see all there is. */
  readonly cgroupTrees: ReadonlySet<string>
  /** Host ids of the container's root. */
  readonly rootUid: number
  readonly rootGid: number
}

interface OneMount {
  /** Sources that only the host's root can open or make. */
  readonly parent: Step[]
  /** What only those inside can make. */
  readonly make: Step[]
  readonly attach: Attach
  /** What is attached inside it. */
  readonly inner: Step[]
  readonly slot: Slot
}

interface BothSides {
  readonly parent: Step[]
  /** In the guest, between the root's attachment and the pivot. */
  readonly guest: Step[]
}

export interface MountSteps extends BothSides {
  /** What needs neither the root nor anything else but the kernel: made before, on the stage. */
  readonly staged: BothSides & { readonly places: Places }
  readonly places: Places
}

/** `stage`: a mount with folders in which /proc, /sys and /dev may wait to be moved into the root. */
export function mountSteps(input: MountsInput, slots: Slots, stage?: Slot): MountSteps {
  const staged = { parent: new Array<Step>(), guest: new Array<Step>(), places: new Places(input.root) }
  const late = { parent: new Array<Step>(), guest: new Array<Step>(), places: new Places(input.root) }
  for (const mount of input.spec.mounts) {
    const { destination } = mount
    const early = isOfKernel(mount) && SYSTEM.has(destination) ? stage : undefined
    if (early !== undefined) staged.places.stage(destination)
    else if (!isOfKernel(mount) && !isBootId(mount, input.spec)) staged.places.unstage(destination)
    const side = isOfKernel(mount) && staged.places.isStaged(treeOf(destination)) ? staged : late
    const made = oneMount(mount, { ...input, places: side.places }, slots)
    side.places.add(destination, made.slot)
    side.parent.push(...made.parent)
    side.guest.push(
      ...made.make,
      early === undefined ? made.attach : { ...made.attach, at: early },
      ...made.inner,
    )
    if (early === undefined) continue
    late.places.add(destination, made.slot)
    late.guest.push(made.attach)
  }
  return { ...late, staged }
}

const isOfKernel = ({ type, options }: OciMount): boolean =>
  type !== 'bind' && type !== 'overlay' && !options.includes('bind') && !options.includes('rbind')

const BOOT_ID = '/proc/sys/kernel/random/boot_id'

/** Read-only by itself, so that it may come after what makes /proc/sys so; unless something else is to lie over it. */
function isBootId({ destination, options }: OciMount, { linux, mounts }: Surroundings): boolean {
  const above = (path: string): boolean => `${BOOT_ID}/`.startsWith(`${plainPath(path)}/`)
  return (
    destination === BOOT_ID &&
    options.includes('ro') &&
    options.includes('x-file') &&
    !linux.maskedPaths.some(above) &&
    mounts.filter((mount) => above(mount.destination)).length === 2 // this one and /proc
  )
}

type OneInput = MountsInput & { readonly places: Places }

function oneMount(mount: OciMount, input: OneInput, slots: Slots): OneMount {
  const words = mountWords(mount.options)
  if (mount.type === 'bind' || mount.options.includes('bind') || mount.options.includes('rbind')) {
    return bindMount(mount, words, input, slots)
  }
  if (mount.destination === '/dev' && mount.type === 'tmpfs') return deviceMount(words, input, slots)
  if (mount.type === 'cgroup') return cgroupMount(mount, words, input, slots)
  if (mount.type === 'overlay') return imageMount(mount, words, input, slots)
  const slot = slots.take()
  // The source is what mount(8) and df show in their first column.
  const options: Options = [['source', mount.source], ...words.data]
  return {
    parent: [],
    make: [{ actor: 'guest', op: 'fsmount', slot, type: mount.type, options, attrs: words.attrs }],
    attach: attach(mount.destination, slot, input),
    inner: [],
    slot,
  }
}

/**
 * The source is opened by the host's root. Idmapped, files keep the ids a Docker user expects: 1000 inside is
 * 1000 on the host, not 1000 of the range.
 */
function bindMount(mount: OciMount, words: MountWords, input: OneInput, slots: Slots): OneMount {
  const slot = slots.take()
  const { recursive } = words
  const userns = words.idmap ? input.layering.userns : undefined
  const attributes: Step = {
    actor: 'parent',
    op: 'mount-attr',
    slot,
    set: words.attrs,
    clear: 0,
    recursive,
    ...(userns === undefined ? {} : { userns }),
    // Or the host, with which it would share what is in it, lost that with the container's root (UMOUNT_PROPAGATE).
    propagation: words.propagation ?? PRIVATE,
  }
  return {
    parent: [...sourceSteps(mount.source, words, slot, slots), attributes, ...topSteps(words, slot)],
    make: [],
    attach: attach(mount.destination, slot, input),
    inner: [],
    slot,
  }
}

type Attach = Extract<Step, { readonly op: 'attach-mount' }>

const attach = (path: string, slot: Slot, { places }: OneInput): Attach => ({
  actor: 'guest',
  op: 'attach-mount',
  ...places.of(path),
  slot,
  create: true,
})

/** Another image's layers, one `lowerdir+=` each, as a tree that nothing can write: overlayfs has nowhere to. */
function imageMount(mount: OciMount, words: MountWords, input: OneInput, slots: Slots): OneMount {
  const lower = words.data.flatMap(([key, path]) => (key === 'lowerdir+' && path !== undefined ? [path] : []))
  const { attrs, subpath } = words
  const { steps, slot } = treeSteps({ ...input.layering, lower, attrs, subpath }, slots)
  return { parent: steps, make: [], attach: attach(mount.destination, slot, input), inner: [], slot }
}

/** A subpath is resolved inside the source: a symlink that a container put there leads nowhere else (CVE-2023-2728's kin). */
function sourceSteps(path: string, { subpath, recursive }: MountWords, slot: Slot, slots: Slots): Step[] {
  if (subpath === undefined) return [{ actor: 'parent', op: 'clone-mount', path, slot, recursive }]
  const at = slots.take()
  return [
    { actor: 'parent', op: 'open', path, slot: at, flags: O_PATH },
    { actor: 'parent', op: 'clone-mount', at, path: subpath, slot, recursive },
  ]
}

function topSteps({ topAttrs }: MountWords, slot: Slot): Step[] {
  if (topAttrs === 0) return []
  return [{ actor: 'parent', op: 'mount-attr', slot, set: topAttrs, clear: 0, recursive: false }]
}

function deviceMount(words: MountWords, input: OneInput, slots: Slots): OneMount {
  const slot = slots.take()
  const parent = deviceSteps(words, input, slot)
  return { parent, make: [], attach: attach('/dev', slot, input), inner: [], slot }
}

type Options = readonly (readonly [string, string?])[]

/**
 * The container's own part of the cgroup tree: one mount on v2; on v1 a folder with one mount per hierarchy, as
 * programs that size themselves by their limits look for them. In the host's cgroup namespace it is the host's.
 */
function cgroupMount(mount: OciMount, words: MountWords, input: OneInput, slots: Slots): OneMount {
  const own = input.spec.linux.namespaces.some((ns) => ns.type === 'cgroup')
  if (!own) {
    const source = '/sys/fs/cgroup'
    const options = ['rbind', 'ro', 'nosuid', 'nodev', 'noexec']
    return bindMount({ ...mount, source, options }, mountWords(options), input, slots)
  }
  const base = slots.take()
  if (input.layout.mode === 'v2') {
    const { attrs } = words
    const options: Options = [['source', 'cgroup']]
    return {
      parent: [],
      make: [{ actor: 'guest', op: 'fsmount', slot: base, type: 'cgroup2', options, attrs }],
      attach: attach(mount.destination, base, input),
      inner: [],
      slot: base,
    }
  }
  const trees = hierarchies(input).map((tree) => ({ ...tree, slot: slots.take() }))
  const plain = words.attrs & ~ATTR.ro
  return {
    parent: trees.flatMap(({ folder, slot }) =>
      groupSteps(`${folder}${input.spec.linux.cgroupsPath}`, slot, words.attrs),
    ),
    make: [
      {
        actor: 'guest',
        op: 'fsmount',
        slot: base,
        type: 'tmpfs',
        options: [
          ['source', 'tmpfs'],
          ['mode', '755'],
        ],
        attrs: plain,
      },
    ],
    attach: attach(mount.destination, base, input),
    inner: [
      ...trees.flatMap(({ name, controllers, slot }): Step[] => [
        // In the folder itself: each part of a longer way would be looked up once more to make its last one.
        { actor: 'guest', op: 'attach-mount', at: base, path: name, slot, create: true },
        ...(controllers.length < 2 ? [] : controllers).map((c): Step => ({
          actor: 'guest',
          op: 'symlink',
          at: base,
          path: c,
          target: name,
        })),
      ]),
      {
        actor: 'guest',
        op: 'mount-attr',
        slot: base,
        set: words.attrs & ATTR.ro,
        clear: 0,
        recursive: false,
      },
    ],
    slot: base,
  }
}

/**
 * The container's group by a clone of the host's mount. To mount the hierarchy from inside gives the same, of the same file
 * system, and takes the lock of all groups and four times as long (Linux 6.18).
 */
function groupSteps(path: string, slot: Slot, set: number): Step[] {
  return [
    { actor: 'parent', op: 'clone-mount', path, slot, recursive: false },
    { actor: 'parent', op: 'mount-attr', slot, set, clear: 0, recursive: false, propagation: PRIVATE },
  ]
}

interface Hierarchy {
  /** Where it is mounted on the host. */
  readonly folder: string
  readonly name: string
  readonly controllers: readonly string[]
}

/** Hierarchies by the folder they are mounted on, such as `cpu,cpuacct`. */
function hierarchies(input: MountsInput): Hierarchy[] {
  const byFolder = new Map<string, string[]>()
  for (const [controller, folder] of input.layout.controllers) {
    if (input.cgroupTrees.has(folder)) byFolder.set(folder, [...(byFolder.get(folder) ?? []), controller])
  }
  return [...byFolder].map(([folder, controllers]) => ({ folder, name: posix.basename(folder), controllers }))
}
