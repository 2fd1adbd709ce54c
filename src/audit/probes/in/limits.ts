/** Whether a container sees the limits it has, or the whole machine. */
import { cpus, totalmem } from 'node:os'
import { groupFile } from '../../control-group.ts'
import type { Guest } from '../../guest-types.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import { insideProbe, sees, textInside } from './inside.ts'

const MEBIBYTES = 137
const LIMIT = MEBIBYTES << 20

/** Within a twentieth. */
function near(value: number, other: number): boolean {
  return value > 0 && Math.abs(value - other) <= other / 20
}

/** sysinfo(2): totalram in units of mem_unit. */
async function sysinfoTotal(guest: Guest): Promise<number> {
  const [bytes] = (await guest.syscall('sysinfo', { out: 112 })).out
  return bytes === undefined ? 0 : Number(bytes.readBigUInt64LE(32)) * bytes.readUInt32LE(104)
}

export const memoryLimit: Probe = insideProbe(
  {
    id: 'I04',
    slug: 'in.limits.memory',
    asset: 'limits',
    question: 'Does a guest with a memory limit still see the memory of the whole host?',
    method: `A container with ${MEBIBYTES} MiB: /proc/meminfo and sysinfo(2) inside are compared with the host’s memory.`,
    references: ['moby#20688', 'lxcfs#263', 'gvisor#5191'],
    remedy: 'A slice view: lxcfs, dewar’s, or a kernel of its own.',
    readOnly: false,
  },
  async ({ create, guest }) => {
    const subject = await create({ memory: LIMIT })
    const inside = await guest(subject)
    const meminfo =
      1024 * Number(/^MemTotal:\s+(\d+)/m.exec(await textInside(inside, '/proc/meminfo'))?.[1] ?? 0)
    const sysinfo = await sysinfoTotal(inside)
    const seen: Evidence[] = [
      { what: '/proc/meminfo', value: meminfo },
      { what: 'sysinfo(2)', value: sysinfo },
    ]
      .filter(({ value }) => near(value, totalmem()))
      .map(({ what, value }) => ({
        kind: 'value',
        text: `${what}: ${Math.round(value / (1 << 20))} MiB, the limit is ${MEBIBYTES}`,
      }))
    const limit = groupFile(subject.pid, ['memory', 'memory.limit_in_bytes'], 'memory.max')
    return conclude({
      seen,
      controls: [
        await sees(inside),
        { what: 'the guest is told how much there is', held: meminfo > 0 || sysinfo > 0 },
        { what: 'the limit is in force on the host', held: near(Number(limit), LIMIT) },
        { what: 'the host has more than the limit', held: totalmem() > 2 * LIMIT },
      ],
      leak: 'The guest sees the host’s whole memory, not what it may use: programs size themselves wrongly.',
      contained: `The guest sees ${Math.round(meminfo / (1 << 20))} MiB (meminfo), ${Math.round(sysinfo / (1 << 20))} MiB (sysinfo).`,
    })
  },
)

export const cpuLimit: Probe = insideProbe(
  {
    id: 'I05',
    slug: 'in.limits.cpu',
    asset: 'limits',
    question: 'Does a guest with one CPU still see all CPUs of the host?',
    method:
      'A container with --cpus=1: affinity, /proc/cpuinfo, /proc/stat and /sys/devices/system/cpu inside.',
    references: ['lxcfs#88', 'gvisor#14141'],
    remedy: '--cpuset-cpus, or a slice view (lxcfs, dewar), or a kernel of its own.',
    readOnly: false,
  },
  async ({ create, guest }) => {
    const all = cpus().length
    if (all < 2) return absent('this host has one CPU')
    const subject = await create({ cpus: 1 })
    const inside = await guest(subject)
    const [mask] = (await inside.syscall('sched_getaffinity', 0, 128, { out: 128 })).out
    const bits = [...(mask ?? Buffer.alloc(0))].reduce(
      (sum, byte) => sum + byte.toString(2).replaceAll('0', '').length,
      0,
    )
    const online = (await textInside(inside, '/sys/devices/system/cpu/online')).trim()
    const counts = [
      { what: 'sched_getaffinity', count: bits },
      {
        what: '/proc/cpuinfo',
        count: (await textInside(inside, '/proc/cpuinfo')).match(/^processor\s*:/gm)?.length ?? 0,
      },
      { what: '/proc/stat', count: (await textInside(inside, '/proc/stat')).match(/^cpu\d/gm)?.length ?? 0 },
      { what: '/sys/devices/system/cpu/online', count: countOf(online) },
    ]
    const quota = groupFile(subject.pid, ['cpu', 'cpu.cfs_quota_us'], 'cpu.max').split(' ')[0]
    return conclude({
      seen: counts
        .filter(({ count }) => count >= all)
        .map(({ what, count }) => ({ kind: 'value', text: `${what}: ${count} CPUs, the limit is 1` })),
      controls: [
        await sees(inside),
        { what: 'the guest is told how many there are', held: counts.some(({ count }) => count > 0) },
        { what: 'the limit is in force on the host', held: quota === '100000' },
      ],
      leak: 'The guest sees the host’s CPUs, not what it may use.',
      contained: `It sees ${counts.map(({ what, count }) => `${count} in ${what}`).join(', ')}.`,
    })
  },
)

/** `0-3,7` → 5. */
function countOf(ranges: string): number {
  if (ranges === '') return 0
  return ranges.split(',').reduce((sum, range) => {
    const [from = 0, to = from] = range.split('-').map(Number)
    return sum + to - from + 1
  }, 0)
}

export const LIMITS: readonly Probe[] = [memoryLimit, cpuLimit]
