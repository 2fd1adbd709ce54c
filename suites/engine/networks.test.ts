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
