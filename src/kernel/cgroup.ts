/**
 * Control groups: from the specification's resources to the steps that make a container's group, put its
 * first process in, and take the group away. Pure; `cgroup-live.ts` and `cgroup-stats.ts` look at running
 * ones.
 *
 * Cheap on purpose, because every step is paid at every start: only controllers that limit or count
 * something, one folder each; no named trees. On v1 the child joins by writing "0" to `tasks`, which the host
 * opened for it: writing a pid to cgroup.procs takes cgroup_threadgroup_rwsem for writing and waits out an
 * RCU grace period, 10 ms and more. On v2 it is born in its group (CLONE_INTO_CGROUP), which takes no lock of
 * that kind either.
 */
import { DewarError } from '../base/errors.ts'
import { groupsOf, wantsCpuset } from './cgroup-groups.ts'
import type { Groups } from './cgroup-groups.ts'
import { controllerOf, groupFolder } from './cgroup-layout.ts'
import type { CgroupLayout } from './cgroup-layout.ts'
import { cpusetV1, devicesV1, writesV1 } from './cgroup-v1.ts'
import type { ControlWrite } from './cgroup-v1.ts'
import { writesV2 } from './cgroup-v2.ts'
import { deviceProgram } from './device-program.ts'
import type { OciResources } from './oci.ts'
import type { Action, Slot, Step } from './plan.ts'

export { checkResources } from './cgroup-check.ts'
export type { CheckedResources } from './cgroup-check.ts'
export { controllerOf, detectCgroups, groupFolder, readCgroups } from './cgroup-layout.ts'
export { closeCgroups, delegatedGroup, openCgroups, runsSystemd } from './cgroup-systemd.ts'
export type { CgroupLayout, CgroupTexts } from './cgroup-layout.ts'
export { isFrozen, isThawed, pidsIn, removeTree } from './cgroup-live.ts'
export { readStats } from './cgroup-stats.ts'

export interface CgroupPlan {
  /** Before the clone: folders, limits, descriptors. */
  readonly host: readonly Step[]
  /** First thing in the child. */
  readonly guest: readonly Step[]
  /** Takes the group away; fine when it is gone. Parents stay. */
  readonly after: readonly Step[]
  /** For the `clone` step: be born in this group. */
  readonly cloneInto?: Slot
  readonly slotsUsed: number
}

/** open(2) flags that are the same on every architecture. */
const [O_RDONLY, O_WRONLY] = [0, 1] as const
const DIRECTORY_MODE = 0o755

/** Path of a group inside its tree: absolute, no dots. Throws invalid-argument. */
function checkPath(path: string): void {
  if (/^(\/[^/\0\n]+)+$/.test(path) && !path.split('/').some((part) => part === '.' || part === '..')) return
  throw new DewarError(
    'invalid-argument',
    `Making the control group ${JSON.stringify(path)}: not an absolute plain path`,
    {
      remedy: 'give one such as /dewar/name',
    },
  )
}

const host = (action: Action): Step => ({ actor: 'host', ...action })
const mkdir = (path: string): Step => host({ op: 'mkdir', path, mode: DIRECTORY_MODE })
const write = (path: string, data: string, optional = false): Step =>
  host({ op: 'write', path, data, ...(optional && { optional }) })

