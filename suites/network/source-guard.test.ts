/** Who is guarded, and who is not, through the engine's life: what the rules then do is in senders.test.ts. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { EngineRig } from './engine-rig.ts'

const skip = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'ip', 'nft', 'nsenter')
const OPEN = 'dewar.source-guard=false'

describe('the source guard', { skip }, () => {
  let rig: EngineRig

  before(async () => {
    rig = await EngineRig.make()
    await rig.docker('network', 'create', 'front', '--subnet', '10.199.21.0/24')
    await rig.docker('network', 'create', 'open', '--subnet', '10.199.22.0/24', '-o', OPEN)
  })
  after(() => rig[Symbol.asyncDispose]())

  /** The IPv4 addresses that somebody may send under, in order. */
  async function senders(): Promise<string[]> {
    const text = await rig.host('nft', 'list', 'set', 'bridge', 'dewar_dwtn0', 'hosts')
    const all = [...text.matchAll(/" \. \S+ \. (\d+\.\d+\.\d+\.\d+)/g)].map((match) => match[1] ?? '')
    return [...new Set(all)].filter((address) => address !== '0.0.0.0').sort()
  }

  /** How many ports are looked at. */
  async function guarded(): Promise<number> {
    const text = await rig.host('nft', 'list', 'set', 'bridge', 'dewar_dwtn0', 'guarded')
    return [...text.matchAll(/"dw/g)].length
  }

  /** What ended containers could send as is taken back together, a second later. */
  async function onlySenders(...wanted: string[]): Promise<void> {
    let found: string[] = []
    await until(
      'what ended to be forgotten',
      async () => (found = await senders()).length <= wanted.length,
    ).catch(() => undefined)
    assert.deepEqual(found, wanted)
  }

  test('knows the addresses of running containers, and the next engine after kill -9 does', async () => {
    await rig.run('one')
    await rig.run('two', '--network', 'front', '--link-local-ip', '169.254.7.7')
    const both = ['10.199.21.2', '169.254.7.7', '172.30.0.2']
    assert.deepEqual(await senders(), both)
    await rig.server.crash()
    await rig.host('nft', 'flush', 'ruleset')
    await rig.start()
    assert.deepEqual(await senders(), both)
    // The client prints warnings to its stderr.
    const { code, stderr } = await rig.server.run(['docker', 'info'])
    assert.equal(code, 0)
    assert.doesNotMatch(stderr, /addresses of others/)
  })

  test('follows containers that come to a network and leave it, stop and go', async () => {
    await rig.docker('network', 'connect', 'front', 'one')
    assert.deepEqual(await senders(), ['10.199.21.2', '10.199.21.3', '169.254.7.7', '172.30.0.2'])
    await rig.docker('network', 'disconnect', 'front', 'one')
    await rig.docker('rm', '-f', 'one')
    await onlySenders('10.199.21.2', '169.254.7.7')
    await rig.docker('restart', '-t', '0', 'two')
    assert.deepEqual(await senders(), ['10.199.21.2', '169.254.7.7'])
    await rig.docker('rm', '-f', 'two')
    await onlySenders()
  })

  test('takes back what an ended run could send as before the next run begins, never after', async () => {
    await rig.run('other')
    await rig.run('one', '--network', 'front')
    await rig.docker('kill', 'one')
    await rig.docker('network', 'disconnect', 'front', 'one')
    await rig.docker('network', 'connect', '--ip', '10.199.21.8', 'front', 'one')
    await rig.docker('kill', 'other')
    await rig.docker('start', 'one')
    assert.ok(!(await senders()).includes('10.199.21.2'))
    // The next sweep takes nothing from who runs.
    await rig.run('brief')
    await rig.docker('kill', 'brief')
    await onlySenders('10.199.21.8')
    assert.equal(await guarded(), 1)
    await rig.docker('rm', '-f', 'one', 'other', 'brief')
    await onlySenders()
    assert.equal(await guarded(), 0)
  })

  test('takes back what a start that failed could send as', async () => {
    const failing = await rig.server.run(['docker', 'run', '--rm', 'busybox', '/nonexistent'])
    assert.equal(failing.code, 127)
    await onlySenders()
    await until('its port to be forgotten', async () => (await guarded()) === 0)
  })

  test('takes back what it can, whatever others were given: an address twice, a MAC that is none', async () => {
    await rig.docker(
      'create',
      '--name',
      'odd',
      '--mac-address',
      '03:42:ac:11:00:02',
      'busybox',
      'sleep',
      '600',
    )
    const failing = await rig.server.run(['docker', 'start', 'odd'])
    assert.match(failing.stderr, /invalid MAC address: 03:42:ac:11:00:02/)
    await rig.run('dashes', '--mac-address', '02-42-AC-1E-00-77')
    const format = '{{.NetworkSettings.Networks.bridge.MacAddress}}'
    assert.equal(await rig.docker('inspect', '-f', format, 'dashes'), '02:42:ac:1e:00:77')
    const twice = ['169.254.7.7', '169.254.7.7'].flatMap((one) => ['--link-local-ip', one])
    await rig.run('twice', '--network', 'front', ...twice)
    await rig.docker('kill', 'dashes', 'twice')
    await onlySenders()
    assert.equal(await guarded(), 0)
    await rig.docker('start', 'dashes')
    assert.equal((await senders()).length, 1)
    await rig.docker('rm', '-f', 'odd', 'dashes', 'twice')
    await onlySenders()
  })

  test('who shares the network of a container that has ended is off it, and cannot come back', async () => {
    await rig.run('peer')
    await rig.run('one')
    await rig.run('joined', '--network', 'container:one', '--cap-add', 'NET_ADMIN')
    const address = '{{.NetworkSettings.IPAddress}}'
    const peer = await rig.docker('inspect', '-f', address, 'peer')
    const own = await rig.docker('inspect', '-f', address, 'one')
    const inside = (...words: string[]) => rig.server.run(['docker', 'exec', 'joined', ...words])
    const reaches = async () => (await inside('ping', '-c', '1', '-W', '1', peer)).code === 0
    assert.ok(await reaches(), 'the control: it reaches its neighbour while the other runs')
    await rig.docker('kill', 'one')
    assert.equal(await reaches(), false)
    const again = async () => {
      await inside('sh', '-c', `ip link set eth0 down; ip link set eth0 up; ip addr add ${own}/16 dev eth0`)
      return reaches()
    }
    assert.equal(await again(), false, 'while it is known what it may send as')
    await onlySenders(peer)
    assert.equal(await again(), false, 'and when that is forgotten')
    await rig.docker('rm', '-f', 'joined', 'one', 'peer')
    await onlySenders()
  })

  test('an interface goes also when the kernel keeps it for a connection that nobody answers', async () => {
    const listen = ['busybox', 'sh', '-c', 'sleep 900 | nc -l -p 80']
    const id = await rig.docker('run', '-d', '--name', 'held', ...listen)
    const own = await rig.docker('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'held')
    await rig.run('caller')
    await rig.docker('exec', '-d', 'caller', 'sh', '-c', `sleep 600 | nc ${own} 80`)
    const sockets = () => rig.docker('exec', 'held', 'cat', '/proc/net/tcp', '/proc/net/tcp6')
    await until('the connection', async () => / \w+:0050 \w+:\w+ 01 /.test(await sockets()), 20_000)
    const links = () => rig.host('ip', '-o', 'link')
    const veth = new RegExp(`: (dw\\w{4}${id.slice(0, 8)})@`)
    const [, name = ''] = veth.exec(await links()) ?? []
    // Now the end cannot be told to the other side: the kernel tries for a hundred seconds.
    await rig.host('ip', 'link', 'set', name, 'down')
    await rig.docker('rm', '-f', 'held')
    await until('the interface to go', async () => !veth.test(await links()), 30_000)
    await rig.docker('rm', '-f', 'caller')
    await onlySenders()
  })

  test('forgets networks that were connected while it ran, when it ends by itself, is killed or restarted', async () => {
    await rig.run('one')
    await rig.docker('network', 'connect', 'front', 'one')
    assert.deepEqual(await senders(), ['10.199.21.2', '172.30.0.2'])
    await rig.docker('kill', 'one')
    await onlySenders()
    // It is on both from the start now, so the shim knows of both.
    await rig.docker('start', 'one')
    await rig.docker('network', 'disconnect', 'front', 'one')
    await rig.docker('network', 'connect', '--ip', '10.199.21.9', 'front', 'one')
    await rig.docker('restart', '-t', '0', 'one')
    assert.deepEqual(await senders(), ['10.199.21.9', '172.30.0.2'])
    await rig.docker('network', 'disconnect', 'front', 'one')
    await rig.docker('rm', '-f', 'one')
    await onlySenders()
    await rig.docker('run', '-d', '--rm', '--name', 'brief', 'busybox', 'sleep', '3')
    await rig.docker('network', 'connect', 'front', 'brief')
    await until('the end', async () => (await rig.docker('ps', '-aq')) === '')
    await onlySenders()
  })

  test('leaves out whom the network or the endpoint opens, and the endpoint has the last word', async () => {
    const guard = (network: string, value: string): string =>
      `name=${network},driver-opt=dewar.source-guard=${value}`
    await rig.run('one', '--network', 'open')
    await rig.run('two', '--network', guard('open', 'true'))
    await rig.run('three', '--network', guard('front', 'false'))
    await rig.run('four', '--network', guard('bridge', 'false'))
    assert.deepEqual(await senders(), ['10.199.22.3'])
    await rig.docker('rm', '-f', 'one', 'two', 'three', 'four')
    await onlySenders()
  })

  test('is not opened by nonsense, nor by the label of an image or container', async () => {
    const refused = async (...args: string[]): Promise<string> =>
      (await rig.server.run(['docker', ...args])).stderr
    assert.match(
      await refused('network', 'create', '-o', 'dewar.source-guard=maybe', 'odd'),
      /failed to parse dewar\.source-guard value: maybe/,
    )
    assert.match(
      await refused(
        'run',
        '--rm',
        '--network',
        'name=front,driver-opt=dewar.source-guard=maybe',
        'busybox',
        'true',
      ),
      /failed to parse dewar\.source-guard value: maybe/,
    )
    await rig.run('one', '--label', OPEN)
    assert.deepEqual(await senders(), ['172.30.0.2'])
    await rig.docker('rm', '-f', 'one')
  })
})
