/** Published ports: who reaches them, and whom the container sees. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Published } from '../../src/network/firewall.ts'
import { command } from '../harness/command.ts'
import type { NetworkNamespace } from '../harness/network-namespace.ts'
import { missing } from '../harness/requirement.ts'
import { World, ask, askInVain } from './world.ts'
import type { TestContainer } from './world.ts'

const skip = missing('ip', 'nft', 'python3', 'nsenter')

function publish(hostAddress: string, hostPort: number, address = '10.201.1.2'): Published[] {
  return (['tcp', 'udp'] as const).map((protocol) => ({ protocol, hostAddress, hostPort, address, port: 80 }))
}

describe('a published port', { skip }, () => {
  let world: World
  let outside: NetworkNamespace
  let server: TestContainer
  let neighbour: TestContainer
  let stranger: TestContainer

  before(async () => {
    world = await World.make()
    outside = await world.outside()
    const one = await world.network('one')
    const two = await world.network('two')
    server = await world.container({
      ...one,
      id: '0123456789abcdef',
      address: '10.201.1.2',
      address6: 'fd00:201:1::2',
      published: [
        ...publish('0.0.0.0', 8080),
        ...publish('::', 8080, 'fd00:201:1::2'),
        ...publish('127.0.0.1', 8081),
        ...publish('203.0.113.1', 8082),
      ],
    })
    neighbour = await world.container({
      ...one,
      id: 'aaaabbbbcccc',
      address: '10.201.1.3',
      address6: 'fd00:201:1::3',
    })
    stranger = await world.container({
      ...two,
      id: 'ddddeeeeffff',
      address: '10.201.2.2',
      address6: 'fd00:201:2::2',
    })
  })
  after(() => world[Symbol.asyncDispose]())

  for (const protocol of ['tcp', 'udp'] as const) {
    test(`${protocol} is reached through 127.0.0.1, and the container sees the gateway`, async () => {
      assert.equal(await ask(world.host, protocol, '127.0.0.1', 8080), '10.201.1.1')
    })

    test(`${protocol} is reached through an address of the host`, async () => {
      assert.equal(await ask(world.host, protocol, '203.0.113.1', 8080), '203.0.113.1')
      assert.equal(await ask(world.host, protocol, 'fd00:113::1', 8080), 'fd00:113::1')
    })

    test(`${protocol} is reached from outside, and the container sees the client's own address`, async () => {
      assert.equal(await ask(outside, protocol, '203.0.113.1', 8080), '203.0.113.2')
      assert.equal(await ask(outside, protocol, 'fd00:113::1', 8080), 'fd00:113::2')
    })

    test(`${protocol} is reached by its own container and its neighbours through the host (hairpin)`, async () => {
      assert.equal(await ask(server, protocol, '203.0.113.1', 8080), '10.201.1.1')
      assert.equal(await ask(neighbour, protocol, '203.0.113.1', 8080), '10.201.1.1')
      assert.equal(await ask(neighbour, protocol, 'fd00:113::1', 8080), 'fd00:201:1::1')
      assert.equal(await ask(neighbour, protocol, '10.201.1.1', 8080), '10.201.1.1')
    })

    test(`${protocol} is reached by containers of other networks through the host`, async () => {
      assert.equal(await ask(stranger, protocol, '203.0.113.1', 8080), '10.201.2.2')
    })

    test(`${protocol} on 127.0.0.1 is reached on the host only`, async () => {
      assert.equal(await ask(world.host, protocol, '127.0.0.1', 8081), '10.201.1.1')
      assert.notEqual(await askInVain(world.host, protocol, '203.0.113.1', 8081), '203.0.113.1')
      assert.match(await askInVain(outside, protocol, '203.0.113.1', 8081), /ECONNREFUSED|timeout/)
    })

    test(`${protocol} on one address of the host is reached there only`, async () => {
      assert.equal(await ask(outside, protocol, '203.0.113.1', 8082), '203.0.113.2')
      assert.match(await askInVain(world.host, protocol, '127.0.0.1', 8082), /ECONNREFUSED|timeout/)
    })
  }

  test('[::1] is refused at once, so that clients of localhost go on to 127.0.0.1', async () => {
    assert.equal(await ask(world.host, 'tcp', '::1', 8080), 'ECONNREFUSED')
  })

  test('is taken: nobody else on the host can bind it', async () => {
    const bind =
      'import socket,sys; s=socket.socket(); s.setsockopt(1,2,1)\ntry: s.bind(("0.0.0.0",8080)); s.listen(); print("bound")\nexcept OSError as e: print(e.errno)'
    const result = await command([...world.host.enter, 'python3', '-c', bind])
    assert.equal(result.stdout.trim(), '98')
  })

  test('does not open 127.0.0.1 to a machine outside that routes loopback packets here', async () => {
    const ip = (line: string) => command([...outside.enter, ...line.split(' ')], { check: true })
    // The attacker's own loopback has to be out of the way before its packets for 127/8 leave by the wire.
    await ip('sysctl -qw net.ipv4.conf.all.route_localnet=1')
    await ip('ip addr del 127.0.0.1/8 dev lo')
    await ip('ip route add 127.0.0.0/8 via 203.0.113.1 src 203.0.113.2')
    await ip('ip rule add pref 0 to 127.0.0.0/8 lookup main')
    assert.equal(await askInVain(outside, 'tcp', '127.0.0.1', 8081), 'timeout')
    const guard = await command(
      [...world.host.enter, 'nft', '-a', 'list', 'chain', 'ip', world.table, 'prerouting'],
      { check: true },
    )
    const handle = /return # handle (\d+)/.exec(guard.stdout)?.[1] ?? ''
    await command(
      [...world.host.enter, 'nft', 'delete', 'rule', 'ip', world.table, 'prerouting', 'handle', handle],
      { check: true },
    )
    assert.equal(
      await ask(outside, 'tcp', '127.0.0.1', 8081),
      '203.0.113.2',
      'the control: it works without the guard',
    )
  })
})