/** '/a/b/c' → ['/a', '/a/b'] */
function parentsOf(path: string): string[] {
  const parts = path.split('/').slice(1, -1)
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`)
}

/**
 * The whole story of a container's group at `path`, such as /dewar/INSTANCE/ID. Slots are taken from
 * `firstSlot` on. `parents: false` leaves out the folders above it, which `parentSteps` makes once per engine
 * (25 of 45 steps). Throws invalid-argument or unavailable for a limit that cannot be kept; call
 * `checkResources` first for warnings.
 */
export function cgroupPlan(
  layout: CgroupLayout,
  path: string,
  resources: OciResources,
  firstSlot: Slot,
  options: { readonly parents?: boolean } = {},
): CgroupPlan {
  checkPath(path)
  const groups = groupsOf(layout, resources)
  const joining = joinGroups(groups, path, firstSlot)
  const program = groups.devices === 'v2' ? deviceProgram(resources.devices) : undefined
  const folders = foldersOf(groups, path)
  return {
    ...joining,
    host: [
      ...(options.parents === false ? [] : parentsIn(layout, groups, path)),
      ...folders.map(mkdir),
      ...newGroupWrites(layout, groups, path, resources),
      ...joining.host,
      ...(program !== undefined && joining.cloneInto !== undefined
        ? [host({ op: 'device-program', slot: joining.cloneInto, program })]
        : []),
    ],
    after: folders.map((folder): Step => ({ actor: 'after', op: 'rmdir', path: folder })),
  }
}

/**
 * For one more process of a running container: joins the groups that `cgroupPlan` with the same resources
 * made.
 */
export function joinPlan(
  layout: CgroupLayout,
  path: string,
  resources: OciResources,
  firstSlot: Slot,
): CgroupPlan {
  checkPath(path)
  return joinGroups(groupsOf(layout, resources), path, firstSlot)
}

function joinGroups(groups: Groups, path: string, firstSlot: Slot): CgroupPlan {
  const folders = [...groups.v1.keys()]
  const slot = (i: number): Slot => firstSlot + i
  const cloneInto = groups.v2 === undefined ? undefined : slot(folders.length)
  return {
    host: [
      ...folders.map((folder, i) =>
        host({ op: 'open', path: `${folder}${path}/tasks`, slot: slot(i), flags: O_WRONLY }),
      ),
      ...(groups.v2 === undefined || cloneInto === undefined
        ? []
        : [host({ op: 'open', path: `${groups.v2.root}${path}`, slot: cloneInto, flags: O_RDONLY })]),
    ],
    guest: folders.map((_, i): Step => ({ actor: 'guest', op: 'join', slot: slot(i) })),
    after: [],
    ...(cloneInto !== undefined && { cloneInto }),
    slotsUsed: folders.length + (cloneInto === undefined ? 0 : 1),
  }
}

const foldersOf = (groups: Groups, path: string): string[] => [
  ...[...groups.v1.keys()].map((folder) => `${folder}${path}`),
  ...(groups.v2 === undefined ? [] : [`${groups.v2.root}${path}`]),
]

/**
 * Makes the folders above `path`, which all containers of an engine share, so that they need not make them.
 */
export function parentSteps(layout: CgroupLayout, path: string, resources: OciResources): Step[] {
  checkPath(path)
  return parentsIn(layout, groupsOf(layout, resources), path)
}

function parentsIn(layout: CgroupLayout, groups: Groups, path: string): Step[] {
  const parents = parentsOf(path)
  const cpuset = (at: string): Step[] =>
    cpusetV1(undefined, layout.cpuset).map((w) => write(`${at}/${w.file}`, w.data))
  const v1 = [...groups.v1].flatMap(([folder, controllers]) =>
    parents.flatMap((parent) => [
      mkdir(`${folder}${parent}`),
      ...(controllers.includes('cpuset') ? cpuset(`${folder}${parent}`) : []),
    ]),
  )
  if (groups.v2 === undefined) return v1
  const { root, controllers } = groups.v2
  const enable = controllers.map((name) => `+${name}`).join(' ')
  const delegate = (at: string): Step[] =>
    enable === '' ? [] : [write(`${at}/cgroup.subtree_control`, enable)]
  return [
    ...v1,
    ...delegate(root),
    ...parents.flatMap((parent) => [mkdir(`${root}${parent}`), ...delegate(`${root}${parent}`)]),
  ]
}

/**
 * Takes away the folders above `path` up to `keep` levels from the top, deepest first. They must be empty.
 */
export function removeParents(layout: CgroupLayout, path: string, keep = 0): Step[] {
  checkPath(path)
  const trees = [
    ...new Set(layout.controllers.values()),
    ...(layout.unified === undefined ? [] : [`${layout.unified}${layout.base}`]),
  ]
  return trees.flatMap((tree) =>
    parentsOf(path)
      .slice(keep)
      .toReversed()
      .map((parent): Step => ({ actor: 'after', op: 'rmdir', path: `${tree}${parent}` })),
  )
}

function newGroupWrites(layout: CgroupLayout, groups: Groups, path: string, resources: OciResources): Step[] {
  const cpuset =
    wantsCpuset(resources) && layout.controllers.has('cpuset') ? cpusetV1(resources.cpu, layout.cpuset) : []
  const devices = groups.devices === 'v1' ? devicesV1(resources) : []
  return [...limitWrites(layout, resources), ...cpuset, ...devices].map((one) => place(layout, path, one))
}

/** What v1 has is said in v1's files, the rest in v2's. */
function limitWrites(layout: CgroupLayout, resources: OciResources): ControlWrite[] {
  const has = (file: string) => layout.files?.has(file) === true
  const unified = layout.unifiedControllers.size > 0
  const v1 = layout.mode === 'v2' ? [] : writesV1(part(layout, resources, true, !unified), has)
  const v2 = writesV2(part(layout, resources, false, unified || layout.mode === 'v2'), has).filter(
    ({ controller }) => controller !== 'cpuset' || !layout.controllers.has('cpuset'),
  )
  const homeless = v2.find(({ controller }) => controllerOf(layout, controller) === undefined)
  if (homeless === undefined) return [...v1, ...v2]
  throw new DewarError(
    'unavailable',
    `Setting ${homeless.file}: the ${homeless.controller} controller is not on this machine`,
    {
      remedy: 'leave the limit out, or enable the controller (kernel command line, cgroup.subtree_control)',
    },
  )
}

/** The resources whose controllers are on v1 (`v1`), or those whose are not. */
function part(
  layout: CgroupLayout,
  { memory, cpu, pids, blockIO, unified, devices }: OciResources,
  v1: boolean,
  withUnified: boolean,
): OciResources {
  const here = (controller: string) => layout.controllers.has(controller) === v1
  return {
    devices,
    ...(memory && here('memory') && { memory }),
    ...(cpu && here('cpu') && { cpu }),
    ...(pids && here('pids') && { pids }),
    ...(blockIO && here('blkio') && { blockIO }),
    ...(unified && withUnified && { unified }),
  }
}

function place(layout: CgroupLayout, path: string, { controller, file, data, optional }: ControlWrite): Step {
  return write(`${groupFolder(layout, controller, path)}/${file}`, data, optional)
}

/**
 * `docker update`: the limits given, nothing else. Cpuset only where the container has one (v1) or can have
 * one (v2).
 */
export function updateWrites(layout: CgroupLayout, path: string, resources: OciResources): Step[] {
  checkPath(path)
  const cpuset = layout.controllers.has('cpuset')
    ? cpusetV1(resources.cpu, { cpus: '', mems: '' }).filter(({ data }) => data !== '')
    : []
  return [...limitWrites(layout, resources), ...cpuset].map((one) => place(layout, path, one))
}

/** Pause and unpause. The kernel freezes in its own time: `isFrozen` in cgroup-live.ts says when it has. */
export function freezeWrites(layout: CgroupLayout, path: string, frozen: boolean): Step[] {
  checkPath(path)
  const folder = groupFolder(layout, 'freezer', path)
  if (layout.controllers.has('freezer'))
    return [write(`${folder}/freezer.state`, frozen ? 'FROZEN' : 'THAWED')]
  return [write(`${folder}/cgroup.freeze`, frozen ? '1' : '0')]
}

/** Where the kernel counts its OOM kills in a line `oom_kill N`; undefined without a memory controller. */
export function oomFile(layout: CgroupLayout, path: string): string | undefined {
  const version = controllerOf(layout, 'memory')
  if (version === undefined) return undefined
  return `${groupFolder(layout, 'memory', path)}/${version === 'v1' ? 'memory.oom_control' : 'memory.events'}`
}

/** `--cpus` (10⁹ per CPU) as quota and period in microseconds, as Docker does it. */
export function cpuQuota(nanoCpus: number): { readonly quota: number; readonly period: number } {
  const period = 100_000
  return { quota: Math.floor((nanoCpus * period) / 1e9), period }
}
