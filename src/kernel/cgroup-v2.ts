/**
 * What the specification's resources are in the control files of cgroup v2
 * (Documentation/admin-guide/cgroup-v2.rst). Pure.
 */
import { DewarError } from '../base/errors.ts'
import { given, pidsMax, set } from './cgroup-v1.ts'
import type { ControlWrite } from './cgroup-v1.ts'
import type { OciResources } from './oci.ts'

const orMax = (value: number | undefined): string | undefined =>
  value === undefined || value === 0 ? undefined : value < 0 ? 'max' : String(value)

/** Throws invalid-argument for what v2 cannot say. */
export function writesV2(resources: OciResources, has: (file: string) => boolean): ControlWrite[] {
  const { cpu = {}, memory = {} } = resources
  if (given(cpu.realtimePeriod) !== undefined || given(cpu.realtimeRuntime) !== undefined) {
    throw new DewarError('invalid-argument', 'Setting real-time CPU limits: cgroup v2 has none', {
      remedy: 'leave out --cpu-rt-period and --cpu-rt-runtime',
    })
  }
  return [
    ...set('memory', 'memory.max', orMax(memory.limit)),
    ...set('memory', 'memory.swap.max', swapV2(memory)),
    ...set('memory', 'memory.low', orMax(memory.reservation)),
    ...set('cpu', 'cpu.weight', cpuWeight(given(cpu.shares))),
    ...set('cpu', 'cpu.max', cpuMax(cpu)),
    ...set('cpuset', 'cpuset.cpus', cpu.cpus),
    ...set('cpuset', 'cpuset.mems', cpu.mems),
    ...set('pids', 'pids.max', pidsMax(resources.pids?.limit)),
    ...ioV2(resources.blockIO ?? {}, has),
    ...unifiedV2(resources.unified ?? {}),
  ]
}

/** The specification counts memory and swap together, v2 swap alone. */
function swapV2({ limit, swap }: NonNullable<OciResources['memory']>): string | undefined {
  if (swap === undefined || swap === 0) return undefined
  if (swap < 0) return 'max'
  if (limit !== undefined && limit > 0 && swap >= limit) return String(swap - limit)
  throw new DewarError(
    'invalid-argument',
    `Setting the swap limit ${swap}: it counts memory too and needs a memory limit below it`,
    {
      remedy: 'give --memory as well, no more than --memory-swap',
    },
  )
}

/**
 * Shares 2…262144 → weight 1…10000, so that both defaults meet: 1024 ↔ 100, the ends to the ends. The
 * straight line that runtimes used before 2025 gave 1024 shares 39, less than a group without any shares has.
 */
export function cpuWeight(shares: number): number
export function cpuWeight(shares: number | undefined): number | undefined
export function cpuWeight(shares: number | undefined): number | undefined {
  if (shares === undefined) return undefined
  if (shares <= 2) return 1
  if (shares >= 262_144) return 10_000
  const log = Math.log2(shares)
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))
}

/** "quota period"; a quota alone keeps the period. */
function cpuMax({ quota, period }: NonNullable<OciResources['cpu']>): string | undefined {
  if (!quota && !period) return undefined
  const first = quota === undefined || quota <= 0 ? 'max' : String(quota)
  return period ? `${first} ${period}` : first
}

/** BFQ takes the weight as it is; io.weight has 1…10000 for 10…1000. */
function ioV2(block: NonNullable<OciResources['blockIO']>, has: (file: string) => boolean): ControlWrite[] {
  const bfq = has('io.bfq.weight')
  const file = bfq ? 'io.bfq.weight' : 'io.weight'
  const weight = (w: number) => (bfq ? w : 1 + Math.floor(((w - 10) * 9999) / 990))
  const limits = [
    ['rbps', block.throttleReadBpsDevice],
    ['wbps', block.throttleWriteBpsDevice],
    ['riops', block.throttleReadIOPSDevice],
    ['wiops', block.throttleWriteIOPSDevice],
  ] as const
  return [
    ...set('io', file, block.weight ? weight(block.weight) : undefined),
    ...(block.weightDevice ?? []).flatMap((w) =>
      set('io', file, `${w.major}:${w.minor} ${weight(w.weight)}`),
    ),
    ...limits.flatMap(([key, rates]) =>
      (rates ?? []).flatMap((r) => set('io', 'io.max', `${r.major}:${r.minor} ${key}=${r.rate}`)),
    ),
  ]
}

/** Files named by the user: a plain name of a controller's, so that the path stays in the group. */
function unifiedV2(unified: Readonly<Record<string, string>>): ControlWrite[] {
  return Object.entries(unified).map(([file, data]) => {
    const controller = /^([a-z]+)\.[a-z0-9._]+$/i.exec(file)?.[1]
    if (controller !== undefined && controller !== 'cgroup' && !file.includes('..'))
      return { controller, file, data }
    throw new DewarError(
      'invalid-argument',
      `Setting ${JSON.stringify(file)}: it is not a control file of a controller`,
      {
        remedy: 'give a name such as memory.high',
      },
    )
  })
}
