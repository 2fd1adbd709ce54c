/** Networks of the driver macvlan: a host and another one joined by a wire, containers on the wire beside them. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { background } from '../harness/background.ts'
import { command } from '../harness/command.ts'
import { networkNamespace, type NetworkNamespace } from '../harness/network-namespace.ts'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { EngineRig } from './engine-rig.ts'

const skip = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'ip', 'python3', 'nsenter')
const SERVE = ['busybox', 'busybox', 'nc', '-ll', '-p', '80', '-e', 'echo', 'hello']

/** What a server says, or the name of the error. */
const CLIENT = `
import socket, sys
try: print(socket.create_connection((sys.argv[1], 80), 1).makefile().readline().strip())
except OSError as e: print(type(e).__name__)
`

describe('macvlan', { skip }, () => {
  let rig: EngineRig
  let other: NetworkNamespace

  before(async () => {
    rig = await EngineRig.make()
    other = rig.use(await networkNamespace(join(rig.folder, 'other.log')))
    const pid = /\d+/.exec(other.enter.join(' '))?.[0] ?? ''
    await rig.host('ip', 'link', 'add', 'wire', 'type', 'veth', 'peer', 'name', 'wire', 'netns', pid)
    await rig.host('ip', 'link', 'set', 'wire', 'up')
    await rig.host('ip', 'addr', 'add', '10.198.1.8/24', 'dev', 'wire')
    await onOther('ip', 'link', 'set', 'wire', 'up')
    await onOther('ip', 'addr', 'add', '10.198.1.9/24', 'dev', 'wire')
    await rig.docker(
      'network',
      'create',
      '-d',
      'macvlan',
      '-o',
      'parent=wire',
      '--subnet',
      '10.198.1.0/24',
      'lan',
    )
  })
  after(() => rig[Symbol.asyncDispose]())

  const onOther = async (...argv: readonly string[]): Promise<string> =>
    (await command([...other.enter, ...argv], { check: true })).stdout.trim()

  const fromOther = (address: string): Promise<string> => onOther('python3', '-c', CLIENT, address)
  const fromHost = (address: string): Promise<string> => rig.host('python3', '-c', CLIENT, address)
  const from = async (name: string, address: string): Promise<string> =>
    (
      await command([...(await rig.within(name)), 'python3', '-c', CLIENT, address], { check: true })
    ).stdout.trim()

  /** Whether this kernel has such interfaces. */
  const canMake = async (...words: readonly string[]): Promise<boolean> => {
    const name = words.includes('name') ? [] : ['try']
    const { code } = await command([...rig.network.enter, 'ip', 'link', 'add', ...name, ...words])
    if (code === 0) await rig.host('ip', 'link', 'del', 'try')
    return code === 0
  }

  const refused = async (...args: readonly string[]): Promise<string> => {
    const { code, stderr } = await rig.server.run(['docker', ...args])
    assert.notEqual(code, 0)
    return stderr
  }
  /** Interfaces on the parent, in whatever namespace: the kernel counts them. */
  const onParent = async (): Promise<boolean> =>
    // A parent without any gives its receive handler back, and can then be a bridge's port.
    rig
      .host(
        'sh',
        '-c',
        'ip link add probe type bridge && ip link set wire master probe && ip link set wire nomaster; r=$?; ip link del probe; exit $r',
      )
      .then(
        () => false,
        () => true,
      )

  test('macvlan: a container is beside its host: reached from the other one, not from its parent', async () => {
    await rig.docker(
      'run',
      '-d',
      '--name',
      'one',
      '--network',
      'lan',
      '--ip',
      '10.198.1.20',
      '-p',
      '80:80',
      ...SERVE,
    )
    await until('the server', async () => (await fromOther('10.198.1.20')) === 'hello')
    assert.notEqual(await fromHost('10.198.1.20'), 'hello')
    const format =
      '{{json .NetworkSettings.Ports}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}} {{.MacAddress}}{{end}}'
    assert.equal(
      await rig.docker('inspect', '--format', format, 'one'),
      '{} 10.198.1.20 10.198.1.1 02:42:0a:c6:01:14',
    )
    assert.match(await rig.docker('exec', 'one', 'ip', 'route'), /default via 10\.198\.1\.1 dev eth0/)
  })

  test('macvlan: neighbours reach each other, and by name', async () => {
    await rig.docker('run', '-d', '--name', 'two', '--network', 'lan', ...SERVE)
    await until('the server', async () => (await from('two', '10.198.1.20')) === 'hello')
    assert.equal((await rig.ask('two', 'one')).answers[0], '10.198.1.20')
    assert.equal((await rig.ask('one', 'two')).answers[0], '10.198.1.2')
  })

  test('macvlan: comes back at once with the same address and MAC, again and again', async () => {
    for (const _ of [1, 2, 3, 4]) await rig.docker('restart', '-t', '0', 'one')
    await until('the server', async () => (await fromOther('10.198.1.20')) === 'hello')
  })

  test('macvlan: goes on when the engine is killed, and nothing is left when containers are removed', async () => {
    await rig.server.crash()
    assert.equal(await fromOther('10.198.1.20'), 'hello')
    await rig.start()
    assert.equal(await fromOther('10.198.1.20'), 'hello')
    assert.equal((await rig.ask('two', 'one')).answers[0], '10.198.1.20')
    const shim = await rig.docker('inspect', '--format', '{{.State.Pid}}', 'two')
    const parent = await rig.host('sh', '-c', `awk '/^PPid/{print $2}' /proc/${shim}/status`)
    await command(['kill', '-9', parent], { check: true })
    await until(
      'the end of two',
      async () => (await rig.docker('inspect', '--format', '{{.State.Running}}', 'two')) === 'false',
    )
    await rig.docker('rm', '-f', 'one', 'two')
    await until('the parent to be free', async () => !(await onParent()))
  })

  test('macvlan: is plugged into a running container and taken off, beside a bridge', async () => {
    await rig.docker('network', 'create', '--subnet', '10.198.2.0/24', 'zbridge')
    await rig.docker('run', '-d', '--name', 'one', '--network', 'zbridge', '-p', '8081:80', ...SERVE)
    await until('the server', async () => (await fromHost('10.198.2.2')) === 'hello')
    await rig.docker('network', 'connect', '--ip', '10.198.1.21', 'lan', 'one')
    assert.equal(await fromOther('10.198.1.21'), 'hello')
    assert.match(await rig.docker('exec', 'one', 'ip', 'route'), /default via 10\.198\.1\.1 dev eth1/)
    await rig.docker('restart', '-t', '0', 'one')
    await until('the server', async () => (await fromOther('10.198.1.21')) === 'hello')
    await rig.docker('network', 'disconnect', 'lan', 'one')
    assert.notEqual(await fromOther('10.198.1.21'), 'hello')
    assert.match(await rig.docker('exec', 'one', 'ip', 'route'), /default via 10\.198\.2\.1 dev eth0/)
    await rig.docker('rm', '-f', 'one')
    await until('the parent to be free', async () => !(await onParent()))
  })

  test('macvlan: connected while a container runs, it comes back at once, even if its old namespace lives on', async () => {
    for (const network of ['bridge', 'lan']) {
      await rig.docker('run', '-d', '--name', 'one', '--network', network, ...SERVE)
      if (network === 'lan') await rig.docker('network', 'disconnect', 'lan', 'one')
      await rig.docker('network', 'connect', '--ip', '10.198.1.21', 'lan', 'one')
      // As sockets in it do for a moment: with the old interface up there, a new one of the same MAC is refused.
      const holder = background([...(await rig.within('one')), 'sleep', '60'], join(rig.folder, 'holder.log'))
      try {
        await rig.docker('restart', '-t', '0', 'one')
        await until('the server', async () => (await fromOther('10.198.1.21')) === 'hello')
      } finally {
        await holder.stop()
      }
      await rig.docker('rm', '-f', 'one')
      await until('the parent to be free', async () => !(await onParent()))
    }
  })

  test('macvlan: private keeps neighbours apart', async () => {
    await rig.docker('network', 'rm', 'lan')
    const create = (mode: string): Promise<string> =>
      rig.docker(
        'network',
        'create',
        '-d',
        'macvlan',
        '-o',
        'parent=wire',
        '-o',
        `macvlan_mode=${mode}`,
        '--subnet',
        '10.198.1.0/24',
        'lan',
      )
    await create('private')
    await rig.docker('run', '-d', '--name', 'one', '--network', 'lan', ...SERVE)
    await rig.docker('run', '-d', '--name', 'two', '--network', 'lan', ...SERVE)
    await until('the server', async () => (await fromOther('10.198.1.2')) === 'hello')
    assert.notEqual(await from('two', '10.198.1.2'), 'hello')
    await rig.docker('rm', '-f', 'one', 'two')
    await rig.docker('network', 'rm', 'lan')
    await create('passthru')
    await rig.docker('run', '-d', '--name', 'one', '--network', 'lan', ...SERVE)
    assert.match(await refused('run', '--rm', '--network', 'lan', 'busybox', 'true'), /EINVAL/)
    await rig.docker('rm', '-f', 'one')
  })

  test('macvlan: without a parent containers have each other and nobody else, or it is refused with the remedy', async () => {
    const create = ['network', 'create', '-d', 'macvlan', '--subnet', '10.198.3.0/24', 'inner']
    if (!(await canMake('type', 'dummy'))) {
      assert.match(await refused(...create), /dm-[0-9a-f]{12}: operation not supported .*module dummy/)
      assert.doesNotMatch(await rig.docker('network', 'ls'), /inner/)
      return
    }
    await rig.docker(...create)
    await rig.docker('run', '-d', '--name', 'one', '--network', 'inner', ...SERVE)
    await rig.docker('run', '-d', '--name', 'two', '--network', 'inner', ...SERVE)
    await until('the server', async () => (await from('two', '10.198.3.2')) === 'hello')
    assert.doesNotMatch(await rig.docker('exec', 'one', 'ip', 'route'), /default/)
    assert.equal(await rig.docker('network', 'inspect', '--format', '{{.Internal}}', 'inner'), 'true')
    assert.match(await rig.host('ip', '-o', 'link'), / dm-[0-9a-f]{12}:/)
    await rig.docker('rm', '-f', 'one', 'two')
    await rig.docker('network', 'rm', 'inner')
    assert.doesNotMatch(await rig.host('ip', '-o', 'link'), / dm-/)
  })

  test('macvlan: a VLAN of the parent is made and taken away, or refused with the remedy', async () => {
    const create = [
      'network',
      'create',
      '-d',
      'macvlan',
      '-o',
      'parent=wire.9',
      '--subnet',
      '10.198.4.0/24',
      'tagged',
    ]
    if (await canMake('link', 'wire', 'name', 'try', 'type', 'vlan', 'id', '9')) {
      await rig.docker(...create)
      assert.match(await rig.host('ip', '-d', '-o', 'link'), /wire\.9@wire: .* vlan protocol 802\.1Q id 9/)
      await rig.docker('network', 'rm', 'tagged')
    } else {
      assert.match(
        await refused(...create),
        /failed to create wire\.9 vlan link: operation not supported .*8021q/,
      )
      assert.doesNotMatch(await rig.docker('network', 'ls'), /tagged/)
    }
    assert.doesNotMatch(await rig.host('ip', '-o', 'link'), /wire\.9/)
  })

  test('macvlan: a parent that has gone is named at the start, and its return is enough', async () => {
    await rig.host('ip', 'link', 'add', 'card', 'type', 'veth', 'peer', 'name', 'plug')
    await rig.docker(
      'network',
      'create',
      '-d',
      'macvlan',
      '-o',
      'parent=card',
      '--subnet',
      '10.198.5.0/24',
      'away',
    )
    await rig.docker('create', '--name', 'one', '--network', 'away', ...SERVE)
    await rig.host('ip', 'link', 'del', 'card')
    assert.match(
      await refused('start', 'one'),
      /network away has lost its parent interface: there is no card/,
    )
    await rig.server.crash()
    await rig.start()
    await rig.host('ip', 'link', 'add', 'card', 'type', 'veth', 'peer', 'name', 'plug')
    await rig.docker('start', 'one')
    await rig.docker('rm', '-f', 'one')
    await rig.docker('network', 'rm', 'away')
  })
})
