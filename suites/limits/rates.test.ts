/**
 * Rates that containers of a real engine are given: bytes and requests of a disk, and the time of real-time processes.
 * Each is shown first to be open without it. A rate is never beaten, so what it must take at least is asserted, with much
 * to spare, and that it takes longer than without.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import type { HostConfig } from '../../src/index.ts'
import { deviceNumbers } from '../../src/engine/devices.ts'
import { controllerOf, readCgroups } from '../../src/kernel/cgroup.ts'
import { rigForAll, skip } from '../engine/fixture.ts'
import { compileC } from '../harness/compile-c.ts'
import { busyboxTree } from '../harness/image-recipes.ts'
import { tarOf } from '../harness/oci-layout.ts'
import { removeParentGroups } from '../harness/parent-groups.ts'
import { Scope } from '../harness/scope.ts'
import { tempFolder } from '../harness/temp-folder.ts'

const { house, rig } = rigForAll()
const scope = new Scope()
const layout = await readCgroups()

let made: Promise<string> | undefined
/** An image with the probe, made once. */
const image = (): Promise<string> => (made ??= makeImage())

async function makeImage(): Promise<string> {
  const { path } = scope.use(await tempFolder('rates'))
  const content = await readFile(await compileC('limits/real-time.c', join(path, 'real-time')))
  const tar = await tarOf([...busyboxTree(), { name: 'real-time', content }])
  const onProgress = (): void => undefined
  const changes = ['ENV PATH=/bin']
  await rig().engine.images.import(Readable.from([tar]), { reference: 'rates', changes, onProgress })
  return 'rates'
}
after(async () => scope[Symbol.asyncDispose]())

/** The disk on which the writable layers are, or why there is none to limit. */
function disk(): { readonly path: string } | { readonly why: string } {
  const { major, minor } = deviceNumbers(statSync(house().options.root ?? '/').dev)
  const number = `${major}:${minor}`
  const name = /^DEVNAME=(.*)$/m.exec(readUevent(number))?.[1]
  return name === undefined
    ? { why: `the files of the tests are on ${number}, no disk` }
    : { path: `/dev/${name}` }
}

function readUevent(number: string): string {
  try {
    return readFileSync(`/sys/dev/block/${number}/uevent`, 'utf8')
  } catch {
    return ''
  }
}

const WRITE = 'dd if=/dev/zero of=/file oflag=direct conv=notrunc'
const READ = 'dd if=/file of=/dev/null iflag=direct'
/** 3 MB or 60 requests, at 1 MB or 20 requests a second. */
const BYTES = 'bs=64k count=46'
const REQUESTS = 'bs=4k count=60'
const MB = 1_000_000

const RATES: readonly (readonly [
  flag: string,
  field: 'blkioDeviceReadBps' | 'blkioDeviceWriteBps' | 'blkioDeviceReadIOps' | 'blkioDeviceWriteIOps',
  rate: number,
  work: string,
])[] = [
  ['--device-write-bps', 'blkioDeviceWriteBps', MB, `${WRITE} ${BYTES}`],
  ['--device-read-bps', 'blkioDeviceReadBps', MB, `${READ} ${BYTES}`],
  ['--device-write-iops', 'blkioDeviceWriteIOps', 20, `${WRITE} ${REQUESTS}`],
  ['--device-read-iops', 'blkioDeviceReadIOps', 20, `${READ} ${REQUESTS}`],
]

/** Seconds that the work takes inside; what it reads is written first, outside the rate if that is for reading. */
async function seconds(work: string, host: Partial<HostConfig>): Promise<number> {
  const now = "cut -d' ' -f1 /proc/uptime"
  const cmd = ['sh', '-ec', `${WRITE} ${BYTES}; sync; ${now}; ${work}; ${now}`]
  const only = work.startsWith('dd if=/dev/zero') ? ['sh', '-ec', `: >/file; ${now}; ${work}; ${now}`] : cmd
  const { code, output } = await rig().finish({ image: await image(), cmd: only }, host)
  assert.equal(code, 0, output)
  const [from, to] = [...output.matchAll(/^(\d+\.\d+)$/gm)].map(([, text]) => Number(text))
  return Number(to) - Number(from)
}

