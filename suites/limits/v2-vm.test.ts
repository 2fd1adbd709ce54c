/**
 * cgroup v2 with controllers, which this machine's own kernel has given to v1: the plan's steps are carried
 * out in an emulated machine booted with cgroup_no_v1=all, limits are broken there, and its files are read
 * back here.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  cgroupPlan,
  detectCgroups,
  freezeWrites,
  oomFile,
  parentSteps,
  readStats,
  updateWrites,
} from '../../src/kernel/cgroup.ts'
import type { CgroupLayout } from '../../src/kernel/cgroup.ts'
import { ALL_DEVICES, DEFAULT_DEVICE_RULES } from '../../src/kernel/device-rules.ts'
import type { OciResources } from '../../src/kernel/oci.ts'
import type { Step } from '../../src/kernel/plan.ts'
import { compileC } from './compile-c.ts'
import { machineKernel, section } from '../harness/emulated-machine.ts'
import { runMachine } from './virtual-machine.ts'

const folder = mkdtempSync(join(tmpdir(), 'dewar-v2-'))
after(() => rmSync(folder, { recursive: true }))

const MB = 1 << 20
const MOUNTINFO = '30 1 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw'
const layout: CgroupLayout = detectCgroups({
  mountinfo: MOUNTINFO,
  unifiedControllers: 'cpuset cpu io memory pids',
})
const PATH = '/dewar/i/c'
const GROUP = `/sys/fs/cgroup${PATH}`
/** The machine's blank NVMe disk, and a group that reads it at 1 MB/s. */
const DISK = { major: 259, minor: 0 }
const SLOW = '/dewar/i/slow'
const SLOW_RESOURCES: OciResources = {
  devices: ALL_DEVICES,
  blockIO: {
    weight: 500,
    throttleReadBpsDevice: [{ ...DISK, rate: 1e6 }],
    throttleWriteIOPSDevice: [{ ...DISK, rate: 100 }],
  },
}
const RESOURCES: OciResources = {
  devices: DEFAULT_DEVICE_RULES,
  memory: { limit: 32 * MB, swap: 48 * MB, reservation: 16 * MB },
  cpu: { shares: 512, quota: 10_000, period: 100_000, cpus: '0', mems: '0' },
  pids: { limit: 5 },
  unified: { 'memory.high': 'max' },
}

/** The steps as a shell script: what fails is reported by name. */
function script(steps: readonly Step[]): string {
  return steps
    .map((step) => {
      if (step.op === 'mkdir') return `mkdir -p ${step.path} || echo FAILED mkdir ${step.path}`
      if (step.op === 'rmdir') return `rmdir ${step.path} || echo FAILED rmdir ${step.path}`
      if (step.op === 'write')
        return `printf %s '${String(step.data)}' >${step.path} || echo FAILED ${step.path} ${String(step.data)}`
      if (step.op === 'device-program') return `/attach /program ${GROUP} || echo FAILED device program`
      return `: ${step.op}`
    })
    .join('\n')
}

const inGroup = (...args: string[]) => `/eat ${GROUP}/cgroup.procs -- ${args.join(' ')}; echo "status $?"`
const show = (files: readonly string[]) =>
  files.map((file) => `echo "== ${file}"; cat ${GROUP}/${file}`).join('\n')
const STAT_FILES = [
  'pids.current',
  'pids.max',
  'cpu.stat',
  'memory.current',
  'memory.max',
  'memory.events',
  'memory.stat',
  'io.stat',
  'cgroup.procs',
]

