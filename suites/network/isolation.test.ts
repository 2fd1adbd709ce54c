/** What containers and outsiders must not reach, each tried with the attacker's means. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { background } from '../harness/background.ts'
import { command } from '../harness/command.ts'
import type { NetworkNamespace } from '../harness/network-namespace.ts'
import { bytesOf } from '../../src/network/address.ts'
import { publishSteps, unpublishSteps } from '../../src/network/firewall.ts'
import { formatMac, macOf } from '../../src/network/ipam.ts'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { World, ask, askInVain } from './world.ts'
import type { ContainerOptions, TestContainer } from './world.ts'

const skip = missing('ip', 'nft', 'python3', 'nsenter')

/** IP datagrams of protocol 253, which is for experiments (RFC 3692). */
const HEAR = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253); print('ready', flush=True)
while True: print(s.recv(2048)[20:].decode(), flush=True)
`
const SAY = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)
try: s.sendto(sys.argv[2].encode(), (sys.argv[1], 0))
except OSError: pass
`

type Enterable = { readonly enter: readonly string[] }

describe('a container network', { skip }, () => {
  let world: World
  let outside: NetworkNamespace
  let one: TestContainer
  let neighbour: TestContainer
  let two: TestContainer
  let inner: TestContainer
  let closed: readonly TestContainer[]
  let networks: Record<'first' | 'third', Pick<ContainerOptions, 'network' | 'bridgeIndex'>>

  before(async () => {
    world = await World.make()
    outside = await world.outside()
    await world.serve(outside)
    const first = await world.network('one')
    const second = await world.network('two')
    const third = await world.network('inner', { internal: true })
    const fourth = await world.network('closed', { icc: false })
    networks = { first, third }
    one = await world.container({
      ...first,
      id: '1111111111',
      address: '10.201.1.2',
      address6: 'fd00:201:1::2',
    })
    neighbour = await world.container({
      ...first,
      id: '2222222222',
      address: '10.201.1.3',
      address6: 'fd00:201:1::3',
    })
    two = await world.container({
      ...second,
      id: '3333333333',
      address: '10.201.2.2',
      address6: 'fd00:201:2::2',
    })
    inner = await world.container({
      ...third,
      id: '4444444444',
      address: '10.201.3.2',
      address6: 'fd00:201:3::2',
    })
    closed = [
      await world.container({ ...fourth, id: '5555555555', address: '10.201.4.2' }),
      await world.container({ ...fourth, id: '6666666666', address: '10.201.4.3' }),
    ]
  })
  after(() => world[Symbol.asyncDispose]())

  const within = (who: Enterable, line: string): Promise<unknown> =>
    command([...who.enter, ...line.split(' ')], { check: true })

  /** Nothing answers, neither by TCP nor by UDP. */
  async function refused(
    ...attempts: readonly (readonly [from: Enterable, address: string])[]
  ): Promise<void> {
    const answers = await Promise.all(
      attempts.flatMap(([from, address]) => [
        askInVain(from, 'tcp', address, 80),
        askInVain(from, 'udp', address, 80),
      ]),
    )
    assert.deepEqual(new Set(answers), new Set(['timeout']))
  }

  /** Those that a program there has been given. */
  async function datagramsOf({ enter }: Enterable): Promise<number> {
    const { stdout } = await command([...enter, 'cat', '/proc/net/snmp'], { check: true })
    return Number(/^Udp: (\d+)/m.exec(stdout)?.[1])
  }

  test('needs its forward rules: without them strangers and outsiders get through', async () => {
    const rules = (
      await command([...world.host.enter, 'nft', 'list', 'chain', 'ip', world.table, 'forward'], {
        check: true,
      })
    ).stdout
    const nft = (input: string) => command([...world.host.enter, 'nft', '-f', '-'], { input, check: true })
    await nft(`flush chain ip ${world.table} forward`)
    assert.equal(await ask(two, 'tcp', '10.201.1.2', 80), '10.201.2.2')
    assert.equal(await ask(outside, 'tcp', '10.201.1.2', 80), '203.0.113.2')
    await nft(`flush chain ip ${world.table} forward\n${rules}`)
  })

  test('lets containers of one bridge talk to each other', async () => {
    assert.equal(await ask(one, 'tcp', '10.201.1.3', 80), '10.201.1.2')
    assert.equal(await ask(one, 'udp', '10.201.1.3', 80), '10.201.1.2')
    assert.equal(await ask(one, 'tcp', 'fd00:201:1::3', 80), 'fd00:201:1::2')
    assert.equal(await ask(neighbour, 'tcp', '10.201.1.2', 80), '10.201.1.3')
  })

  test('gives containers the outside, under the address of the host', async () => {
    assert.equal(await ask(one, 'tcp', '203.0.113.2', 80), '203.0.113.1')
    assert.equal(await ask(one, 'udp', '203.0.113.2', 80), '203.0.113.1')
    assert.equal(await ask(one, 'tcp', 'fd00:113::2', 80), 'fd00:113::1')
  })

  test('keeps containers of different bridges apart', async () => {
    await refused([one, '10.201.2.2'], [two, '10.201.1.2'], [two, 'fd00:201:1::2'])
  })

  test('does not let outsiders who route to it reach what is not published', async () => {
    await refused([outside, '10.201.1.2'], [outside, 'fd00:201:1::2'])
  })

  test('is reached by the host itself', async () => {
    assert.equal(await ask(world.host, 'tcp', '10.201.1.2', 80), '10.201.1.1')
  })

  test('that is internal has no way out', async () => {
    assert.match(await askInVain(inner, 'tcp', '203.0.113.2', 80), /timeout|ENETUNREACH/)
    await command([...inner.enter, 'ip', 'route', 'add', 'default', 'via', '10.201.3.1'], { check: true })
    await refused([inner, '203.0.113.2'], [inner, '10.201.1.2'])
  })

  test('that is internal has no way out by IPv6 either, by whatever address of its bridge', async () => {
    const { stdout } = await command(
      [...world.host.enter, 'ip', '-6', '-o', 'addr', 'show', 'dev', 'dwtinner'],
      {
        check: true,
      },
    )
    const local = /fe80:\S+(?=\/)/.exec(stdout)?.[0]
    assert.ok(local !== undefined, stdout)
    for (const gateway of ['fd00:201:3::1', local]) {
      await within(inner, `ip -6 route replace default via ${gateway} dev eth0`)
      await refused([inner, 'fd00:113::2'], [inner, 'fd00:201:1::2'])
    }
  })

  test('that is internal has no way out by a protocol that nobody knows', async () => {
    const log = join(world.folder, 'protocol.log')
    const heard = (): Promise<string> => readFile(log, 'utf8').catch(() => '')
    await using _hearer = background([...outside.enter, 'python3', '-c', HEAR], log)
    await until('the socket', async () => (await heard()).includes('ready'))
    for (const [name, from] of Object.entries({ inner, one }))
      await command([...from.enter, 'python3', '-c', SAY, '203.0.113.2', name], { check: true })
    await until('the other container', async () => (await heard()).includes('one'))
    assert.doesNotMatch(await heard(), /inner/)
  })

  test('that is internal has none by a neighbour that forwards, who sends as itself alone', async () => {
    const router = async (id: string, n: number, unguarded: boolean): Promise<void> => {
      const address = `10.201.1.${n}`
      const mac = formatMac(macOf(bytesOf(address)))
      const place = { slot: 1, gatewayPriority: 0, mac, address, unguarded }
      const also = { ...networks.first, ...place }
      const both = await world.container({ ...networks.third, id, address: `10.201.3.${n}`, unguarded, also })
      await within(both, 'sysctl -qw net.ipv4.ip_forward=1')
      await within(inner, `ip route replace default via 10.201.3.${n}`)
    }
    const none = await datagramsOf(one)
    await router('7777777777', 7, false)
    assert.equal(await askInVain(inner, 'udp', '10.201.1.2', 80), 'timeout')
    assert.equal(await datagramsOf(one), none)
    // It would have been one where senders are not looked at.
    await router('8888888888', 8, true)
    await askInVain(inner, 'udp', '10.201.1.2', 80)
    assert.equal(await datagramsOf(one), none + 1)
    await within(inner, 'ip route replace default via 10.201.3.1')
  })

  test('that is internal does not reach what others publish, by whatever address of the host', async () => {
    const published = [
      { protocol: 'tcp', hostAddress: '0.0.0.0', hostPort: 80, address: '10.201.1.2', port: 80 },
      { protocol: 'udp', hostAddress: '0.0.0.0', hostPort: 80, address: '10.201.1.2', port: 80 },
    ] as const
    await world.core.run({ steps: publishSteps('host', world.table, published) })
    assert.equal(await ask(two, 'tcp', '10.201.2.1', 80), '10.201.2.2')
    const none = await datagramsOf(one)
    assert.equal(await ask(two, 'udp', '10.201.2.1', 80), '10.201.2.2')
    const some = await datagramsOf(one)
    assert.equal(some, none + 1)
    await refused([inner, '10.201.3.1'], [inner, '203.0.113.1'])
    assert.equal(await datagramsOf(one), some, 'nothing comes through one way either')
    await world.core.run({ steps: unpublishSteps('host', world.table, published) })
  })

  test('that is internal gets nothing by a port that leads to it', async () => {
    const published = [
      { protocol: 'udp', hostAddress: '0.0.0.0', hostPort: 80, address: '10.201.3.2', port: 80 },
    ] as const
    await world.core.run({ steps: publishSteps('host', world.table, published) })
    const none = await datagramsOf(inner)
    assert.equal(await askInVain(two, 'udp', '10.201.2.1', 80), 'timeout')
    assert.equal(await datagramsOf(inner), none)
    await world.core.run({ steps: unpublishSteps('host', world.table, published) })
  })

  test('without inter-container communication keeps neighbours apart but lets them out', async () => {
    const [left, right] = closed
    assert.ok(left !== undefined && right !== undefined)
    assert.match(await askInVain(left, 'tcp', '10.201.4.3', 80), /timeout|EHOSTUNREACH/)
    assert.equal(await ask(right, 'tcp', '203.0.113.2', 80), '203.0.113.1')
  })

  test('CVE-2020-8558: a container cannot reach the 127.0.0.1 services of the host', async () => {
    // Inside its own namespace it is root and may do all of this.
    const attack = [
      'sysctl -qw net.ipv4.conf.all.route_localnet=1',
      'ip addr flush dev lo',
      'ip route replace 127.0.0.0/8 via 10.201.1.1 dev eth0 src 10.201.1.2',
      'ip rule add pref 0 to 127.0.0.0/8 lookup main',
    ]
    await world.serve(world.host)
    assert.equal(
      await ask(world.host, 'tcp', '127.0.0.1', 80),
      '127.0.0.1',
      'the control: the service is there',
    )
    for (const line of attack) await command([...one.enter, ...line.split(' ')], { check: true })
    assert.equal(await askInVain(one, 'tcp', '127.0.0.1', 80), 'timeout')
    await command([...world.host.enter, 'nft', 'flush', 'chain', 'ip', world.table, 'loopback'], {
      check: true,
    })
    assert.equal(
      await ask(one, 'tcp', '127.0.0.1', 80),
      '10.201.1.2',
      'the control: the attack works without the guard',
    )
  })

  test('CVE-2020-13401: the host takes no router advertisements from containers', async () => {
    const value = await command([...world.host.enter, 'cat', '/proc/sys/net/ipv6/conf/dwtone/accept_ra'], {
      check: true,
    })
    assert.equal(value.stdout.trim(), '0')
    const inside = await command([...one.enter, 'cat', '/proc/sys/net/ipv6/conf/eth0/accept_ra'], {
      check: true,
    })
    assert.equal(inside.stdout.trim(), '0')
  })

  test('without IPv6 gives its containers none, not even link-local', async () => {
    const [left] = closed
    assert.ok(left !== undefined)
    const addresses = await command([...left.enter, 'ip', '-6', 'addr', 'show', 'dev', 'eth0'], {
      check: true,
    })
    assert.equal(addresses.stdout, '')
  })
})
