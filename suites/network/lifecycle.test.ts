/** What is there while containers live, and that nothing is there afterwards, however they ended. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { removeBridgeSteps } from '../../src/network/bridge.ts'
import { guardedPorts, deleteVethStep } from '../../src/network/container-steps.ts'
import {
  dumpPublished,
  networkStep,
  parsePublished,
  removeFirewallSteps,
  removeNetworkStep,
} from '../../src/network/firewall.ts'
import type { Published } from '../../src/network/firewall.ts'
import { defaultPool } from '../../src/network/network.ts'
import type { Network } from '../../src/network/network.ts'
import { removeGuardStep } from '../../src/network/source-guard.ts'
import { reserveFailed } from '../../src/network/ports.ts'
import { forwardWarnings, reconcileNetwork } from '../../src/network/reconcile.ts'
import type { NetworkTruth } from '../../src/network/reconcile.ts'
import { background } from '../harness/background.ts'
import { command } from '../harness/command.ts'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { VETH_PREFIX, World, ask } from './world.ts'
import type { ContainerOptions } from './world.ts'

const skip = missing('ip', 'nft', 'python3', 'nsenter')
const ID = '0123456789abcdef'
const VETH = `${VETH_PREFIX}01234567`

function publish(hostPort: number, address = '10.201.1.2'): Published[] {
  return [{ protocol: 'tcp', hostAddress: '0.0.0.0', hostPort, address, port: 80 }]
}

describe('the network of a container', { skip }, () => {
  let world: World
  let one: { network: Network; bridgeIndex: number }
  let options: ContainerOptions

  before(async () => {
    world = await World.make()
    one = await world.network('one')
    options = { ...one, id: ID, address: '10.201.1.2', address6: 'fd00:201:1::2', published: publish(8080) }
  })
  after(() => world[Symbol.asyncDispose]())

  async function published(): Promise<string[]> {
    const lists = await Promise.all(
      (['ip', 'ip6'] as const).map(async (family) =>
        parsePublished(family, await world.core.run({ steps: dumpPublished('host', family, world.table) })),
      ),
    )
    return lists
      .flat()
      .map((one) => `${one.protocol} ${one.hostAddress}:${one.hostPort} ${one.address}:${one.port}`)
  }

  /** The kernel may keep it for a connection that was cut off; an engine deletes it after a second (guard-sweep.ts). */
  const gone = (): Promise<boolean> => {
    const soon = performance.now() + 1000
    return until('the interface to go', async () => {
      const left = (await world.links()).filter((name) => name.startsWith(VETH_PREFIX))
      if (left.length === 0) return true
      if (performance.now() > soon)
        await world.core.run({ steps: left.map((name) => deleteVethStep('host', name)) })
      return false
    })
  }

  test('is gone when the container has ended, and comes back at once with the same address', async () => {
    for (const _ of [1, 2, 3]) {
      const container = await world.container(options)
      assert.deepEqual(await published(), ['tcp 0.0.0.0:8080 10.201.1.2:80'])
      assert.ok((await world.links()).includes(VETH))
      assert.equal(await ask(world.host, 'tcp', '127.0.0.1', 8080), '10.201.1.1')
      await container.shim.signal(9)
      await container.shim.exited
      assert.deepEqual(await published(), [])
    }
    await gone()
  })

  test('is found by a UDP client that sent too early, and goes on sending', async () => {
    // One socket throughout: the kernel remembers the way of its first packet.
    const client = `import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.2); s.connect(('127.0.0.1', 8053))
end = time.monotonic() + 60
while time.monotonic() < end:
    try:
        s.send(b'x'); print('answered', s.recv(99).decode(), flush=True); break
    except OSError:
        print('early', flush=True); time.sleep(0.02)
`
    const log = join(world.folder, 'early.log')
    const read = (): Promise<string> => readFile(log, 'utf8').catch(() => '')
    for (const address of ['10.201.1.2', '10.201.1.3']) {
      await writeFile(log, '')
      await using early = background([...world.host.enter, 'python3', '-c', client], log)
      await until('the first packet', async () => (await read()).includes('early'))
      const udp = publish(8053, address).map((one): Published => ({ ...one, protocol: 'udp' }))
      const container = await world.container({ ...options, address, published: udp })
      await early.ended
      assert.match(await read(), /answered 10\.201\.1\.1/)
      await container.shim.signal(9)
      await container.shim.exited
    }
    await gone()
  })

  test('is not left behind by a start that fails', async () => {
    const failing = world.container({ ...options, id: 'ffffffffff', argv: ['/nonexistent'] })
    await assert.rejects(failing, { errno: 'ENOENT' })
    await gone()
    assert.deepEqual(await published(), [])
  })

  test('is refused, in words people know, when its port is taken, and the owner keeps it', async () => {
    const owner = await world.container(options)
    const other = world.container({
      ...options,
      id: 'ffffffffff',
      address: '10.201.1.3',
      published: publish(8080, '10.201.1.3'),
    })
    const failure: unknown = await other.catch((error: unknown) => error)
    assert.ok(typeof failure === 'object' && failure !== null && 'errno' in failure)
    assert.equal(failure.errno, 'EADDRINUSE')
    const port = { protocol: 'tcp', hostAddress: '0.0.0.0', hostPort: 8080 } as const
    assert.equal(
      reserveFailed({ name: 'web', id: 'abc' }, port, String(failure.errno)).message,
      'driver failed programming external connectivity on endpoint web (abc): listen tcp4 0.0.0.0:8080: bind: address already in use',
    )
    assert.equal(await ask(world.host, 'tcp', '127.0.0.1', 8080), '10.201.1.1')
    assert.deepEqual(await published(), ['tcp 0.0.0.0:8080 10.201.1.2:80'])
    await owner.shim.signal(9)
    await owner.shim.exited
    await gone()
  })

  test('is cleared by the release steps after kill -9 of the shim, twice if need be', async () => {
    const container = await world.container(options)
    process.kill(container.shim.shimPid, 'SIGKILL')
    await container.shim.exited.catch(() => undefined)
    assert.deepEqual(await published(), ['tcp 0.0.0.0:8080 10.201.1.2:80'], 'the control: something is left')
    await world.release(container)
    await world.release(container)
    assert.deepEqual(await published(), [])
    assert.deepEqual(
      (await world.links()).filter((name) => name.startsWith(VETH_PREFIX)),
      [],
    )
  })

  test('is not taken from its new owner by release steps that come late', async () => {
    const late = await world.container({
      ...options,
      id: 'eeeeeeeeee',
      address: '10.201.1.9',
      published: publish(8080, '10.201.1.9'),
    })
    await late.shim.signal(9)
    await late.shim.exited
    const owner = await world.container(options)
    await world.release(late)
    assert.deepEqual(await published(), ['tcp 0.0.0.0:8080 10.201.1.2:80'])
    await owner.shim.signal(9)
    await owner.shim.exited
    await gone()
  })

  test('survives reconciling when it is true, and is removed when it is not', async () => {
    const alive = await world.container(options)
    const stray = ['ip', 'link', 'add', `${VETH_PREFIX}deadbeef`, 'type', 'veth', 'peer', 'name', 'x1']
    await command([...world.host.enter, ...stray], { check: true })
    await command([...world.host.enter, 'ip', 'link', 'set', `${VETH_PREFIX}deadbeef`, 'master', 'dwtone'], {
      check: true,
    })
    await command(
      [
        ...world.host.enter,
        'ip',
        'link',
        'add',
        `${VETH_PREFIX}foreign`,
        'type',
        'veth',
        'peer',
        'name',
        'x2',
      ],
      { check: true },
    )
    await command(
      [
        ...world.host.enter,
        'nft',
        'add element ip dewar_dwtone published_any { tcp . 9999 : 10.201.1.77 . 80 }',
      ],
      { check: true },
    )
    const truth: NetworkTruth = {
      networks: world.networks,
      veths: new Set([VETH]),
      published: publish(8080),
      vethPrefix: VETH_PREFIX,
      table: world.table,
      ipv6: true,
      guarded: guardedPorts(alive.network),
    }
    assert.deepEqual(await reconcileNetwork(world.core, truth), [`${VETH_PREFIX}deadbeef`])
    assert.deepEqual(await published(), ['tcp 0.0.0.0:8080 10.201.1.2:80'])
    assert.ok((await world.links()).includes(`${VETH_PREFIX}foreign`), 'what is on no bridge of ours stays')
    await command([...world.host.enter, 'nft', 'flush', 'ruleset'], { check: true })
    assert.deepEqual(await reconcileNetwork(world.core, truth), [])
    assert.equal(await ask(world.host, 'tcp', '127.0.0.1', 8080), '10.201.1.1')
    await command([...world.host.enter, 'ip', 'link', 'del', `${VETH_PREFIX}foreign`], { check: true })
    await alive.shim.signal(9)
    await alive.shim.exited
    await gone()
  })

  test('comes and goes with its network while others run', async () => {
    const before = await world.rules()
    const network: Network = {
      ...one.network,
      id: 'more',
      name: 'more',
      bridge: 'dwtmore',
      ipv4: defaultPool('10.201.9.0/24'),
      ipv6: defaultPool('fd00:201:9::/64'),
      internal: true,
    }
    await world.core.run({ steps: [networkStep('host', world.table, network, true)] })
    assert.match(await world.rules(), /"dwtmore" \. 10\.201\.9\.0\/24/)
    for (const _ of [1, 2]) {
      await world.core.run({ steps: [removeNetworkStep('host', world.table, network, true)] })
      assert.equal(await world.rules(), before)
    }
  })

  test('is warned about when somebody else drops forwarded packets', async () => {
    assert.deepEqual(await forwardWarnings(world.core, 'dwtone'), [])
    const nft = (rule: string) => command([...world.host.enter, 'nft', rule], { check: true })
    await nft('add table ip filter')
    await nft('add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }')
    const [warning] = await forwardWarnings(world.core, 'dwtone')
    assert.match(warning ?? '', /^WARNING: the chain filter FORWARD drops forwarded packets/)
    await nft('delete table ip filter')
  })

  test('is torn down to nothing', async () => {
    await world.core.run({
      steps: [
        ...removeFirewallSteps('host', world.table),
        removeGuardStep('host', world.table),
        ...removeBridgeSteps(one.network),
      ],
    })
    assert.deepEqual(await world.links(), ['lo'])
    assert.equal(await world.rules(), '')
    await world.core.run({
      steps: [
        ...removeFirewallSteps('host', world.table),
        removeGuardStep('host', world.table),
        ...removeBridgeSteps(one.network),
      ],
    })
  })
})
