import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkResources } from './cgroup-check.ts'
import type { CgroupLayout } from './cgroup-layout.ts'
import { cpuWeight } from './cgroup-v2.ts'
import {
  cgroupPlan,
  cpuQuota,
  freezeWrites,
  joinPlan,
  oomFile,
  parentSteps,
  removeParents,
  updateWrites,
} from './cgroup.ts'
import { ALL_DEVICES, DEFAULT_DEVICE_RULES } from './device-rules.ts'
import type { OciResources } from './oci.ts'
import type { Step } from './plan.ts'

const V2: CgroupLayout = {
  mode: 'v2',
  controllers: new Map(),
  unified: '/sys/fs/cgroup',
  base: '',
  files: undefined,
  cpuset: { cpus: '0-3', mems: '0' },
  unifiedControllers: new Set(['cpuset', 'cpu', 'io', 'memory', 'pids', 'hugetlb']),
}
const NAMES = ['memory', 'cpu', 'cpuacct', 'pids', 'devices', 'freezer', 'blkio', 'cpuset']
const HYBRID: CgroupLayout = {
  ...V2,
  mode: 'hybrid',
  unified: '/cg/unified',
  unifiedControllers: new Set(),
  controllers: new Map(
    NAMES.map((name) => [
      name,
      name.startsWith('cpu') && name !== 'cpuset' ? '/cg/cpu,cpuacct' : `/cg/${name}`,
    ]),
  ),
}
const open: OciResources = { devices: ALL_DEVICES }
const PATH = '/dewar/i/c'

/** 'write /path = data' and the like. */
const show = (steps: readonly Step[]): string[] =>
  steps.map((step) => {
    const path = 'path' in step ? ` ${step.path}` : ''
    const more =
      step.op === 'write'
        ? ` = ${String(step.data)}${step.optional === true ? ' ?' : ''}`
        : step.op === 'open'
          ? ` → ${step.slot}`
          : step.op === 'join' || step.op === 'device-program'
            ? ` ${step.slot}`
            : ''
    return `${step.op}${path}${more}`
  })
const writes = (layout: CgroupLayout, resources: Partial<OciResources>): string[] =>
  show(cgroupPlan(layout, PATH, { ...open, ...resources }, 0, { parents: false }).host)
    .filter((line) => line.startsWith('write'))
    .map((line) => line.replace(/^write .*\/(\S+ =)/, '$1'))

test('cgroupPlan on v2 delegates on the way, makes one folder, and has the child born there', () => {
  const plan = cgroupPlan(V2, PATH, { ...open, memory: { limit: 64e6 } }, 5)
  assert.deepEqual(show(plan.host), [
    'write /sys/fs/cgroup/cgroup.subtree_control = +memory +cpu +pids +io',
    'mkdir /sys/fs/cgroup/dewar',
    'write /sys/fs/cgroup/dewar/cgroup.subtree_control = +memory +cpu +pids +io',
    'mkdir /sys/fs/cgroup/dewar/i',
    'write /sys/fs/cgroup/dewar/i/cgroup.subtree_control = +memory +cpu +pids +io',
    'mkdir /sys/fs/cgroup/dewar/i/c',
    'write /sys/fs/cgroup/dewar/i/c/memory.max = 64000000',
    'open /sys/fs/cgroup/dewar/i/c → 5',
  ])
  assert.deepEqual([plan.guest, plan.cloneInto, plan.slotsUsed], [[], 5, 1])
  assert.deepEqual(plan.after, [{ actor: 'after', op: 'rmdir', path: '/sys/fs/cgroup/dewar/i/c' }])
})

test('cgroupPlan on v1 makes one folder per tree, also for co-mounted controllers, and joins by tasks', () => {
  const plan = cgroupPlan(HYBRID, PATH, open, 10, { parents: false })
  const trees = ['memory', 'cpu,cpuacct', 'pids', 'devices', 'freezer', 'blkio']
  assert.deepEqual(show(plan.host), [
    ...trees.map((t) => `mkdir /cg/${t}/dewar/i/c`),
    ...trees.map((t, i) => `open /cg/${t}/dewar/i/c/tasks → ${10 + i}`),
  ])
  assert.deepEqual(
    show(plan.guest),
    trees.map((_, i) => `join ${10 + i}`),
  )
  assert.deepEqual(
    show(plan.after),
    trees.map((t) => `rmdir /cg/${t}/dewar/i/c`),
  )
  assert.equal(plan.cloneInto, undefined)
  assert.equal(plan.slotsUsed, 6)
})

