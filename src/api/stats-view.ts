/** A sample of `docker stats` in the API's words. */
import type { Stats } from '../engine/types.ts'
import { isEmpty } from './codec.ts'
import { rfc3339Nano } from './go-time.ts'

export interface Sampled {
  readonly id: string
  readonly name: string
  /** Undefined when the container does not run: everything is zero then, as dockerd answers. */
  readonly now: Stats | undefined
  /** The sample before; clients compute percentages from the difference. */
  readonly before: Stats | undefined
}

const NO_THROTTLING = { periods: 0, throttled_periods: 0, throttled_time: 0 }
const NO_CPU = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: NO_THROTTLING,
}
const BLKIO_LISTS = [
  'io_service_bytes_recursive',
  'io_serviced_recursive',
  'io_queue_recursive',
  'io_service_time_recursive',
  'io_wait_time_recursive',
  'io_merged_recursive',
  'io_time_recursive',
  'sectors_recursive',
]

export function statsJson({ id, name, now, before }: Sampled): object {
  return {
    read: rfc3339Nano(now?.read ?? 0),
    preread: rfc3339Nano(before?.read ?? 0),
    pids_stats:
      now === undefined
        ? {}
        : { current: now.pids.current, ...(now.pids.limit === null ? {} : { limit: now.pids.limit }) },
    blkio_stats: blkioJson(now),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: now === undefined ? NO_CPU : cpuJson(now),
    precpu_stats: before === undefined ? NO_CPU : cpuJson(before),
    memory_stats: now === undefined ? {} : memoryJson(now),
    name: name.startsWith('/') ? name : `/${name}`,
    id,
    ...(now === undefined || Object.keys(now.networks).length === 0 ? {} : { networks: networksJson(now) }),
  }
}

function cpuJson({ cpu }: Stats): object {
  return {
    cpu_usage: {
      total_usage: cpu.total,
      ...(cpu.perCpu === null ? {} : { percpu_usage: cpu.perCpu }),
      usage_in_kernelmode: cpu.kernel,
      usage_in_usermode: cpu.user,
    },
    system_cpu_usage: cpu.system,
    online_cpus: cpu.online,
    throttling_data: {
      periods: cpu.throttling.periods,
      throttled_periods: cpu.throttling.throttled,
      throttled_time: cpu.throttling.time,
    },
  }
}

function memoryJson({ memory }: Stats): object {
  return {
    usage: memory.usage,
    ...(memory.max === null ? {} : { max_usage: memory.max }),
    stats: memory.stats,
    ...(memory.failcnt === null || memory.failcnt === 0 ? {} : { failcnt: memory.failcnt }),
    limit: memory.limit,
  }
}

/** Where nothing was read or written cgroup v1 gives empty lists and v2 none; v1 is the one that counts per CPU. */
function blkioJson(now: Stats | undefined): object {
  const empty = now !== undefined && now.cpu.perCpu !== null ? [] : null
  const none = Object.fromEntries(BLKIO_LISTS.map((list) => [list, empty]))
  return {
    ...none,
    ...(isEmpty(now?.blkio) ? {} : { io_service_bytes_recursive: now?.blkio }),
    ...(isEmpty(now?.blkioRequests) ? {} : { io_serviced_recursive: now?.blkioRequests }),
  }
}

function networksJson(now: Stats): object {
  const rows = Object.entries(now.networks).map(([name, net]): [string, object] => [
    name,
    {
      rx_bytes: net.rxBytes,
      rx_packets: net.rxPackets,
      rx_errors: net.rxErrors,
      rx_dropped: net.rxDropped,
      tx_bytes: net.txBytes,
      tx_packets: net.txPackets,
      tx_errors: net.txErrors,
      tx_dropped: net.txDropped,
    },
  ])
  return Object.fromEntries(rows)
}
