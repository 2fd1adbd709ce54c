/** Several networks for one container, several engines on one host, many ports at once. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { firewallStep } from '../../src/network/firewall.ts'
import type { Published } from '../../src/network/firewall.ts'
import { missing } from '../harness/requirement.ts'
import { guardTableStep } from '../../src/network/source-guard.ts'
import { World, ask, askInVain } from './world.ts'

const skip = missing('ip', 'nft', 'python3', 'nsenter')

function publish(hostPort: number, address: string): Published[] {
  return [{ protocol: 'tcp', hostAddress: '0.0.0.0', hostPort, address, port: 80 }]
}

describe('several', { skip }, () => {
  let world: World
  let one: Awaited<ReturnType<World['network']>>
  let two: Awaited<ReturnType<World['network']>>

  before(async () => {
    world = await World.make()
    one = await world.network('one')
    two = await world.network('two')
  })
  after(() => world[Symbol.asyncDispose]())

  test('networks: a container on two reaches both, and does not join them', async () => {
    const first = await world.container({ ...one, id: '1111111111', address: '10.201.1.2' })
    const second = await world.container({ ...two, id: '2222222222', address: '10.201.2.2' })
    const both = await world.container({
      ...one,
      id: '3333333333',
      address: '10.201.1.3',
      also: { ...two, address: '10.201.2.3', mac: '02:42:0a:c9:02:03', slot: 1, gatewayPriority: 0 },
    })
    assert.equal(await ask(both, 'tcp', '10.201.1.2', 80), '10.201.1.3')
    assert.equal(await ask(both, 'tcp', '10.201.2.2', 80), '10.201.2.3')
    assert.equal(await ask(second, 'tcp', '10.201.2.3', 80), '10.201.2.2')
    assert.equal(await askInVain(first, 'tcp', '10.201.2.2', 80), 'timeout')
    const links = await world.links()
    assert.ok(links.includes('dwtv33333333') && links.includes('dwtv333333331'))
  })

  test('engines: each has a table, containers of one reach those of the other as published only', async () => {
    const other = { table: 'dewar_dwttwo', networks: [two.network], published: [], ipv6: true }
    const mine = { table: world.table, networks: [one.network], published: [], ipv6: true }
    await world.core.run({
      steps: [
        firewallStep('host', mine),
        firewallStep('host', other),
        guardTableStep('host', other.table, []),
      ],
    })
    const a = await world.container({
      ...one,
      id: '4444444444',
      address: '10.201.1.4',
      published: publish(8080, '10.201.1.4'),
    })
    const b = await world.container({
      ...two,
      id: '5555555555',
      address: '10.201.2.4',
      published: publish(8090, '10.201.2.4'),
      table: other.table,
    })
    assert.equal(await ask(world.host, 'tcp', '127.0.0.1', 8080), '10.201.1.1')
    assert.equal(await ask(world.host, 'tcp', '127.0.0.1', 8090), '10.201.2.1')
    assert.equal(await askInVain(a, 'tcp', '10.201.2.4', 80), 'timeout')
    assert.equal(await askInVain(b, 'tcp', '10.201.1.4', 80), 'timeout')
    // The other engine's bridge is the outside: its containers see this one's host address there.
    assert.equal(await ask(a, 'tcp', '10.201.2.1', 8090), '10.201.2.1')
    assert.equal(await ask(b, 'tcp', '10.201.1.1', 8080), '10.201.1.1')
  })

  test('ports: a range of 500 is published and taken back', async () => {
    const published = Array.from({ length: 500 }, (_, i) => publish(20_000 + i, '10.201.1.5')).flat()
    const container = await world.container({ ...one, id: '6666666666', address: '10.201.1.5', published })
    assert.equal(await ask(world.host, 'tcp', '127.0.0.1', 20_499), '10.201.1.1')
    await container.shim.signal(9)
    await container.shim.exited
    assert.equal(await ask(world.host, 'tcp', '127.0.0.1', 20_499), 'ECONNREFUSED')
  })
})
