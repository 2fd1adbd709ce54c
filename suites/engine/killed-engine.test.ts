import { test } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { resolveOptions } from '../../src/engine/options.ts'
import { isThawed, readCgroups } from '../../src/kernel/cgroup.ts'
import { until } from '../harness/until.ts'
import { childEngine, create } from './child-engine-client.ts'
import { houseForAll, skip, type Rig } from './fixture.ts'

const house = houseForAll()

const leaveNo = async (rig: Rig): Promise<void> => {
  for (const { id } of await rig.engine.containers.list({
    all: true,
    limit: 0,
    size: false,
    filters: new Map(),
  })) {
    await rig.engine.containers.remove(id, { force: true, volumes: true, link: false })
  }
}

test(
  'containers outlive a killed engine: the next one shows and controls them, and the log has no gap',
  { skip },
  async () => {
    const engine = await childEngine(house())
    const writer = await engine.ask(
      create([
        'sh',
        '-c',
        'i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; sleep 0.01; done; exec sleep 100',
      ]),
    )
    await engine.ask({ start: writer })
    const bridged = await engine.ask(
      create(['sleep', '100'], {
        networkMode: 'bridge',
        portBindings: { '80/tcp': [{ hostIp: '127.0.0.1', hostPort: '' }] },
      }),
    )
    await engine.ask({ start: bridged })
    const silent = await engine.ask(create(['sh', '-c', 'sleep 0.3; exit 8']))
    await engine.ask({ start: silent })
    await engine.kill()
    await new Promise((resolve) => setTimeout(resolve, 600))
    await using rig = await house().open()
    const { containers } = rig.engine
    assert.equal((await containers.inspect(writer)).state.status, 'running')
    // It ended while nobody looked, but on a very slow machine.
    await until('its end', async () => (await containers.inspect(silent)).state.status === 'exited')
    const { state } = await containers.inspect(silent)
    assert.deepEqual([state.status, state.exitCode], ['exited', 8])
    const { networks, ports } = await containers.inspect(bridged)
    assert.match(networks['bridge']?.ipAddress ?? '', /^10\.202\./)
    assert.match(ports['80/tcp']?.[0]?.hostPort ?? '', /^[0-9]+$/)
    await until('all lines', async () => (await rig.logs(writer)).split('\n').length === 301)
    assert.equal(await rig.logs(writer), Array.from({ length: 300 }, (_, n) => `${n + 1}\n`).join(''))
    assert.equal((await rig.exec(writer, ['echo', 'hello'])).output, 'hello\n')
    await containers.stop(writer, { timeout: 0 })
    assert.equal((await containers.inspect(writer)).state.exitCode, 137)
    // The address of the one that runs is not given away.
    const other = await rig.run(['sleep', '100'], { networkMode: 'bridge' })
    assert.notEqual(
      (await containers.inspect(other)).networks['bridge']?.ipAddress,
      networks['bridge']?.ipAddress,
    )
    await leaveNo(rig)
  },
)

test('restart policies and --rm hold over a killed engine', { skip }, async () => {
  const engine = await childEngine(house())
  const always = await engine.ask(
    create(['sh', '-c', 'sleep 0.2; exit 1'], { restartPolicy: { name: 'always', maximumRetryCount: 0 } }),
  )
  const passing = await engine.ask(create(['sleep', '0.2'], { autoRemove: true }))
  await engine.ask({ start: always })
  await engine.ask({ start: passing })
  await engine.kill()
  await new Promise((resolve) => setTimeout(resolve, 500))
  await using rig = await house().open()
  await until(
    'the first runs again',
    async () => (await rig.engine.containers.inspect(always)).restartCount > 0,
  )
  await until('the second is gone', async () =>
    rig.engine.containers.inspect(passing).then(
      () => false,
      () => true,
    ),
  )
  await leaveNo(rig)
})

test(
  'an engine killed at any moment leaves containers that the next one tells the truth about, and nothing else',
  { skip, timeout: 600_000 },
  async () => {
    for (let round = 0; round < 12; round += 1) {
      const engine = await childEngine(house())
      const ids = [
        await engine.ask(create(['sleep', '100'], { networkMode: 'bridge' })),
        await engine.ask(create(['true'])),
      ]
      engine.send(create(['sleep', '100']))
      for (const id of ids) engine.send({ start: id })
      await new Promise((resolve) => setTimeout(resolve, round * 4))
      if (round % 3 === 2) engine.send({ remove: ids[0] })
      await engine.kill()
      await using rig = await house().open()
      for (const view of await rig.engine.containers.list({
        all: true,
        limit: 0,
        size: false,
        filters: new Map(),
      })) {
        assert.ok(['created', 'running', 'exited'].includes(view.state.status), view.state.status)
        if (view.state.status === 'running') assert.equal((await rig.exec(view.id, ['true'])).code, 0)
      }
      await leaveNo(rig)
      // The kernel takes an interface away some 30 ms after its namespace's last process.
      await until('nothing is left', async () => (await debris()).length === 0)
    }
  },
)

