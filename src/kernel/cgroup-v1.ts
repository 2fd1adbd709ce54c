/** What the specification's resources are in the control files of cgroup v1. Pure. */
import { DewarError } from '../base/errors.ts'
import { deviceWrites } from './device-rules.ts'
import type { OciBlockRate, OciResources } from './oci.ts'

/** One write to a control file of the container's group. */
export interface ControlWrite {
  readonly controller: string
  readonly file: string
  readonly data: string
  /** Its failure means nothing: a later write to the same file says whether it worked. */
  readonly optional?: boolean
}

/** Nothing is written for undefined, nor for the empty text. */
export const set = (controller: string, file: string, value: number | string | undefined): ControlWrite[] =>
  value === undefined || value === '' ? [] : [{ controller, file, data: String(value) }]

/** 0 is Docker's "not given" for sizes, rates and shares. */
export const given = (value: number | undefined): number | undefined => (value === 0 ? undefined : value)

/** `has`: whether a control file was seen on this machine. */
export function writesV1(resources: OciResources, has: (file: string) => boolean): ControlWrite[] {
  refuseUnified(resources)
  return [
    ...memoryV1(resources.memory ?? {}),
    ...cpuV1(resources.cpu ?? {}),
    ...set('pids', 'pids.max', pidsMax(resources.pids?.limit)),
    ...blockV1(resources.blockIO ?? {}, has),
  ]
}

/** Written once, when the group is new: v1 has no way to replace a list at a stroke. */
export function devicesV1(resources: OciResources): ControlWrite[] {
  return deviceWrites(resources.devices).map((write) => ({ controller: 'devices', ...write }))
}

/** 0 and below are Docker's "no limit". */
export const pidsMax = (limit: number | undefined): string | undefined =>
  limit === undefined ? undefined : limit > 0 ? String(limit) : 'max'

/**
 * The kernel keeps limit ≤ memory+swap at every moment: when both grow the second must go first, when both
 * shrink the first. What the group has now is not known here, so the second is tried before and written again
 * after.
 */
function memoryV1(memory: NonNullable<OciResources['memory']>): ControlWrite[] {
  const limit = set('memory', 'memory.limit_in_bytes', given(memory.limit))
  const swap = set('memory', 'memory.memsw.limit_in_bytes', given(memory.swap))
  const first = limit.length > 0 ? swap.map((write) => ({ ...write, optional: true })) : []
  return [
    ...first,
    ...limit,
    ...swap,
    ...set('memory', 'memory.soft_limit_in_bytes', given(memory.reservation)),
    ...set('memory', 'memory.swappiness', memory.swappiness),
    ...set('memory', 'memory.oom_control', memory.disableOOMKiller === true ? 1 : undefined),
  ]
}

/**
 * Quota and period are checked together against the parent's, so of the pair the first is tried twice, as
 * above.
 */
function cpuV1(cpu: NonNullable<OciResources['cpu']>): ControlWrite[] {
  const period = set('cpu', 'cpu.cfs_period_us', given(cpu.period))
  const quota = set('cpu', 'cpu.cfs_quota_us', given(cpu.quota))
  return [
    ...set('cpu', 'cpu.shares', given(cpu.shares)),
    ...(quota.length > 0 ? period.map((write) => ({ ...write, optional: true })) : []),
    ...quota,
    ...period,
    ...set('cpu', 'cpu.rt_period_us', given(cpu.realtimePeriod)),
    ...set('cpu', 'cpu.rt_runtime_us', given(cpu.realtimeRuntime)),
  ]
}

/** cpuset.cpus and .mems: a new group has none and takes no process until it has both. */
export function cpusetV1(
  cpu: OciResources['cpu'],
  root: { readonly cpus: string; readonly mems: string },
): ControlWrite[] {
  return [
    ...set('cpuset', 'cpuset.cpus', cpu?.cpus || root.cpus),
    ...set('cpuset', 'cpuset.mems', cpu?.mems || root.mems),
  ]
}

/** The weight is CFQ's up to 4.20, since then BFQ's, which has the same range. */
function blockV1(
  block: NonNullable<OciResources['blockIO']>,
  has: (file: string) => boolean,
): ControlWrite[] {
  const name = has('blkio.weight') && !has('blkio.bfq.weight') ? 'blkio.weight' : 'blkio.bfq.weight'
  const throttle = (file: string, rates: readonly OciBlockRate[] | undefined) =>
    (rates ?? []).flatMap((r) =>
      set('blkio', `blkio.throttle.${file}_device`, `${r.major}:${r.minor} ${r.rate}`),
    )
  return [
    ...set('blkio', name, given(block.weight)),
    ...(block.weightDevice ?? []).flatMap((w) =>
      set('blkio', `${name}_device`, `${w.major}:${w.minor} ${w.weight}`),
    ),
    ...throttle('read_bps', block.throttleReadBpsDevice),
    ...throttle('write_bps', block.throttleWriteBpsDevice),
    ...throttle('read_iops', block.throttleReadIOPSDevice),
    ...throttle('write_iops', block.throttleWriteIOPSDevice),
  ]
}

function refuseUnified(resources: OciResources): void {
  const [file] = Object.keys(resources.unified ?? {})
  if (file === undefined) return
  throw new DewarError(
    'invalid-argument',
    `Setting ${file}: this machine has no cgroup v2 with controllers`,
    {
      remedy: "use the limit's own option, or boot with systemd.unified_cgroup_hierarchy=1",
    },
  )
}
