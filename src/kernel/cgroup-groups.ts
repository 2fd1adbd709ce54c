/** Which groups a container gets: only of controllers that limit or count something. Pure. */
import { DewarError } from '../base/errors.ts'
import type { CgroupLayout } from './cgroup-layout.ts'
import { deviceProgram } from './device-program.ts'
import type { OciResources } from './oci.ts'

/**
 * Counted or frozen in every container; cpuset only when asked for, since an empty one must be filled first.
 */
const ALWAYS = ['memory', 'cpu', 'cpuacct', 'pids', 'devices', 'freezer', 'blkio'] as const
const V2_ALWAYS = ['memory', 'cpu', 'pids', 'io'] as const

/** The groups of one container, tree by tree. */
export interface Groups {
  /** v1: folder of the tree → its controllers that are used. */
  readonly v1: ReadonlyMap<string, readonly string[]>
  readonly v2: { readonly root: string; readonly controllers: readonly string[] } | undefined
  /** Who keeps the device list. */
  readonly devices: 'v1' | 'v2' | 'open'
}

export const wantsCpuset = (resources: OciResources): boolean =>
  Boolean(resources.cpu?.cpus) || Boolean(resources.cpu?.mems)

export function groupsOf(layout: CgroupLayout, resources: OciResources): Groups {
  const wanted = [...ALWAYS, ...(wantsCpuset(resources) ? ['cpuset'] : [])]
  const v1 = new Map<string, string[]>()
  for (const name of wanted) {
    const folder = layout.controllers.get(name)
    if (folder !== undefined) v1.set(folder, [...(v1.get(folder) ?? []), name])
  }
  const unified = Object.keys(resources.unified ?? {}).map((file) => file.split('.')[0] ?? '')
  const wantedV2 = new Set([...V2_ALWAYS, ...(wantsCpuset(resources) ? ['cpuset'] : []), ...unified])
  const controllers = [...wantedV2].filter((name) => layout.unifiedControllers.has(name))
  const devices = deviceKeeper(layout, resources)
  const needed =
    layout.unified !== undefined && (layout.mode === 'v2' || controllers.length > 0 || devices === 'v2')
  return { v1, v2: needed ? { root: `${layout.unified}${layout.base}`, controllers } : undefined, devices }
}

/**
 * A device program needs a v2 group and no controller, so it helps out where v1's devices controller is
 * missing.
 */
function deviceKeeper(layout: CgroupLayout, resources: OciResources): Groups['devices'] {
  if (layout.controllers.has('devices')) return 'v1'
  if (deviceProgram(resources.devices) === undefined) return 'open'
  if (layout.unified !== undefined) return 'v2'
  throw new DewarError(
    'unavailable',
    'Closing devices: neither the devices controller nor a cgroup2 tree is mounted',
    {
      remedy: 'mount one: mount -t cgroup2 none /sys/fs/cgroup/unified',
    },
  )
}
