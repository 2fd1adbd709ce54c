/**
 * What of the wanted limits this machine can keep. A limit whose controller is missing is refused. Where
 * Docker warns and goes on without, because the kernel was built or booted without a detail (swap accounting,
 * IO weights), so does Dewar, in the same words.
 */
import { DewarError } from '../base/errors.ts'
import { controllerOf, hasFile } from './cgroup-layout.ts'
import type { CgroupLayout } from './cgroup-layout.ts'
import type { OciResources } from './oci.ts'

export interface CheckedResources {
  readonly resources: OciResources
  /** For the answer to `create`, one sentence each. */
  readonly warnings: readonly string[]
}

const KERNEL = 'Your kernel does not support'
const UNMOUNTED = 'or the cgroup is not mounted.'

/** Throws unavailable for a limit without its controller. */
export function checkResources(layout: CgroupLayout, wanted: OciResources): CheckedResources {
  requireControllers(layout, wanted)
  requireRealtime(layout, wanted)
  const warnings: string[] = []
  /** The value, or nothing and a warning when the machine lacks the file for it. */
  const keep = <T>(
    value: T | undefined,
    v1: string | undefined,
    v2: string | undefined,
    controller: string,
    warning: string,
  ) => {
    const file = controllerOf(layout, controller) === 'v1' ? v1 : v2
    if (value === undefined || (file !== undefined && hasFile(layout, file))) return value
    warnings.push(warning)
    return undefined
  }
  const { memory = {}, blockIO = {} } = wanted
  const swap = keep(
    positive(memory.swap),
    'memory.memsw.limit_in_bytes',
    'memory.swap.max',
    'memory',
    `${KERNEL} swap limit capabilities ${UNMOUNTED} Memory limited without swap.`,
  )
  const swappiness = keep(
    swappinessOf(memory.swappiness),
    'memory.swappiness',
    undefined,
    'memory',
    `${KERNEL} memory swappiness capabilities ${UNMOUNTED} Memory swappiness discarded.`,
  )
  const reservation = keep(
    memory.reservation,
    'memory.soft_limit_in_bytes',
    'memory.low',
    'memory',
    `${KERNEL} memory soft limit capabilities ${UNMOUNTED} Limitation discarded.`,
  )
  const disableOOMKiller = keep(
    memory.disableOOMKiller === true ? true : undefined,
    'memory.oom_control',
    undefined,
    'memory',
    `${KERNEL} OomKillDisable. OomKillDisable discarded.`,
  )
  const seen = (...names: string[]) => names.find((file) => hasFile(layout, file))
  const weightV1 = seen('blkio.bfq.weight', 'blkio.weight')
  const weightV2 = seen('io.bfq.weight', 'io.weight')
  const weight = keep(
    positive(blockIO.weight),
    weightV1,
    weightV2,
    'blkio',
    `${KERNEL} Block I/O weight ${UNMOUNTED} Weight discarded.`,
  )
  const weightDevice = keep(
    some(blockIO.weightDevice),
    weightV1,
    weightV2,
    'blkio',
    `${KERNEL} Block I/O weight_device.`,
  )
  const { swap: _1, swappiness: _2, reservation: _3, disableOOMKiller: _4, ...plainMemory } = memory
  const { weight: _5, weightDevice: _6, ...plainBlock } = blockIO
  const resources: OciResources = {
    ...wanted,
    memory: {
      ...plainMemory,
      ...(swap !== undefined && { swap }),
      ...(swappiness !== undefined && { swappiness }),
      ...(reservation !== undefined && { reservation }),
      ...(disableOOMKiller !== undefined && { disableOOMKiller }),
    },
    blockIO: {
      ...plainBlock,
      ...(weight !== undefined && { weight }),
      ...(weightDevice !== undefined && { weightDevice }),
    },
  }
  return { resources, warnings }
}

const positive = (value: number | undefined): number | undefined => (value === 0 ? undefined : value)
const some = <T>(list: readonly T[] | undefined): readonly T[] | undefined =>
  list?.length === 0 ? undefined : list
/** -1 is Docker's "as it is". */
const swappinessOf = (value: number | undefined): number | undefined => (value === -1 ? undefined : value)

/** Needs CONFIG_RT_GROUP_SCHED, and v2 has nothing of the kind. In dockerd's words. */
function requireRealtime(layout: CgroupLayout, { cpu }: OciResources): void {
  if (!cpu?.realtimePeriod && !cpu?.realtimeRuntime) return
  if (controllerOf(layout, 'cpu') === 'v1' && hasFile(layout, 'cpu.rt_runtime_us')) return
  throw new DewarError('invalid-argument', 'kernel does not support CPU real-time scheduler', {
    remedy: 'leave out --cpu-rt-period and --cpu-rt-runtime',
  })
}

function requireControllers(layout: CgroupLayout, wanted: OciResources): void {
  const { memory, cpu, pids, blockIO } = wanted
  const needs: [controller: string, limit: string, asked: boolean][] = [
    ['memory', 'memory limit', [memory?.limit, memory?.swap, memory?.reservation].some(Boolean)],
    ['cpu', 'CPU limit', [cpu?.quota, cpu?.period, cpu?.shares, cpu?.realtimeRuntime].some(Boolean)],
    ['cpuset', 'cpuset', [cpu?.cpus, cpu?.mems].some(Boolean)],
    ['pids', 'limit of processes', (pids?.limit ?? 0) > 0],
    [
      'blkio',
      'block IO limit',
      Object.values(blockIO ?? {}).some((value) =>
        Array.isArray(value) ? value.length > 0 : Boolean(value),
      ),
    ],
  ]
  const missing = needs.find(
    ([controller, , asked]) => asked && controllerOf(layout, controller) === undefined,
  )
  if (missing === undefined) return
  const [controller, limit] = missing
  throw new DewarError(
    'unavailable',
    `Setting the ${limit}: the ${controller} controller is not mounted on this machine`,
    {
      remedy:
        layout.mode === 'v2'
          ? `enable it: echo +${controller === 'blkio' ? 'io' : controller} > ${layout.unified}${layout.base}/cgroup.subtree_control, or leave the limit out`
          : `mount it: mount -t cgroup -o ${controller} none /sys/fs/cgroup/${controller} (or check the kernel's cgroup_disable=), or leave the limit out`,
    },
  )
}