test("cgroupPlan says each limit in v1's and in v2's words", () => {
  const cases: [Partial<OciResources>, string[], string[]][] = [
    [
      { memory: { limit: 100, swap: 300, reservation: 50 } },
      [
        'memory.memsw.limit_in_bytes = 300 ?',
        'memory.limit_in_bytes = 100',
        'memory.memsw.limit_in_bytes = 300',
        'memory.soft_limit_in_bytes = 50',
      ],
      ['memory.max = 100', 'memory.swap.max = 200', 'memory.low = 50'],
    ],
    [
      { memory: { limit: -1, swap: -1 } },
      [
        'memory.memsw.limit_in_bytes = -1 ?',
        'memory.limit_in_bytes = -1',
        'memory.memsw.limit_in_bytes = -1',
      ],
      ['memory.max = max', 'memory.swap.max = max'],
    ],
    [
      { cpu: { shares: 1024, quota: 50_000, period: 100_000 } },
      [
        'cpu.shares = 1024',
        'cpu.cfs_period_us = 100000 ?',
        'cpu.cfs_quota_us = 50000',
        'cpu.cfs_period_us = 100000',
      ],
      ['cpu.weight = 100', 'cpu.max = 50000 100000'],
    ],
    [{ cpu: { quota: -1 } }, ['cpu.cfs_quota_us = -1'], ['cpu.max = max']],
    [{ cpu: { period: 5000 } }, ['cpu.cfs_period_us = 5000'], ['cpu.max = max 5000']],
    [{ cpu: { cpus: '1' } }, ['cpuset.cpus = 1', 'cpuset.mems = 0'], ['cpuset.cpus = 1']],
    [{ pids: { limit: 7 } }, ['pids.max = 7'], ['pids.max = 7']],
    [{ pids: { limit: -1 } }, ['pids.max = max'], ['pids.max = max']],
    [
      { blockIO: { weight: 500, weightDevice: [{ major: 8, minor: 0, weight: 10 }] } },
      ['blkio.bfq.weight = 500', 'blkio.bfq.weight_device = 8:0 10'],
      ['io.weight = 4950', 'io.weight = 8:0 1'],
    ],
    [
      {
        blockIO: {
          throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 9 }],
          throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 5 }],
        },
      },
      ['blkio.throttle.read_bps_device = 8:0 9', 'blkio.throttle.write_iops_device = 8:16 5'],
      ['io.max = 8:0 rbps=9', 'io.max = 8:16 wiops=5'],
    ],
    [{ memory: { limit: 0, swap: 0 }, cpu: { shares: 0, quota: 0, period: 0 } }, [], []],
  ]
  for (const [resources, v1, v2] of cases) {
    assert.deepEqual(writes(HYBRID, resources), v1)
    assert.deepEqual(writes(V2, resources), v2)
  }
  assert.deepEqual(writes(HYBRID, { memory: { swappiness: 0, disableOOMKiller: true } }), [
    'memory.swappiness = 0',
    'memory.oom_control = 1',
  ])
  assert.deepEqual(writes({ ...V2, files: new Set(['io.bfq.weight']) }, { blockIO: { weight: 300 } }), [
    'io.bfq.weight = 300',
  ])
  assert.deepEqual(writes({ ...V2, files: new Set(['io.weight']) }, { blockIO: { weight: 1000 } }), [
    'io.weight = 10000',
  ])
  assert.deepEqual(writes(V2, { unified: { 'memory.high': '10M', 'hugetlb.2MB.max': '0' } }), [
    'memory.high = 10M',
    'hugetlb.2MB.max = 0',
  ])
})

test('cgroupPlan makes a cpuset group only when one is asked for, and fills those above it first', () => {
  const trees = (resources: OciResources) =>
    show(cgroupPlan(HYBRID, PATH, resources, 0).host).filter((line) => line.includes('/cpuset/'))
  assert.deepEqual(trees(open), [])
  assert.deepEqual(trees({ ...open, cpu: { mems: '0' } }), [
    'mkdir /cg/cpuset/dewar',
    'write /cg/cpuset/dewar/cpuset.cpus = 0-3',
    'write /cg/cpuset/dewar/cpuset.mems = 0',
    'mkdir /cg/cpuset/dewar/i',
    'write /cg/cpuset/dewar/i/cpuset.cpus = 0-3',
    'write /cg/cpuset/dewar/i/cpuset.mems = 0',
    'mkdir /cg/cpuset/dewar/i/c',
    'write /cg/cpuset/dewar/i/c/cpuset.cpus = 0-3',
    'write /cg/cpuset/dewar/i/c/cpuset.mems = 0',
    'open /cg/cpuset/dewar/i/c/tasks → 6',
  ])
  assert.match(show(cgroupPlan(V2, PATH, { ...open, cpu: { cpus: '0' } }, 0).host)[0] ?? '', /\+cpuset$/)
})