/** What no container owns any more: run folders, container folders, processes in our cgroups, interfaces. */
async function debris(): Promise<string[]> {
  const { root, run } = house().options
  const left = [...readdirSync(join(String(run), 'c')), ...readdirSync(join(String(root), 'containers'))]
  const table = readFileSync('/proc/net/dev', 'utf8')
  const prefix = veths()
  const links = table.split('\n').filter((line) => line.trim().startsWith(prefix))
  return [...left, ...links]
}

/** How this engine's interfaces begin (network-manager.ts). */
function veths(): string {
  return `dw${resolveOptions(house().options).instance.slice(0, 4)}`
}

test(
  'a record that cannot be read is put aside and said, a half-made container is removed',
  { skip },
  async () => {
    const { root = '' } = house().options
    const broken = join(root, 'containers', 'b'.repeat(64))
    const half = join(root, 'containers', 'c'.repeat(64))
    for (const folder of [broken, half]) mkdirSync(folder, { recursive: true })
    writeFileSync(join(broken, 'record.json'), '{"version":1,"id":"../../etc"}')
    await using rig = await house().open()
    const { warnings } = await rig.engine.info()
    assert.ok(
      warnings.some((warning) => warning.includes('b'.repeat(64)) && warning.includes('record.json.damaged')),
      warnings.join(),
    )
    assert.deepEqual(readdirSync(join(root, 'containers')), ['b'.repeat(64)])
  },
)

test(
  'what a killed engine had frozen for a commit goes on, and what a user paused stays so',
  { skip },
  async () => {
    const layout = await readCgroups()
    const { folders, instance } = resolveOptions(house().options)
    for (let round = 0; round < 4; round += 1) {
      const engine = await childEngine(house())
      const script = 'head -c 30000000 /dev/urandom >/r; while :; do echo on; sleep 0.05; done'
      const committed = await engine.ask(create(['sh', '-c', script]))
      const paused = await engine.ask(create(['sleep', '100']))
      for (const id of [committed, paused]) await engine.ask({ start: id })
      assert.equal(await engine.ask({ pause: paused }), 'done')
      const log = join(folders.containers, committed, 'log')
      await until('the file', () => readFileSync(log, 'utf8').includes('on'))
      const thawed = () => isThawed(layout, `/dewar-${instance}/${committed}`)
      engine.send({ commit: committed })
      await until('the commit', async () => !(await thawed()))
      // The first at once, before the record may say so.
      await sleep(round * 20)
      await engine.kill()
      assert.ok(!(await thawed()), 'the commit had ended')
      await using rig = await house().open()
      const status = async (id: string) => (await rig.engine.containers.inspect(id)).state.status
      assert.deepEqual([await status(committed), await status(paused)], ['running', 'paused'])
      const before = readFileSync(log, 'utf8').length
      await until('more of its log', () => readFileSync(log, 'utf8').length > before)
      await rig.engine.containers.unpause(paused)
      await leaveNo(rig)
    }
  },
)

test(
  'a container that an engine left without a default route, taking it off a network, has one again',
  { skip },
  async () => {
    const engine = await childEngine(house())
    const id = await engine.ask(create(['sleep', '100'], { networkMode: 'bridge' }))
    await engine.ask({ start: id })
    await engine.kill()
    const rig = await house().open()
    await rig.engine.networks.create({ name: 'other' })
    await rig.engine.networks.connect('other', id, {})
    await rig.engine.networks.disconnect('bridge', id, false)
    const { pid } = (await rig.engine.containers.inspect(id)).state
    const routes = (...args: readonly string[]): string =>
      execFileSync('nsenter', ['-t', String(pid), '-n', 'ip', 'route', ...args], { encoding: 'utf8' })
    const before = routes()
    assert.match(before, /^default via /)
    // As far as it came.
    routes('del', 'default')
    await rig[Symbol.asyncDispose]()
    await using next = await house().open()
    assert.equal(routes(), before)
    await leaveNo(next)
    await next.engine.networks.remove('other')
  },
)