for (const [flag, field, rate, work] of RATES)
  test(`${flag} holds what a container does to its disk`, { skip }, async (t) => {
    const found = disk()
    if ('why' in found) return t.skip(found.why)
    if (controllerOf(layout, 'blkio') === undefined) return t.skip('no controller of block devices')
    const free = await seconds(work, {})
    const held = await seconds(work, { [field]: [{ path: found.path, rate }] })
    t.diagnostic(`${free.toFixed(2)} s without, ${held.toFixed(2)} s with the rate, which makes it 3 s`)
    assert.ok(held >= 2, `${held} s`)
    assert.ok(free < held, `${free} s without it, ${held} with it`)
  })

test('a rate for what is no disk of this host is refused, not ignored', { skip }, async () => {
  for (const [, field] of RATES)
    for (const path of ['/dev/null', '/dev/not-there', '/etc/passwd'])
      await assert.rejects(rig().run(['true'], { [field]: [{ path, rate: 1 }] }), {
        code: 'invalid-argument',
        message: new RegExp(`limiting the device ${path} failed: it is no block device of this host`),
      })
})

/** A group in which containers may have real-time: the kernel takes it from the group above. */
const PARENT = `/dwt-rates-${process.pid}`
const cpu = layout.controllers.get('cpu')
const groups = skip || cpu === undefined ? [] : [`${cpu}/cpu.rt_runtime_us`, `${cpu}/cpu.rt_period_us`]
const noRealTime = groups.some((file) => !isThere(file)) && 'this kernel has no CONFIG_RT_GROUP_SCHED'

function isThere(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false }) !== undefined
}

/** The kernel asks for CAP_SYS_NICE of the host's, or for `--ulimit rtprio`, which not every machine's root may raise. */
const REAL_TIME: Partial<HostConfig> = { cgroupParent: PARENT, usernsMode: 'host', capAdd: ['SYS_NICE'] }

/** What the probe got of so many milliseconds. */
async function burn(wall: number, host: Partial<HostConfig>): Promise<{ errno: number; used: number }> {
  const { output } = await rig().finish({ image: await image(), cmd: ['/real-time', String(wall)] }, host)
  const [, errno, used] = /^errno (\d+)\nused (\d+)$/m.exec(output) ?? []
  return { errno: Number(errno), used: Number(used) }
}

test(
  '--cpu-rt-runtime is what real-time processes of a container get, and none without',
  { skip: skip || noRealTime },
  async (t) => {
    if (cpu === undefined) return t.skip('the cpu controller is on v2, which has no real-time')
    mkdirSync(`${cpu}${PARENT}`)
    try {
      writeFileSync(`${cpu}${PARENT}/cpu.rt_runtime_us`, '400000')
      const none = await burn(100, REAL_TIME)
      assert.notEqual(none.errno, 0, 'without the option the kernel makes nothing real-time')
      const small = await burn(2500, { ...REAL_TIME, cpuRealtimeRuntime: 50_000 })
      const large = await burn(2500, { ...REAL_TIME, cpuRealtimeRuntime: 350_000 })
      t.diagnostic(`of 2,500 ms ${small.used} at a twentieth of a second, ${large.used} at a third`)
      assert.deepEqual([small.errno, large.errno], [0, 0])
      assert.ok(small.used < 700, `${small.used} ms`)
      assert.ok(large.used > 1.5 * small.used, `${large.used} and ${small.used} ms`)
    } finally {
      await removeParentGroups(PARENT)
    }
  },
)

test('real-time that cannot be had is refused, not ignored', { skip: skip || noRealTime }, async (t) => {
  const start = (host: Partial<HostConfig>): Promise<string> => rig().run(['true'], host)
  if (cpu === undefined) {
    await assert.rejects(
      start({ cpuRealtimeRuntime: 1000 }),
      /kernel does not support CPU real-time scheduler/,
    )
    return t.diagnostic('on v2')
  }
  // The engine's own groups have no real-time to give, as dockerd's have none without --cpu-rt-runtime.
  await assert.rejects(start({ cpuRealtimeRuntime: 10_000 }), /cpu\.rt_runtime_us failed: EINVAL/)
  await assert.rejects(start({ cpuRealtimeRuntime: 10_000, cpuRealtimePeriod: 5000 }), {
    code: 'invalid-argument',
    message: /cpu real-time runtime cannot be higher than cpu real-time period/,
  })
})