test("cgroupPlan keeps devices by v1's list, by a v2 program, and by a v2 program beside v1 without the controller", () => {
  const resources = { devices: DEFAULT_DEVICE_RULES }
  const v1 = show(cgroupPlan(HYBRID, PATH, resources, 0, { parents: false }).host).filter((line) =>
    line.includes('devices.'),
  )
  assert.equal(v1[0], 'write /cg/devices/dewar/i/c/devices.deny = a')
  assert.ok(v1.includes('write /cg/devices/dewar/i/c/devices.allow = c 136:* rwm'))
  assert.equal(show(cgroupPlan(V2, PATH, resources, 3).host).at(-1), 'device-program 3')
  const without = {
    ...HYBRID,
    controllers: new Map([...HYBRID.controllers].filter(([name]) => name !== 'devices')),
  }
  const plan = cgroupPlan(without, PATH, resources, 0)
  assert.equal(plan.cloneInto, 5)
  assert.deepEqual(show(plan.host).slice(-2), ['open /cg/unified/dewar/i/c → 5', 'device-program 5'])
  assert.throws(
    () => cgroupPlan({ ...without, unified: undefined }, PATH, resources, 0),
    /Closing devices: neither/,
  )
  assert.equal(cgroupPlan(without, PATH, open, 0).cloneInto, undefined)
})

test('cgroupPlan refuses limits it cannot keep and paths that lead elsewhere', () => {
  const noPids = { ...V2, unifiedControllers: new Set(['memory', 'cpu']) }
  assert.throws(
    () => cgroupPlan(noPids, PATH, { ...open, pids: { limit: 5 } }, 0),
    /Setting pids\.max: the pids controller is not/,
  )
  assert.throws(() => cgroupPlan(V2, PATH, { ...open, cpu: { realtimeRuntime: 5 } }, 0), /real-time/)
  assert.throws(() => cgroupPlan(V2, PATH, { ...open, memory: { limit: 10, swap: 5 } }, 0), /--memory-swap/)
  assert.throws(
    () => cgroupPlan(HYBRID, PATH, { ...open, unified: { 'memory.high': '1' } }, 0),
    /no cgroup v2/,
  )
  for (const file of ['../cgroup.procs', 'cgroup.procs', 'memory/../x.y', 'high', 'memory.']) {
    assert.throws(
      () => cgroupPlan(V2, PATH, { ...open, unified: { [file]: '1' } }, 0),
      /not a control file/,
      file,
    )
  }
  for (const path of ['dewar', '/', '/a/../b', '/a//b', '/a/./b', '', '/a\n', '/a/']) {
    assert.throws(() => cgroupPlan(V2, path, open, 0), /not an absolute plain path/, path)
  }
})

test('joinPlan opens the groups that cgroupPlan made, no more', () => {
  assert.deepEqual(joinPlan(HYBRID, PATH, open, 2).guest, cgroupPlan(HYBRID, PATH, open, 2).guest)
  const join = joinPlan(V2, PATH, open, 2)
  assert.deepEqual(
    [show(join.host), join.after, join.cloneInto],
    [['open /sys/fs/cgroup/dewar/i/c → 2'], [], 2],
  )
})

test('parentSteps and removeParents make and take away what is above', () => {
  assert.equal(show(parentSteps(HYBRID, PATH, open)).length, 12)
  assert.deepEqual(show(removeParents(V2, PATH)), [
    'rmdir /sys/fs/cgroup/dewar/i',
    'rmdir /sys/fs/cgroup/dewar',
  ])
  assert.deepEqual(show(removeParents(V2, PATH, 1)), ['rmdir /sys/fs/cgroup/dewar/i'])
})

