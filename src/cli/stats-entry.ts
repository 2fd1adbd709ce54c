import type { Stats } from '../client/connect.ts'
import { binarySize, decimalSize } from './text/size.ts'
import type { ListView } from './list.ts'

/** One line of `stats`. */
export interface StatsEntry {
  /** The name or id it was asked for by. */
  readonly container: string
  readonly name: string
  readonly id: string
  /** undefined before the first reading, or when readings stopped. */
  readonly figures: Figures | undefined
}

export interface Figures {
  /** Percent of one CPU. */
  readonly cpu: number
  /** Bytes, without the cache that the kernel can take back. */
  readonly memory: number
  readonly memoryLimit: number
  readonly received: number
  readonly sent: number
  readonly read: number
  readonly written: number
  readonly processes: number
}

export function figuresOf(stats: Stats): Figures {
  const networks = Object.values(stats.networks)
  const blocks = (op: string): number =>
    stats.blkio_stats.io_service_bytes_recursive
      .filter((entry) => entry.op.toLowerCase() === op)
      .reduce((sum, { value }) => sum + value, 0)
  return {
    cpu: cpuPercent(stats),
    memory: memoryInUse(stats),
    memoryLimit: stats.memory_stats.limit,
    received: networks.reduce((sum, { rx_bytes }) => sum + rx_bytes, 0),
    sent: networks.reduce((sum, { tx_bytes }) => sum + tx_bytes, 0),
    read: blocks('read'),
    written: blocks('write'),
    processes: stats.pids_stats.current,
  }
}

function cpuPercent({ cpu_stats: now, precpu_stats: before }: Stats): number {
  const used = now.cpu_usage.total_usage - before.cpu_usage.total_usage
  const passed = now.system_cpu_usage - before.system_cpu_usage
  const cpus = now.online_cpus === 0 ? now.cpu_usage.percpu_usage.length : now.online_cpus
  return passed > 0 && used > 0 ? (used / passed) * cpus * 100 : 0
}

/** cgroup v1 says total_inactive_file, v2 inactive_file: page cache that is given back when memory runs short. */
function memoryInUse({ memory_stats: { usage, stats } }: Stats): number {
  const cache = stats['total_inactive_file'] ?? stats['inactive_file'] ?? 0
  return cache < usage ? usage - cache : usage
}

const NONE = '--'
const percent = (value: number): string => `${value.toFixed(2)}%`

export function statsView(truncate: boolean): ListView<StatsEntry> {
  const shown = (entry: StatsEntry, show: (figures: Figures) => string, empty = NONE): string =>
    entry.figures === undefined ? empty : show(entry.figures)
  const pair = (a: number, b: number): string => `${decimalSize(a, 3)} / ${decimalSize(b, 3)}`
  return {
    typeName: '*container.statsContext',
    quiet: 'ID',
    table: ['ID', 'Name', 'CPUPerc', 'MemUsage', 'MemPerc', 'NetIO', 'BlockIO', 'PIDs'],
    columns: {
      Container: { header: 'CONTAINER', of: ({ container }) => container },
      Name: { header: 'NAME', of: ({ name }) => (name.length > 1 ? name.slice(1) : NONE) },
      ID: { header: 'CONTAINER ID', of: ({ id }) => (truncate ? id.slice(0, 12) : id) },
      CPUPerc: { header: 'CPU %', of: (entry) => shown(entry, ({ cpu }) => percent(cpu)) },
      MemUsage: {
        header: 'MEM USAGE / LIMIT',
        of: (entry) =>
          shown(
            entry,
            ({ memory, memoryLimit }) => `${binarySize(memory)} / ${binarySize(memoryLimit)}`,
            '-- / --',
          ),
      },
      MemPerc: {
        header: 'MEM %',
        of: (entry) =>
          shown(entry, ({ memory, memoryLimit }) =>
            percent(memoryLimit === 0 ? 0 : (memory / memoryLimit) * 100),
          ),
      },
      NetIO: { header: 'NET I/O', of: (entry) => shown(entry, ({ received, sent }) => pair(received, sent)) },
      BlockIO: {
        header: 'BLOCK I/O',
        of: (entry) => shown(entry, ({ read, written }) => pair(read, written)),
      },
      PIDs: { header: 'PIDS', of: (entry) => shown(entry, ({ processes }) => String(processes)) },
    },
  }
}
