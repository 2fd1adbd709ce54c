import { test } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { home, skip } from './fixture.ts'

const isThere = (link: string): boolean => spawnSync('ip', ['link', 'show', link]).status === 0
const NAME = 'com.docker.network.bridge.name'

test(
  'a network that cannot be made leaves nothing behind, and the interface it named alone',
  { skip },
  async () => {
    await using house = await home()
    await using rig = await house.open()
    const { networks } = rig.engine
    await assert.rejects(
      networks.create({ name: 'taken', options: { [NAME]: 'lo' } }),
      /cannot use lo as a bridge/,
    )
    const names = (await networks.list(new Map())).map(({ name }) => name)
    assert.deepEqual(names.toSorted(), ['bridge', 'host', 'none'])
    assert.ok(isThere('lo'))
    await rig[Symbol.asyncDispose]()
    await using next = await house.open()
    assert.equal((await next.engine.networks.list(new Map())).length, 3)
  },
)

test(
  'an engine opens also when another interface has the name of a bridge; who starts there is told',
  { skip },
  async () => {
    await using house = await home()
    await using rig = await house.open()
    await rig.importBusybox()
    const bridge = `dwtn${process.pid}`
    const { id } = await rig.engine.networks.create({ name: 'lost', options: { [NAME]: bridge } })
    await rig[Symbol.asyncDispose]()
    execFileSync('ip', ['link', 'add', bridge, 'type', 'veth', 'peer', `${bridge}p`])
    try {
      await using next = await house.open()
      const start = () => next.run(['true'], { networkMode: 'lost' })
      await assert.rejects(start(), new RegExp(`cannot use ${bridge} as a bridge`))
      await next[Symbol.asyncDispose]()
      assert.ok(isThere(`${bridge}p`), 'the interface of another is gone with the engine')
      await using last = await house.open()
      execFileSync('ip', ['link', 'delete', bridge])
      assert.equal((await last.finish({ cmd: ['true'] }, { networkMode: 'lost' })).code, 0)
      await last.engine.networks.remove(id)
      assert.equal(isThere(bridge), false)
    } finally {
      if (isThere(bridge)) execFileSync('ip', ['link', 'delete', bridge])
    }
  },
)

test('a bridge that was there before its network outlives it, and the engine', { skip }, async () => {
  await using house = await home()
  const bridge = `dwto${process.pid}`
  execFileSync('ip', ['link', 'add', bridge, 'type', 'bridge'])
  try {
    await using rig = await house.open()
    const options = { [NAME]: bridge }
    const { id } = await rig.engine.networks.create({ name: 'other', options })
    await rig.engine.networks.remove(id)
    assert.ok(isThere(bridge), 'gone with the network')
    await rig.engine.networks.create({ name: 'other', options })
    await rig[Symbol.asyncDispose]()
    assert.ok(isThere(bridge), 'gone with the engine')
    // An engine that opens with its record, to clean up, would make the bridge anew.
    await using last = await house.open()
    await last.engine.networks.remove('other')
  } finally {
    if (isThere(bridge)) execFileSync('ip', ['link', 'delete', bridge])
  }
})

test(
  'a record with a setting of its interface that is none now lists, ends and goes; its next start tells why not',
  { skip },
  async () => {
    await using house = await home()
    const ids: string[] = []
    const driverOpts = { 'com.docker.network.endpoint.sysctls': 'net.ipv4.nonsense' }
    {
      await using rig = await house.open()
      await rig.importBusybox()
      await rig.engine.networks.create({ name: 'own', options: {} })
      ids.push(await rig.create({ cmd: ['true'] }, { networkMode: 'own' }))
      ids.push(await rig.run(['sleep', '60'], { networkMode: 'own' }))
    }
    const spoilt = (key: string, value: unknown): unknown => {
      if (key === 'endpoints') return { own: { driverOpts } }
      return key === 'own' && typeof value === 'object' ? { ...value, driverOpts } : value
    }
    for (const id of ids) {
      const folder = join(house.options.root ?? '', 'containers', id)
      // What it was made with, and what changes at each start.
      for (const name of readdirSync(folder).filter((one) => one.endsWith('.json'))) {
        const path = join(folder, name)
        writeFileSync(path, JSON.stringify(JSON.parse(readFileSync(path, 'utf8'), spoilt)))
      }
    }
    const [created = '', running = ''] = ids
    await using rig = await house.open()
    assert.equal((await rig.engine.containers.inspect(running, { size: false })).state.running, true)
    await assert.rejects(rig.engine.containers.start(created), /unrecognised network interface sysctl/)
    await rig.engine.containers.kill(running, 'SIGKILL')
    await assert.rejects(rig.engine.containers.start(running), /unrecognised network interface sysctl/)
    for (const id of ids) await rig.engine.containers.remove(id, { force: true, volumes: true, link: false })
  },
)