test("the v2 files take the plan's writes and the limits hold, in a machine with cgroup v2 only", async (t) => {
  const kernel = await machineKernel()
  if (typeof kernel === 'string') return t.skip(kernel)
  const plan = cgroupPlan(layout, PATH, RESOURCES, 0)
  const program = plan.host.find((step) => step.op === 'device-program')
  assert.ok(program?.op === 'device-program')
  writeFileSync(join(folder, 'program'), program.program)
  const text = await runMachine(kernel, {
    append: 'cgroup_no_v1=all',
    files: {
      '/eat': compileC('eat', folder),
      '/attach': compileC('attach-device-program', folder),
      '/program': join(folder, 'program'),
    },
    script: [
      'mount -t cgroup2 none /sys/fs/cgroup',
      'echo "== controllers"; cat /sys/fs/cgroup/cgroup.controllers',
      'echo "== mountinfo"; cat /proc/self/mountinfo',
      'echo "== free memory"; /eat -- memory 67108864; echo "status $?"',
      'echo "== free device"; /eat -- open /dev/kmsg',
      'echo "== plan"',
      script(plan.host),
      show([
        'memory.max',
        'memory.swap.max',
        'memory.low',
        'cpu.max',
        'cpu.weight',
        'cpuset.cpus',
        'pids.max',
      ]),
      'echo "== little memory"',
      inGroup('memory', String(8 * MB)),
      'echo "== much memory"',
      inGroup('memory', String(64 * MB)),
      `echo "== oom"; cat ${oomFile(layout, PATH)}`,
      'echo "== forks"',
      inGroup('forks', '20'),
      'echo "== burn"',
      inGroup('burn', '1000'),
      'echo "== devices"',
      inGroup('open', '/dev/kmsg', '/dev/null', '/dev/urandom'),
      'echo "== freeze"',
      `/eat ${GROUP}/cgroup.procs -- wait & sleep 1`,
      script(freezeWrites(layout, PATH, true)),
      `for i in 1 2 3 4 5 6 7 8 9; do grep -q 'frozen 1' ${GROUP}/cgroup.events && break; sleep 1; done; cat ${GROUP}/cgroup.events`,
      script(freezeWrites(layout, PATH, false)),
      'echo "== update"',
      script(
        updateWrites(layout, PATH, {
          devices: [],
          memory: { limit: 64 * MB, swap: -1 },
          cpu: { shares: 2048, quota: -1 },
          pids: { limit: -1 },
        }),
      ),
      show(['memory.max', 'memory.swap.max', 'cpu.weight', 'cpu.max', 'pids.max']).replaceAll(
        '== ',
        '== new ',
      ),
      show(STAT_FILES).replaceAll('== ', '== stat '),
      'echo "== slow"',
      script(cgroupPlan(layout, SLOW, SLOW_RESOURCES, 0).host),
      `cat /sys/fs/cgroup${SLOW}/io.max /sys/fs/cgroup${SLOW}/io.weight`,
      `(echo 0 >/sys/fs/cgroup${SLOW}/cgroup.procs; read a b </proc/uptime; dd if=/dev/nvme0n1 of=/dev/null bs=64k count=48 2>&1; read c d </proc/uptime; echo from $a to $c)`,
      `echo "== slow io.stat"; cat /sys/fs/cgroup${SLOW}/io.stat`,
      'echo "== end"',
      `echo 1 >${GROUP}/cgroup.kill; sleep 1`,
      script(plan.after),
      script(parentSteps(layout, PATH, RESOURCES)),
      'echo "== done"',
    ].join('\n'),
  })
  t.diagnostic(`controllers: ${section(text, 'controllers').trim()}`)
  assert.doesNotMatch(text, /FAILED/, text)
  const has = (name: string, expected: string | RegExp) =>
    typeof expected === 'string'
      ? assert.equal(section(text, name).trim(), expected, name)
      : assert.match(section(text, name), expected, name)
  has('free memory', `${64 * MB}\nstatus 0`)
  has('free device', '0')
  has('memory.max', String(32 * MB))
  has('memory.swap.max', String(16 * MB))
  has('memory.low', String(16 * MB))
  has('cpu.max', '10000 100000')
  has('cpu.weight', '59')
  has('cpuset.cpus', '0')
  has('little memory', `${8 * MB}\nstatus 0`)
  has('much memory', /status 137/)
  has('oom', /^oom_kill [1-9]/m)
  has('forks', `4 ${constants.errno.EAGAIN}\nstatus 0`)
  const burnt = Number(section(text, 'burn').split('\n')[0])
  assert.ok(burnt > 0 && burnt < 400, `${burnt} ms of CPU in a second at a tenth`)
  has('devices', `${constants.errno.EPERM}\n0\n0\nstatus 0`)
  has('freeze', /frozen 1/)
  has('new memory.max', String(64 * MB))
  has('new memory.swap.max', 'max')
  has('new cpu.weight', '174')
  has('new cpu.max', 'max 100000')
  has('new pids.max', 'max')
  has('slow', /^259:0 rbps=1000000 wbps=max riops=max wiops=100\ndefault 4950$/m)
  const [, from, to] = /from (\S+) to (\S+)/.exec(section(text, 'slow')) ?? []
  assert.ok(Number(to) - Number(from) > 2, `3 MB at 1 MB/s took ${Number(to) - Number(from)} s`)
  await statsOf(text)
})

/** The machine's files, laid out here as a v2 tree, through the code that reads them. */
async function statsOf(text: string): Promise<void> {
  const tree = join(folder, 'tree')
  mkdirSync(`${tree}${PATH}`, { recursive: true })
  for (const file of STAT_FILES) writeFileSync(`${tree}${PATH}/${file}`, section(text, `stat ${file}`))
  const seen = detectCgroups({
    mountinfo: section(text, 'mountinfo'),
    unifiedControllers: section(text, 'controllers'),
  })
  assert.equal(seen.mode, 'v2')
  assert.equal(seen.unified, '/sys/fs/cgroup')
  mkdirSync(`${tree}${SLOW}`)
  for (const file of STAT_FILES) writeFileSync(`${tree}${SLOW}/${file}`, '')
  writeFileSync(`${tree}${SLOW}/io.stat`, section(text, 'slow io.stat'))
  const { blkio } = await readStats({ ...seen, unified: tree }, SLOW)
  const read = blkio.find(
    ({ major, minor, op }) => major === DISK.major && minor === DISK.minor && op === 'read',
  )
  assert.ok((read?.value ?? 0) >= 3 * MB && (read?.value ?? 0) < 4 * MB, 'what dd read and some read-ahead')
  const stats = await readStats({ ...seen, unified: tree }, PATH)
  assert.deepEqual(stats.pids, { current: 1, limit: null })
  assert.ok(
    stats.cpu.total > 50e6 &&
      stats.cpu.user > 0 &&
      stats.cpu.throttling.throttled > 3 &&
      stats.cpu.throttling.time > 0,
  )
  assert.ok(stats.memory.usage > 0 && stats.memory.usage < 64 * MB)
  assert.equal(stats.memory.limit, 64 * MB)
  assert.ok((stats.memory.failcnt ?? 0) > 0)
  assert.ok('inactive_file' in stats.memory.stats && 'anon' in stats.memory.stats)
}
