/**
 * The engine on a kernel with cgroup v2 alone, where this machine may have given the controllers to v1: what each limit of a
 * container is there, and what comes of it inside.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { section } from '../harness/emulated-machine.ts'
import { missing } from '../harness/requirement.ts'
import { partsOfHost, tell } from './engine-machine.ts'

const MB = 1 << 20

test(
  'containers on cgroup v2 have their limits, meet them, and open the devices they may open',
  { skip: missing('qemu-system-x86_64', 'mke2fs', 'busybox', 'ldd') },
  async (t) => {
    const parts = await partsOfHost()
    if (typeof parts === 'string') return t.skip(parts)
    const text = await tell(parts, { module: 'story-v2.js' })
    assert.doesNotMatch(text, /FAILED/, text)
    const has = (name: string, ...expected: readonly RegExp[]) => {
      for (const one of expected) assert.match(section(text, name), one, `${name}\n${text}`)
    }
    has(
      'info',
      /"CgroupVersion":"2"/,
      /"MemoryLimit":true,"SwapLimit":true,"CpuCfsQuota":true,"PidsLimit":true/,
    )
    has('group', new RegExp(`^memory.max ${64 * MB}$`, 'm'), new RegExp(`^memory.swap.max ${32 * MB}$`, 'm'))
    has('group', new RegExp(`^memory.low ${32 * MB}$`, 'm'), /^cpu.max 50000 100000$/m, /^cpu.weight 59$/m)
    has('group', /^cpuset.cpus 0$/m, /^pids.max 50$/m, /^io.weight default 4950$/m)
    has('group', /^io.max 259:\d+ rbps=1000000 wbps=max riops=max wiops=100$/m)
    has('frozen', /frozen 1\npaused\nstill\ngoes on/)
    assertStats(section(text, 'stats'))
    has(
      'update',
      new RegExp(`^memory.max ${32 * MB}\nmemory.swap.max max\npids.max 60\ncpu.weight 174$`, 'm'),
    )
    has('image-part', /^\/x\/sh\n\/y\/bin\/sh\nstatus 0$/m)
    has('fits', /^status 0$/m)
    has('oom', /^status 137\nkilled true$/m)
    has('swapped', /^status 0$/m)
    has('no-swap', /^status 137$/m)
    has('pids', /can't fork/)
    has('cpuset', /^1\nCpus_allowed_list:\s+0$/m)
    assertThrottled(section(text, 'cpu'))
    // Denied and allowed are told apart by rule alone: the same words in the same image.
    has('device-closed', /^made$/m, /\/disk: Operation not permitted/, /^zero$/m)
    assert.doesNotMatch(section(text, 'device-closed'), /^(read|written)$/m)
    has('device-rule', /^made\nread\n/m, /\/disk: Operation not permitted/)
    assert.doesNotMatch(section(text, 'device-rule'), /^written$/m)
    has('device-open', /^made\nread\nwritten$/m)
    has('device-read', /^read$/m, /\/dev\/blank: Operation not permitted/)
    has('device-all', /^read\nwritten$/m)
    has('device-range', /^read$/m, /\/dev\/blank: Operation not permitted/)
    const seconds = Number(/^real (\S+)/m.exec(section(text, 'slow'))?.[1])
    assert.ok(seconds > 2, `3 MB at 1 MB/s took ${seconds} s`)
    has('left', /^gone$/m)
  },
)

interface Cpu {
  readonly cpu_usage: { readonly total_usage: number }
  readonly online_cpus: number
  readonly throttling_data: { readonly throttled_periods: number }
}

interface Stats {
  readonly read: string
  readonly preread: string
  readonly pids_stats: { readonly current: number; readonly limit: number }
  readonly cpu_stats: Cpu
  readonly precpu_stats: Cpu
  readonly memory_stats: { readonly usage: number; readonly limit: number }
}

function assertStats(text: string): void {
  const { pids_stats: pids, cpu_stats: cpu, memory_stats: memory } = JSON.parse(text) as Stats
  assert.equal(pids.limit, 50)
  assert.ok(pids.current >= 1 && pids.current <= 2, `${pids.current} processes: a shell, and its sleep`)
  assert.ok(cpu.cpu_usage.total_usage > 0)
  assert.equal(cpu.online_cpus, 1)
  assert.equal(memory.limit, 64 * MB)
  assert.ok(memory.usage > 0 && memory.usage < 64 * MB)
}

/** It would take a whole processor and has a tenth. */
function assertThrottled(text: string): void {
  const { read, preread, cpu_stats: now, precpu_stats: before } = JSON.parse(text) as Stats
  const used = (now.cpu_usage.total_usage - before.cpu_usage.total_usage) / 1e6
  const passed = Date.parse(read) - Date.parse(preread)
  assert.ok(used > 0 && used < 0.3 * passed, `${used} ms of ${passed}`)
  assert.ok(now.throttling_data.throttled_periods > 0, text)
}