const BRIDGE = { networkMode: 'bridge' } as const
const EMPTY = {}
type Rigged = Awaited<ReturnType<Awaited<ReturnType<typeof home>>['open']>>

/** The networks it is shown on. */
async function isOn({ engine }: Rigged, id: string): Promise<string[]> {
  return Object.keys((await engine.containers.inspect(id, { size: false })).networks)
}

async function links(rig: Rigged, id: string): Promise<string> {
  return (await rig.exec(id, ['ls', '/sys/class/net'])).output.trim().split('\n').join(' ')
}

test(
  'networks.disconnect takes a stopped container off a network that is gone; then it starts',
  { skip },
  async () => {
    await using house = await home()
    await using rig = await house.open()
    await rig.importBusybox()
    const { networks, containers } = rig.engine
    const cmd = ['sleep', '60']
    const extra = await rig.run(cmd, BRIDGE)
    const { id: gone } = await networks.create({ name: 'gone' })
    const only = await rig.create({ cmd }, { networkMode: 'gone' })
    const byId = await rig.create({ cmd }, { networkMode: gone })
    await networks.connect('gone', extra, EMPTY)
    await containers.stop(extra, { timeout: 0 })
    await networks.remove('gone')
    for (const [id, rest] of [
      [extra, ['bridge']],
      [only, []],
      [byId, []],
    ] as const) {
      await assert.rejects(containers.start(id), /network \S+ not found/)
      await assert.rejects(
        networks.disconnect('other', id, true),
        new RegExp(`^DewarError: container ${id} is not connected to the network other$`),
      )
      await networks.disconnect('gone', id, true)
      await assert.rejects(networks.disconnect('gone', id, true), /is not connected to the network gone/)
      await containers.start(id)
      assert.deepEqual(await isOn(rig, id), rest)
      assert.equal(await links(rig, id), rest.length === 0 ? 'lo' : 'eth0 lo')
    }
    await assert.rejects(networks.disconnect('gone', extra, false), /network gone not found/)
    await assert.rejects(networks.disconnect('gone', extra, true), /is not connected to the network gone/)
    await assert.rejects(networks.disconnect('gone', 'nobody', true), /network gone not found/)
    await assert.rejects(networks.disconnect('bridge', 'nobody', true), /endpoint nobody not found/)
    await assert.rejects(networks.disconnect('gone', 'nobody', false), /No such container: nobody/)
  },
)

test(
  'networks.disconnect from all networks holds over the next start, as with dockerd',
  { skip },
  async () => {
    await using house = await home()
    await using rig = await house.open()
    await rig.importBusybox()
    const { networks, containers } = rig.engine
    const id = await rig.run(['sleep', '60'], BRIDGE)
    await networks.disconnect('bridge', id, false)
    await containers.restart(id, { timeout: 0 })
    assert.deepEqual([await isOn(rig, id), await links(rig, id)], [[], 'lo'])
    await networks.connect('bridge', id, EMPTY)
    await containers.restart(id, { timeout: 0 })
    assert.deepEqual([await isOn(rig, id), await links(rig, id)], [['bridge'], 'eth0 lo'])
  },
)

for (const state of ['running', 'created'] as const)
  test(
    `networks.connect lets a ${state} container of none onto a network once it is off none`,
    { skip },
    async () => {
      await using house = await home()
      await using rig = await house.open()
      await rig.importBusybox()
      const { networks, containers } = rig.engine
      await networks.create({ name: 'own' })
      const id = await rig.create({ cmd: ['sleep', '60'] })
      if (state === 'running') await containers.start(id)
      const private_ =
        /cannot be connected to multiple networks with one of the networks in private \(none\) mode/
      await assert.rejects(networks.connect('own', id, EMPTY), private_)
      await networks.disconnect('none', id, false)
      assert.deepEqual(await isOn(rig, id), [])
      await assert.rejects(networks.disconnect('none', id, false), /is not connected to (the )?network none$/)
      await networks.connect('own', id, EMPTY)
      await assert.rejects(networks.connect('none', id, EMPTY), private_)
      if (state === 'created') await containers.start(id)
      assert.deepEqual([await isOn(rig, id), await links(rig, id)], [['own'], 'eth0 lo'])
      await containers.restart(id, { timeout: 0 })
      assert.deepEqual([await isOn(rig, id), await links(rig, id)], [['own'], 'eth0 lo'])
      await networks.disconnect('own', id, false)
      await networks.connect('none', id, EMPTY)
      await assert.rejects(
        networks.connect('none', id, EMPTY),
        /endpoint with name \S+ already exists in network none/,
      )
      await containers.restart(id, { timeout: 0 })
      assert.deepEqual([await isOn(rig, id), await links(rig, id)], [['none'], 'lo'])
    },
  )
