/** Starts that are begun before they are asked for (src/engine/ready.ts): used once, by whom they fit, and never left behind. */
import assert from 'node:assert/strict'
import { mkdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { BegunPlan } from '../../src/kernel/begun.ts'
import { until } from '../harness/until.ts'
import { groupsOf, membersOf, readText } from './begun.ts'
import { childEngine, create } from './child-engine-client.ts'
import { home, rigForAll, skip, type Home } from './fixture.ts'

const { house, rig } = rigForAll()
/** For a second engine. */
const BESIDE = { bridge: `dwtr${process.pid}`, subnet: `10.203.${process.pid % 256}.0/24` }

const members = (of: Home = house()) => membersOf(of)
const groups = (of: Home = house()) => groupsOf(of)

/** The process that waits for a start. */
async function waiting(id: string): Promise<number> {
  const [pid] = await until(`${id} to be begun`, () => members().get(id))
  assert.ok(pid)
  return pid
}

const pidOf = async (id: string): Promise<number> => {
  const { state } = await rig().engine.containers.inspect(id)
  return state.status === 'running' ? (state.pid ?? 0) : 0
}

/** The id in whose name the next start is begun, when none else waits. */
const spareBeside = (...known: readonly string[]): Promise<string> =>
  until('a next one to be begun', () => [...members().keys()].find((id) => !known.includes(id)))

async function removeAll(): Promise<void> {
  const { containers } = rig().engine
  for (const { id } of await containers.list({ all: true, limit: 0, size: false, filters: new Map() }))
    await containers.remove(id, { force: true, volumes: true, link: false })
}

test('a container’s start goes on from what was begun when it was created', { skip }, async () => {
  const id = await rig().create({ cmd: ['sleep', '600'] })
  const pid = await waiting(id)
  await rig().engine.containers.start(id)
  assert.equal(await pidOf(id), pid)
  // So that the next test does not take it for its own.
  await spareBeside(id)
  await removeAll()
})

test('the next container of the same kind gets what was begun after the one before', { skip }, async () => {
  const before = [...members().keys()]
  const first = await rig().run(['sleep', '600'], { memory: 64 << 20 })
  const spare = await spareBeside(first, ...before)
  const pid = await waiting(spare)
  const other = await rig().create({ cmd: ['true'] }, { memory: 65 << 20 })
  assert.notEqual(other, spare)
  const next = await rig().run(['sleep', '600'], { memory: 64 << 20 })
  assert.deepEqual([next, await pidOf(next)], [spare, pid])
  const third = await rig().create({ cmd: ['true'] }, { memory: 64 << 20 })
  assert.notEqual(third, next)
  await removeAll()
})

test('a start that was begun is like any other from inside', { skip }, async () => {
  const look =
    'cat /proc/self/mountinfo /proc/self/status /proc/self/cgroup /proc/self/uid_map; ls -l /proc/self/fd /proc/self/ns 2>/dev/null'
  const id = await rig().create({ cmd: ['sh', '-c', look] }, { memory: 64 << 20, networkMode: 'bridge' })
  const told: string[] = []
  // The second start of a container is never begun before.
  for (const begun of [true, false]) {
    if (begun) await waiting(id)
    const over = await rig().engine.containers.wait(id, 'next-exit')
    await rig().engine.containers.start(id)
    await over.result
    told.push((await rig().logs(id)).slice(told[0]?.length ?? 0))
  }
  // Numbers of mounts, namespaces, times and switches are the kernel's, and an overlay's second mount has the first one's id.
  const plain = (text: string) =>
    text
      .replaceAll(/^\d+ \d+ \d+:\d+/gm, '# # #')
      .replaceAll(/\[\d+\]/g, '[#]')
      .replaceAll(/\d+ \w+ \d+:\d+/g, '#')
      .replaceAll(',uuid=on', '')
      .replaceAll(/^(Vm\w+|Rss\w+|\w+_ctxt_switches|RssShmem|HugetlbPages|Sig\w+|VmPTE|x86_\w+):.*\n/gm, '')
  assert.ok((told[0] ?? '').length > 2000)
  assert.equal(plain(told[1] ?? ''), plain(told[0] ?? ''))
  await removeAll()
})

test('the clocks of a container begin with its start, not with what was begun', { skip }, async () => {
  const id = await rig().create({ cmd: ['cat', '/proc/uptime'] })
  await waiting(id)
  await sleep(3000)
  const over = await rig().engine.containers.wait(id, 'next-exit')
  await rig().engine.containers.start(id)
  await over.result
  assert.ok(Number.parseFloat(await rig().logs(id)) < 2, await rig().logs(id))
  await removeAll()
})

test('limits that are changed before the start hold: what was begun is dropped', { skip }, async () => {
  const id = await rig().create({
    cmd: ['sh', '-c', 'cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max; sleep 600'],
  })
  const pid = await waiting(id)
  await rig().engine.containers.update(id, { pidsLimit: 77 })
  await rig().engine.containers.start(id)
  assert.notEqual(await pidOf(id), pid)
  await until('what it sees', async () => (await rig().logs(id)).includes('77'))
  await removeAll()
})

test('a container starts when what was begun for it has been killed', { skip }, async () => {
  // Sometimes before the engine has heard of it, sometimes after.
  for (const victim of Array.from({ length: 6 }, () => ['the child', 'its parent'] as const).flat()) {
    const id = await rig().create({ cmd: ['sleep', '600'] })
    const child = await waiting(id)
    const parent = Number(/^PPid:\s+(\d+)/m.exec(readText(`/proc/${child}/status`))?.[1])
    assert.ok(parent > 1)
    process.kill(victim === 'the child' ? child : parent, 'SIGKILL')
    await until(`the end of ${victim}`, () => members().get(id) === undefined, 9000, 1)
    await rig().engine.containers.start(id)
    assert.ok((await pidOf(id)) > 0)
    await removeAll()
  }
})

test('nothing is left of what was begun for a container that is removed', { skip }, async () => {
  const id = await rig().create({ cmd: ['true'] })
  await waiting(id)
  await rig().engine.containers.remove(id, { force: false, volumes: true, link: false })
  assert.equal(members().get(id), undefined)
  assert.ok(!groups().includes(id))
})

test('what waits holds nothing of the host’s file systems', { skip }, async () => {
  for (const hostConfig of [{}, { privileged: true }, { pidMode: 'host', networkMode: 'host' }]) {
    const id = await rig().create({ cmd: ['true'] }, hostConfig)
    const pid = await waiting(id)
    const types = await until('its mounts to be its own', () => {
      const found = readText(`/proc/${pid}/mountinfo`)
        .split('\n')
        .flatMap((line) => / - (\S+)/.exec(line)?.[1] ?? [])
      // The overlay is its root.
      return found.some(
        (type) =>
          !['overlay', 'tmpfs', 'proc', 'sysfs', 'devpts', 'mqueue', 'cgroup', 'cgroup2'].includes(type),
      )
        ? undefined
        : found
    })
    assert.ok(types.length > 2)
    await rig().engine.containers.remove(id, { force: true, volumes: true, link: false })
  }
})

test('nobody has the ids and groups of what is on its way out', { skip }, async (t) => {
  const [started, removed] = [
    await rig().create({ cmd: ['sleep', '600'] }),
    await rig().create({ cmd: ['true'] }),
  ]
  await Promise.all([started, removed].map(waiting))
  // It goes slowly: what its shim's client is told of the end.
  let isGone = (): void => undefined
  const gone = new Promise<void>((resolve) => (isGone = resolve))
  t.mock.getter(BegunPlan.prototype, 'gone', () => gone)
  const removal = rig().engine.containers.remove(removed, { force: false, volumes: true, link: false })
  await until('both to have run out of patience', () => members().size === 0, 15_000)
  const start = rig().engine.containers.start(started)
  const first = await Promise.race([
    start.then(() => 'start'),
    removal.then(() => 'removal'),
    sleep(300, 'neither'),
  ])
  assert.equal(first, 'neither')
  isGone()
  await Promise.all([start, removal])
  assert.ok((await pidOf(started)) > 0)
  await removeAll()
})

test('a start that fails before it goes on leaves nothing of what was begun', { skip }, async () => {
  const id = await rig().create({ cmd: ['true'] })
  await waiting(id)
  // What its shim does first is to open the log.
  const log = join(house().options.root ?? '', 'containers', id, 'log')
  mkdirSync(log)
  await assert.rejects(rig().engine.containers.start(id), (error: Error) => error.message.includes(log))
  await until('its groups to be gone', () => members().get(id) === undefined && !groups().includes(id), 5000)
  rmdirSync(log)
  await rig().engine.containers.start(id)
  await removeAll()
})

test('a create that is refused gives the ids back', { skip }, async () => {
  // Four ranges in all.
  await using own = await home({ ...BESIDE, idBase: 100_000_000, idSize: 500_000_000 })
  await using few = await own.open()
  await few.importBusybox()
  const ran = await few.run(['true'], {}, 'taken')
  for (let n = 0; n < 6; n += 1) {
    await until('a next one to be begun', () => [...members(own).keys()].some((id) => id !== ran))
    await assert.rejects(few.create({ cmd: ['true'] }, {}, 'taken'), { code: 'conflict' })
    const id = await few.run(['true'])
    await few.engine.containers.remove(id, { force: true, volumes: true, link: false })
  }
  // And the last ones are for who asks.
  const made: string[] = []
  await assert.rejects(async () => {
    while (made.length < 10) made.push(await few.run(['sleep', '600']))
  }, /No uid range is left/)
  await sleep(100)
  assert.equal((await few.engine.containers.inspect(made[0] ?? '')).state.status, 'running')
})

test('settings of the kernel are made when the network is there', { skip }, async () => {
  const sysctls = { 'net.ipv4.conf.eth0.log_martians': '1', 'net.ipv6.conf.all.disable_ipv6': '1' }
  const look =
    'cd /proc/sys/net; cat ipv4/conf/eth0/log_martians ipv4/conf/lo/log_martians ipv6/conf/eth0/disable_ipv6'
  const own = await rig().finish({ cmd: ['sh', '-c', look] }, { networkMode: 'bridge', sysctls })
  assert.equal(own.output, '1\n0\n1\n')
  const others = { 'net.ipv4.conf.default.log_martians': '1' }
  const other = await rig().finish({ cmd: ['sh', '-c', look] }, { networkMode: 'bridge', sysctls: others })
  assert.match(other.output, /^0\n/)
  await removeAll()
})

test('what a client wants hidden is hidden, the boot id too', { skip }, async () => {
  for (const path of [
    '/proc/sys/kernel/random/boot_id',
    '/proc/sys/kernel',
    '/proc//sys/',
    '/proc/sys/kernel/random',
  ]) {
    const over = await rig().finish(
      { cmd: ['sh', '-c', 'cat /proc/sys/kernel/random/boot_id 2>/dev/null | wc -c'] },
      { maskedPaths: [path] },
    )
    assert.equal(over.output, '0\n', path)
  }
  await removeAll()
})

test('what was begun waits ten seconds for its start and no longer', { skip }, async () => {
  const ran = await rig().finish({ cmd: ['true'] })
  const spare = await spareBeside(ran.id)
  const id = await rig().create({ cmd: ['sleep', '600'] }, { memory: 66 << 20 })
  await waiting(id)
  await until('both to be gone', () => members().size === 0, 15_000)
  await until('their groups to be gone', () => groups().length === 0, 5000)
  await rig().engine.containers.start(id)
  assert.ok((await pidOf(id)) > 0)
  assert.notEqual(await rig().create({ cmd: ['true'] }), spare)
  await removeAll()
})

test('an engine that closes, or is killed, leaves nothing that was begun', { skip }, async () => {
  await using own = await home(BESIDE)
  await using first = await own.open()
  await first.importBusybox()
  await first.finish({ cmd: ['true'] })
  await until('a next one to be begun', () => members(own).size > 0)
  await first[Symbol.asyncDispose]()
  assert.deepEqual([members(own).size, groups(own)], [0, []])

  const child = await childEngine(own)
  const id = await child.ask(create(['sleep', '600']))
  const running = await child.ask(create(['sleep', '600'], { memory: 64 << 20 }))
  await child.ask({ start: running })
  await until('all to be begun', () => members(own).size === 3)
  await child.kill()
  await until('nobody but the one that runs', () => [...members(own).keys()].join() === running)
  await until('its groups alone', () => groups(own).join() === running)
  await using next = await own.open()
  await next.engine.containers.start(id)
  assert.equal((await next.engine.containers.inspect(id)).state.status, 'running')
})