test('a delegated base comes before every path of the v2 tree', () => {
  const layout = { ...V2, base: '/user.slice/own' }
  const steps = [
    ...cgroupPlan(layout, PATH, open, 0).host,
    ...cgroupPlan(layout, PATH, open, 0).after,
    ...freezeWrites(layout, PATH, true),
  ]
  for (const line of show(steps)) assert.match(line, / \/sys\/fs\/cgroup\/user\.slice\/own/)
})

test('updateWrites, freezeWrites and oomFile speak to the tree that has the controller', () => {
  assert.deepEqual(
    show(updateWrites(HYBRID, PATH, { devices: [], pids: { limit: 9 }, cpu: { cpus: '0' } })),
    ['write /cg/pids/dewar/i/c/pids.max = 9', 'write /cg/cpuset/dewar/i/c/cpuset.cpus = 0'],
  )
  assert.deepEqual(show(updateWrites(V2, PATH, { devices: [], cpu: { shares: 2 } })), [
    'write /sys/fs/cgroup/dewar/i/c/cpu.weight = 1',
  ])
  assert.deepEqual(show(freezeWrites(HYBRID, PATH, true)), [
    'write /cg/freezer/dewar/i/c/freezer.state = FROZEN',
  ])
  assert.deepEqual(show(freezeWrites(V2, PATH, false)), ['write /sys/fs/cgroup/dewar/i/c/cgroup.freeze = 0'])
  assert.equal(oomFile(HYBRID, PATH), '/cg/memory/dewar/i/c/memory.oom_control')
  assert.equal(oomFile(V2, PATH), '/sys/fs/cgroup/dewar/i/c/memory.events')
  assert.equal(oomFile({ ...V2, unifiedControllers: new Set() }, PATH), undefined)
})

test('checkResources refuses real-time where the kernel has none of it, on v1 without the file and on v2', () => {
  const wanted = { devices: [], cpu: { realtimeRuntime: 10_000 } }
  const without = { ...HYBRID, files: new Set(['cpu.shares']) }
  for (const layout of [without, V2])
    assert.throws(() => checkResources(layout, wanted), /kernel does not support CPU real-time scheduler/)
  const there = { ...HYBRID, files: new Set(['cpu.rt_runtime_us']) }
  assert.deepEqual(checkResources(there, wanted).resources.cpu, wanted.cpu)
})

test("checkResources refuses limits without controller and warns in dockerd's words where dockerd goes on", () => {
  const old = { ...V2, files: new Set(['memory.low']) }
  const { resources, warnings } = checkResources(old, {
    devices: [],
    memory: { limit: 10, swap: 20, swappiness: 5, reservation: 5, disableOOMKiller: true },
    blockIO: { weight: 10 },
  })
  assert.deepEqual(warnings, [
    'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.',
    'Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.',
    'Your kernel does not support OomKillDisable. OomKillDisable discarded.',
    'Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.',
  ])
  assert.deepEqual([resources.memory, resources.blockIO], [{ limit: 10, reservation: 5 }, {}])
  const kept = { devices: [], memory: { limit: 10, swap: 20, swappiness: 0 }, blockIO: { weight: 10 } }
  assert.deepEqual(checkResources(HYBRID, kept), { resources: kept, warnings: [] })
  const none = { ...V2, unifiedControllers: new Set<string>() }
  assert.throws(
    () => checkResources(none, { devices: [], memory: { limit: 1 } }),
    /memory controller is not mounted.*echo \+memory/,
  )
  assert.throws(() => checkResources(none, { devices: [], pids: { limit: 1 } }), /pids controller/)
  assert.throws(
    () =>
      checkResources(none, {
        devices: [],
        blockIO: { throttleReadBpsDevice: [{ major: 1, minor: 1, rate: 1 }] },
      }),
    /\+io/,
  )
  assert.deepEqual(
    checkResources(none, {
      devices: [],
      memory: { limit: 0 },
      pids: { limit: -1 },
      blockIO: { weightDevice: [] },
    }).warnings,
    [],
  )
})

test("cpuWeight maps Docker's shares so that defaults and ends meet, always rising", () => {
  assert.deepEqual(
    [2, 1024, 262_144].map((shares) => cpuWeight(shares)),
    [1, 100, 10_000],
  )
  for (let shares = 2; shares < 262_144; shares += 997)
    assert.ok(cpuWeight(shares + 997) >= cpuWeight(shares))
})

test('cpuQuota turns --cpus=1.5 into 150 ms of each 100', () => {
  assert.deepEqual(cpuQuota(1.5e9), { quota: 150_000, period: 100_000 })
})
