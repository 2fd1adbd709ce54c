/** Limits hold on this machine's own control groups; each is shown first to be open without it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  cgroupPlan,
  checkResources,
  controllerOf,
  freezeWrites,
  groupFolder,
  isFrozen,
  oomFile,
  pidsIn,
  readCgroups,
  readStats,
  removeTree,
  updateWrites,
} from '../../src/kernel/cgroup.ts'
import { deviceProgram } from '../../src/kernel/device-program.ts'
import { ALL_DEVICES, DEFAULT_DEVICE_RULES } from '../../src/kernel/device-rules.ts'
import type { OciResources } from '../../src/kernel/oci.ts'
import { compileC } from './compile-c.ts'
import { carryOut, eat, joinFiles, madeGroups, waiting } from './groups.ts'

const root = process.getuid?.() === 0 ? false : 'needs root'
const layout = await readCgroups()
const folder = mkdtempSync(join(tmpdir(), 'dewar-cgroup-'))
const program = root ? '' : compileC('eat', folder)
after(() => rmSync(folder, { recursive: true }))

let count = 0
const nextPath = () => `/dewar-test-${process.pid}/i/${count++}`
const open: OciResources = { devices: ALL_DEVICES }
const MB = 1 << 20
const needs = (...controllers: string[]) =>
  root ||
  (controllers
    .find((c) => controllerOf(layout, c) === undefined)
    ?.replace(/$/, ' controller is not on this machine') ??
    false)
const plan = (path: string, resources: Partial<OciResources>) =>
  cgroupPlan(layout, path, { ...open, ...resources }, 0)
const until = async (condition: () => boolean | Promise<boolean>) => {
  for (let tries = 0; !(await condition()); tries++) {
    assert.ok(tries < 500, 'the condition never came true')
    await delay(10)
  }
}

test('a memory limit kills who takes more, and the kill is counted', { skip: needs('memory') }, async () => {
  const path = nextPath()
  const { resources } = checkResources(layout, { ...open, memory: { limit: 32 * MB, swap: 32 * MB } })
  const free = plan(`${path}-free`, {})
  await using _free = madeGroups(layout, path, free)
  assert.equal(eat(program, free, 'memory', String(64 * MB)).stdout, `${64 * MB}\n`)
  const limited = plan(path, resources)
  await using _made = madeGroups(layout, path, limited)
  assert.equal(eat(program, limited, 'memory', String(16 * MB)).status, 0)
  assert.match(readFileSync(oomFile(layout, path) ?? '', 'utf8'), /^oom_kill 0$/m)
  assert.equal(eat(program, limited, 'memory', String(64 * MB)).signal, 'SIGKILL')
  assert.match(readFileSync(oomFile(layout, path) ?? '', 'utf8'), /^oom_kill [1-9]/m)
  const { memory } = await readStats(layout, path)
  assert.equal(memory.limit, 32 * MB)
})

test('updateWrites raises and lowers memory and swap in one go', { skip: needs('memory') }, async () => {
  const path = nextPath()
  const { resources } = checkResources(layout, { ...open, memory: { limit: 32 * MB, swap: 48 * MB } })
  await using _made = madeGroups(layout, path, plan(path, resources))
  for (const limit of [128, 16, 64]) {
    const change = { devices: [], memory: { limit: limit * MB, swap: 2 * limit * MB } }
    carryOut(updateWrites(layout, path, checkResources(layout, change).resources))
    assert.equal((await readStats(layout, path)).memory.limit, limit * MB)
  }
  carryOut(
    updateWrites(
      layout,
      path,
      checkResources(layout, { devices: [], memory: { limit: -1, swap: -1 } }).resources,
    ),
  )
  assert.ok((await readStats(layout, path)).memory.limit > 128 * MB)
})

test('a limit of processes stops forks', { skip: needs('pids') }, async () => {
  const path = nextPath()
  const limited = plan(path, { pids: { limit: 5 } })
  await using _made = madeGroups(layout, path, limited)
  assert.equal(eat(program, limited, 'forks', '20').stdout, `4 ${constants.errno.EAGAIN}\n`)
  assert.deepEqual((await readStats(layout, path)).pids, { current: 0, limit: 5 })
  carryOut(updateWrites(layout, path, { devices: [], pids: { limit: -1 } }))
  assert.equal(eat(program, limited, 'forks', '20').stdout, '20 0\n')
})

test('a CPU quota holds and its throttling is counted', { skip: needs('cpu') }, async () => {
  const path = nextPath()
  const limited = plan(path, { cpu: { quota: 10_000, period: 100_000, shares: 512 } })
  await using _made = madeGroups(layout, path, limited)
  const used = Number(eat(program, limited, 'burn', '2000').stdout)
  assert.ok(used > 0 && used < 500, `${used} ms of CPU in two seconds at a tenth of a CPU`)
  const { cpu } = await readStats(layout, path)
  assert.ok(cpu.throttling.periods >= 4 && cpu.throttling.throttled >= 3 && cpu.throttling.time > 0)
  assert.ok(cpu.total > 5e6 && cpu.total < 600e6 && cpu.system > cpu.total && cpu.online > 0)
})

test('a cpuset binds to its CPUs', { skip: needs('cpuset') }, async () => {
  const path = nextPath()
  const bound = plan(path, { cpu: { cpus: '0' } })
  await using _made = madeGroups(layout, path, bound)
  const shell = spawnSync(
    '/bin/sh',
    [
      '-c',
      'for f in "$@"; do echo 0 >$f; done; grep Cpus_allowed_list /proc/self/status',
      'sh',
      ...joinFiles(bound),
    ],
    { encoding: 'utf8' },
  )
  assert.match(shell.stdout, /Cpus_allowed_list:\t0\n/)
})

test('pause freezes all and unpause lets go on', { skip: needs('cpu') }, async () => {
  const path = nextPath()
  const made = plan(path, {})
  await using _made = madeGroups(layout, path, made)
  await using child = await waiting(program, made)
  assert.deepEqual(await pidsIn(layout, path), [child.pid])
  assert.equal(await isFrozen(layout, path), false)
  carryOut(freezeWrites(layout, path, true))
  await until(() => isFrozen(layout, path))
  carryOut(freezeWrites(layout, path, false))
  await until(async () => !(await isFrozen(layout, path)))
})

test('pidsIn and removeTree reach groups that were made inside', { skip: root }, async () => {
  const path = nextPath()
  const made = plan(path, {})
  await using _made = madeGroups(layout, path, made)
  const inner = `${groupFolder(layout, 'pids', path)}/inner`
  {
    await using child = await waiting(program, made)
    mkdirSync(inner)
    writeFileSync(`${inner}/cgroup.procs`, String(child.pid), { flag: 'r+' })
    assert.deepEqual(await pidsIn(layout, path), [child.pid])
  }
  await until(async () => (await pidsIn(layout, path)).length === 0)
  await removeTree(layout, path)
  assert.equal(existsSync(groupFolder(layout, 'pids', path)), false)
  assert.deepEqual(await pidsIn(layout, path), [])
  await assert.rejects(readStats(layout, path), /is gone/)
})

test('stats count what is written to disks in bytes and in requests', { skip: needs('blkio') }, async (t) => {
  const path = nextPath()
  const made = plan(path, {})
  await using _made = madeGroups(layout, path, made)
  const join_ = joinFiles(made).map((file) => `echo $$ > ${file}`)
  const write = `exec dd if=/dev/zero of=${join(folder, 'written')} bs=64k count=16 oflag=direct`
  const { status, stderr } = spawnSync('sh', ['-ec', [...join_, write].join('\n')], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  const { blkio, blkioRequests } = await readStats(layout, path)
  if (blkio.length === 0) return t.skip('this kernel counts nothing of the disk the tests write to')
  const written = blkio.find(({ op }) => op === 'write')
  assert.ok((written?.value ?? 0) >= MB, JSON.stringify(blkio))
  // dockerd gives the number of requests from v1 alone.
  if (controllerOf(layout, 'blkio') === 'v2') return assert.deepEqual(blkioRequests, [])
  const requests = blkioRequests.find(
    ({ op, major, minor }) => op === 'write' && major === written?.major && minor === written.minor,
  )
  assert.ok((requests?.value ?? 0) >= 16 && (requests?.value ?? 0) < 2048, JSON.stringify(blkioRequests))
})

test('block IO limits are taken by the kernel', { skip: needs('blkio') }, async (t) => {
  const disk = /^ *(\d+) +(\d+) +\d+ (?:[sv]d[a-z]|nvme\d+n\d+|loop0)$/m.exec(
    readFileSync('/proc/partitions', 'utf8'),
  )
  if (disk === null) return t.skip('no disk to limit')
  const device = { major: Number(disk[1]), minor: Number(disk[2]) }
  const path = nextPath()
  const limited = plan(path, {
    blockIO: {
      weight: 300,
      throttleReadBpsDevice: [{ ...device, rate: 1e6 }],
      throttleWriteIOPSDevice: [{ ...device, rate: 100 }],
    },
  })
  await using _made = madeGroups(layout, path, limited)
  const file = controllerOf(layout, 'blkio') === 'v1' ? 'blkio.throttle.read_bps_device' : 'io.max'
  assert.match(
    readFileSync(`${groupFolder(layout, 'blkio', path)}/${file}`, 'utf8'),
    new RegExp(`^${device.major}:${device.minor} .*1000000`),
  )
})

const CLOSED_DEVICE = '/dev/kmsg' // c 1:11, on every machine, opened for reading only
test(
  "v1's device list closes what the default rules do not open",
  { skip: root || (!layout.controllers.has('devices') && 'no v1 devices controller') },
  async () => {
    const path = nextPath()
    const limited = plan(path, { devices: DEFAULT_DEVICE_RULES })
    const free = plan(`${path}-free`, {})
    await using _free = madeGroups(layout, path, free)
    await using _made = madeGroups(layout, path, limited)
    assert.equal(eat(program, free, 'open', CLOSED_DEVICE, '/dev/null').stdout, '0\n0\n')
    assert.equal(
      eat(program, limited, 'open', CLOSED_DEVICE, '/dev/null').stdout,
      `${constants.errno.EPERM}\n0\n`,
    )
  },
)

test(
  'the v2 device program passes the verifier and closes what the rules do not open',
  { skip: root || (layout.unified === undefined && 'no cgroup2 tree') },
  async () => {
    const attach = compileC('attach-device-program', folder)
    const only2 = { ...layout, controllers: new Map<string, string>(), unifiedControllers: new Set<string>() }
    const path = nextPath()
    const limited = cgroupPlan(only2, path, { devices: DEFAULT_DEVICE_RULES }, 0)
    await using _made = madeGroups(only2, path, limited)
    assert.equal(eat(program, limited, 'open', CLOSED_DEVICE, '/dev/null').stdout, '0\n0\n')
    const file = join(folder, 'program')
    const group = groupFolder(only2, 'devices', path)
    for (const rules of [
      DEFAULT_DEVICE_RULES,
      [...DEFAULT_DEVICE_RULES, { allow: false, type: 'c', major: 1, access: 'w' } as const],
    ]) {
      writeFileSync(file, deviceProgram(rules) ?? new Uint8Array())
      assert.equal(spawnSync(attach, [file, group], { encoding: 'utf8', stdio: 'pipe' }).stderr, '')
    }
    assert.equal(
      eat(program, limited, 'open', CLOSED_DEVICE, '/dev/null').stdout,
      `${constants.errno.EPERM}\n0\n`,
    )
    writeFileSync(
      file,
      Buffer.concat([(deviceProgram(DEFAULT_DEVICE_RULES) ?? new Uint8Array()).subarray(0, -8)]),
    )
    assert.match(
      spawnSync(attach, [file, group], { encoding: 'utf8', stdio: 'pipe' }).stderr,
      /loading/,
      'the attach program reports refusals',
    )
  },
)

test(
  'a group costs little: making and removing one takes few milliseconds of CPU even from Node (0.5 measured)',
  { skip: root },
  async (t) => {
    const path = nextPath()
    await using _made = madeGroups(layout, path, plan(path, {}))
    const times: number[] = []
    for (let i = 0; i < 50; i++) {
      const one = cgroupPlan(
        layout,
        `${path}-${i}`,
        { devices: DEFAULT_DEVICE_RULES, memory: { limit: 64 * MB } },
        0,
        { parents: false },
      )
      // Of the processor, not of the clock: others use the machine too.
      const start = process.cpuUsage()
      carryOut(one.host.filter((step) => step.op !== 'device-program'))
      carryOut(one.after)
      const { user, system } = process.cpuUsage(start)
      times.push((user + system) / 1000)
    }
    const median = times.toSorted((a, b) => a - b)[25] ?? 0
    t.diagnostic(`median ${median.toFixed(2)} ms from Node`)
    assert.ok(median < 10, `${median} ms`)
  },
)
