/** What goes while a container is coming or ending: each of the two finds the other whole, or hears that it is gone. */
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { Readable } from 'node:stream'
import { describe, test } from 'node:test'
import type { Filters } from '../../src/engine/types.ts'
import { busyboxTar, rigForAll, skip, type Rig } from './fixture.ts'

const ALL: Filters = new Map()
const ROUNDS = 12
const volumesOf = async (rig: Rig, id: string): Promise<string[]> =>
  (await rig.engine.containers.inspect(id, { size: false })).mounts.flatMap(({ name }) => name ?? [])
const remove = (rig: Rig, id: string, volumes = true): Promise<void> =>
  rig.engine.containers.remove(id, { force: true, volumes, link: false })
const turnsOf = async (many: number): Promise<void> => {
  for (let n = 0; n < many; n += 1) await turn()
}
/** Turns of the event loop by which each round waits longer than the one before. */
const STEP = 40

describe('who goes while another comes', { skip, concurrency: 1 }, () => {
  const { rig: given } = rigForAll()

  test('a removal comes to its end when another container takes the anonymous volumes that were to go', async () => {
    const rig = given()
    let kept = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      const first = await rig.create({ cmd: ['true'], volumes: { '/v': {} } })
      const [volume = ''] = await volumesOf(rig, first)
      const { seen, stop } = rig.record()
      const removed = await rig.engine.containers.wait(first, 'removed')
      // Each of them is a write to the disk, with the volumes' lock held.
      const busy = Array.from({ length: 6 }, () => rig.engine.volumes.create({}))
      // It may also come too late to find the first one.
      const second = rig.create({ cmd: ['true'] }, { volumesFrom: [first] }).catch(() => undefined)
      await turnsOf(round)
      await remove(rig, first)
      await removed.result
      const created = await second
      const names = (await rig.engine.volumes.list(ALL)).map(({ name }) => name)
      if (created !== undefined) {
        assert.ok(names.includes(volume), 'the volume of a container that came is gone')
        kept += 1
        await remove(rig, created)
      }
      for (const { name } of await Promise.all(busy)) await rig.engine.volumes.remove(name, false)
      stop()
      assert.equal(seen.filter(({ action, actor }) => action === 'destroy' && actor.id === first).length, 1)
    }
    assert.ok(kept > 0, 'no container came: nothing was tried')
  })

  test('an image stays whole for the containers that are being made from it or with it', async () => {
    const rig = given()
    const { images, containers } = rig.engine
    const tar = await busyboxTar()
    let made = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      const changes = ['CMD ["true"]', `LABEL round=${round}`]
      // A layer that no other image has: what follows the end of a tar is nothing.
      const own = Readable.from([tar, Buffer.alloc(512 * (round + 1))])
      await images.import(own, { reference: 'goer', changes, onProgress: () => undefined })
      const from = round % 2 === 0
      const mounts = from ? [] : [{ type: 'image' as const, source: 'goer', target: '/i' }]
      // What the volume is filled with takes its time.
      const config = { image: from ? 'goer' : 'busybox', cmd: ['true'], volumes: { '/bin': {} } }
      const creating = rig.create(config, { mounts }).catch(() => undefined)
      await turnsOf(round * 4)
      await Promise.allSettled([
        images.remove('goer', { force: round % 4 < 2, noPrune: false }),
        images.prune(
          new Map([
            ['dangling', ['0']],
            ['label', ['round']],
          ]),
        ),
      ])
      const id = await creating
      if (id !== undefined) {
        made += 1
        await containers.start(id)
        await remove(rig, id)
      }
      await images.remove('goer', { force: true, noPrune: false }).catch(() => undefined)
    }
    assert.ok(made > 0, 'no container was made: nothing was tried')
  })

  test('a prune leaves the network alone on which a container has come since it began', async () => {
    const rig = given()
    const { networks, containers } = rig.engine
    for (let round = 0; round < 3; round += 1) {
      for (const name of ['p1', 'p2', 'p3', 'p4', 'p5', 'wanted']) await networks.create({ name })
      const id = await rig.create({ cmd: ['sleep', '99'] }, { networkMode: 'wanted' })
      const pruning = networks.prune(ALL)
      const started = await containers.start(id).then(
        () => true,
        () => false,
      )
      const { deleted } = await pruning
      const left = (await networks.list(ALL)).map(({ name }) => name)
      assert.equal(left.includes('wanted'), !deleted.includes('wanted'))
      assert.equal(started, left.includes('wanted'), 'it runs on a network that is gone')
      await remove(rig, id)
      await networks.prune(ALL)
    }
  })

  test('a network goes once, also when a prune and a removal want it', async () => {
    const rig = given()
    const { networks } = rig.engine
    await networks.create({ name: 'p1' })
    const { id } = await networks.create({ name: 'twice' })
    const { seen, stop } = rig.record()
    const pruning = networks.prune(ALL)
    const removal = await networks.remove('twice').then(
      () => 1,
      () => 0,
    )
    const pruned = (await pruning).deleted.includes('twice') ? 1 : 0
    await turn()
    stop()
    assert.equal(removal + pruned, 1)
    assert.equal(seen.filter(({ action, actor }) => action === 'destroy' && actor.id === id).length, 1)
  })

  test('a name is taken until its network has gone', async () => {
    const rig = given()
    const { networks } = rig.engine
    let refused = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      const { id } = await networks.create({ name: 'going' })
      const removal = networks.remove(id)
      const [found, next] = await Promise.allSettled([
        networks.inspect(id),
        networks.create({ name: 'going' }),
      ])
      await removal
      assert.equal(found.status, 'rejected')
      // The removal may also have been the quicker one.
      if (next.status === 'fulfilled') await networks.remove(next.value.id)
      else refused += 1
    }
    assert.ok(refused > 0, 'the name was free while its network was going')
  })

  test('a container that ends while it is connected holds no place on the network', async () => {
    const rig = given()
    const { networks, containers } = rig.engine
    // So much that its record is a while on the way to the disk.
    const labels = { much: 'x'.repeat(8 * 1024 * 1024) }
    let whileSaved = 0
    for (let round = 0; round < ROUNDS; round += 1) {
      await networks.create({ name: 'first' })
      await networks.create({ name: 'later' })
      const id = await rig.create({ cmd: ['sleep', '99'], labels }, { networkMode: 'first' })
      await containers.start(id)
      const over = await containers.wait(id, 'next-exit')
      let connected = false
      const connecting = networks.connect('later', id, {}).finally(() => (connected = true))
      const ending = (async () => {
        await turnsOf(round * STEP)
        await containers.kill(id, 'SIGKILL')
      })()
      const both = Promise.allSettled([connecting, ending])
      await over.result
      if (!connected) whileSaved += 1
      await both
      for (const name of ['first', 'later']) await networks.remove(name)
      await remove(rig, id)
    }
    assert.ok(whileSaved > 0, 'no container ended while it was being connected')
  })
})
