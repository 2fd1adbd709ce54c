/** Networks plugged into running containers and taken off again, as `docker network connect` does. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { command } from '../harness/command.ts'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { askFrom, EngineRig } from './engine-rig.ts'

const skip = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'ip', 'nft', 'python3', 'nsenter')

describe('connect', { skip }, () => {
  let rig: EngineRig

  before(async () => {
    rig = await EngineRig.make()
    await rig.docker('network', 'create', 'front', '--subnet', '10.199.11.0/24')
    await rig.docker(
      'network',
      'create',
      'back',
      '--subnet',
      '10.199.12.0/24',
      '--ipv6',
      '--subnet',
      'fd00:199:12::/64',
    )
    await rig.docker('network', 'create', 'inner', '--internal', '--subnet', '10.199.13.0/24')
  })
  after(() => rig[Symbol.asyncDispose]())

  async function addresses(name: string): Promise<string[]> {
    const text = await rig.docker('exec', name, 'ip', '-o', 'addr')
    return [...text.matchAll(/^\d+: (eth\d)\s+inet6? ((?!fe80)[^ ]+)/gm)].map((m) => `${m[1]} ${m[2]}`)
  }
  const route = async (name: string): Promise<string> =>
    (await rig.docker('exec', name, 'ip', 'route')).split('\n').find((line) => line.startsWith('default')) ??
    ''
  const links = async (): Promise<string[]> =>
    (await rig.host('ip', '-o', 'link')).split('\n').filter((line) => / dw\w+@/.test(line))

  test('connect: a running container gets an interface, names both ways, and its place in inspect', async () => {
    await rig.run('one', '--network', 'front')
    await rig.run('two', '--network', 'back')
    const events = await eventsDuring(rig, async () => {
      await rig.docker(
        'network',
        'connect',
        '--alias',
        'uno',
        '--ip',
        '10.199.12.50',
        '--ip6',
        'fd00:199:12::50',
        'back',
        'one',
      )
    })
    assert.deepEqual(await addresses('one'), [
      'eth0 10.199.11.2/24',
      'eth1 10.199.12.50/24',
      'eth1 fd00:199:12::50/64',
    ])
    assert.match(await rig.docker('exec', 'two', 'ping', '-4', '-c', '1', 'uno'), /10\.199\.12\.50/)
    assert.deepEqual((await rig.ask('one', 'two')).answers, ['10.199.12.2'])
    assert.deepEqual((await rig.ask('two', 'one', { type: 28 })).answers, ['fd00:199:12::50'])
    assert.match(await rig.docker('exec', 'one', 'cat', '/etc/hosts'), /10\.199\.12\.50\t/)
    assert.match(events, /network connect .*name=back/)
    const seen = await rig.docker(
      'network',
      'inspect',
      'back',
      '--format',
      '{{range .Containers}}{{.Name}} {{.IPv4Address}};{{end}}',
    )
    assert.match(seen, /one 10\.199\.12\.50\/24;/)
  })

  test('connect: taken off again, nothing is left of it', async () => {
    const before = (await links()).length
    const events = await eventsDuring(rig, () => rig.docker('network', 'disconnect', 'back', 'one'))
    assert.deepEqual(await addresses('one'), ['eth0 10.199.11.2/24'])
    assert.deepEqual((await rig.ask('two', 'one')).answers, [])
    assert.deepEqual((await rig.ask('one', 'two')).answers, [])
    assert.doesNotMatch(await rig.docker('exec', 'one', 'cat', '/etc/hosts'), /10\.199\.12\.50/)
    assert.equal((await links()).length, before - 1)
    assert.match(events, /network disconnect .*name=back/)
    // The address is free again.
    await rig.run('again', '--network', 'back', '--ip', '10.199.12.50')
    await rig.docker('rm', '-f', 'again')
  })

  test('connect: a container of the default bridge begins to know names', async () => {
    await rig.run('plain')
    assert.doesNotMatch(await rig.docker('exec', 'plain', 'cat', '/etc/resolv.conf'), /127\.0\.0\.11/)
    await rig.docker('network', 'connect', 'front', 'plain')
    assert.match(await rig.docker('exec', 'plain', 'cat', '/etc/resolv.conf'), /127\.0\.0\.11/)
    assert.deepEqual((await rig.ask('plain', 'one')).answers, ['10.199.11.2'])
    await rig.docker('network', 'disconnect', 'front', 'plain')
    assert.deepEqual((await rig.ask('plain', 'one')).answers, [])
    assert.notEqual((await rig.ask('plain', 'one')).rcode, -1)
  })

  test('connect: the default route follows the priority and the order of names; never through an internal network', async () => {
    await rig.run('routes', '--network', 'inner')
    assert.equal(await route('routes'), '')
    await rig.docker('network', 'connect', 'front', 'routes')
    assert.match(await route('routes'), /via 10\.199\.11\.1 dev eth1/)
    await rig.docker('network', 'connect', 'back', 'routes')
    assert.match(await route('routes'), /via 10\.199\.12\.1 dev eth2/)
    await rig.docker('network', 'disconnect', 'front', 'routes')
    await rig.docker('network', 'connect', '--gw-priority', '5', 'front', 'routes')
    assert.match(await route('routes'), /via 10\.199\.11\.1 dev eth1/)
    await rig.docker('network', 'disconnect', 'front', 'routes')
    await rig.docker('network', 'disconnect', 'back', 'routes')
    assert.equal(await route('routes'), '')
  })

  test('connect: published ports go on, also over another network than they began on', async () => {
    await rig.docker(
      'run',
      '-d',
      '--name',
      'web',
      '-p',
      '18080:80',
      'busybox',
      'sh',
      '-c',
      'while true; do echo hello | nc -l -p 80; done',
    )
    const answer = async (): Promise<string> =>
      (
        await command([
          ...rig.network.enter,
          'busybox',
          'timeout',
          '3',
          'busybox',
          'nc',
          '172.30.0.1',
          '18080',
        ])
      ).stdout.trim()
    await until('the port', async () => (await answer()) === 'hello')
    await rig.docker('network', 'connect', 'front', 'web')
    await until('the port with two networks', async () => (await answer()) === 'hello')
    // Its name comes first, so the port leads there now, while the host asks by the address of the other bridge, on
    // which the container is, too: it must not answer there.
    await rig.docker('network', 'create', 'aaa', '--subnet', '10.199.19.0/24')
    await rig.docker('network', 'connect', 'aaa', 'web')
    await until('the port by the address of another bridge', async () => (await answer()) === 'hello')
    await rig.docker('network', 'disconnect', 'aaa', 'web')
    await rig.docker('network', 'rm', 'aaa')
    await rig.docker('network', 'disconnect', 'bridge', 'web')
    assert.deepEqual(await addresses('web'), ['eth1 10.199.11.3/24'])
    await until('the port on the other network', async () => (await answer()) === 'hello')
    await rig.docker('restart', '-t', '0', 'web')
    assert.deepEqual(await addresses('web'), ['eth0 10.199.11.3/24'])
    await until('the port after a restart', async () => (await answer()) === 'hello')
    await rig.docker('rm', '-f', 'web')
  })

  test('connect: a port that moved to another network is taken back when the container ends', async () => {
    await rig.docker('network', 'create', 'aaa', '--subnet', '10.199.19.0/24')
    await rig.run('moved', '-p', '18081:80')
    const rules = (): Promise<string> => rig.host('nft', 'list', 'table', 'ip', 'dewar_dwtn0')
    await rig.docker('network', 'connect', 'aaa', 'moved')
    assert.match(await rules(), /18081.* 10\.199\.19\.2 /)
    await rig.docker('rm', '-f', 'moved')
    assert.doesNotMatch(await rules(), /18081/)
    await rig.docker('network', 'rm', 'aaa')
  })

  test('connect: settings of an interface are its own, at the start and while the container runs', async () => {
    const option = 'com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1'
    const marks = async (): Promise<string> =>
      (
        await rig.docker('exec', 'set', 'sh', '-c', 'cat /proc/sys/net/ipv4/conf/eth?/log_martians')
      ).replaceAll('\n', '')
    await rig.run('set', '--network', `name=front,driver-opt=${option}`, '--network', 'inner')
    assert.equal(await marks(), '10')
    await rig.docker('network', 'connect', '--driver-opt', option, 'back', 'set')
    assert.equal(await marks(), '101')
    const bad = 'com.docker.network.endpoint.sysctls=net.ipv4.ip_forward=1'
    const connect = ['docker', 'network', 'connect', '--driver-opt', bad, 'bridge', 'set']
    const { stderr } = await rig.server.run(connect)
    assert.match(stderr, /unrecognised network interface sysctl/)
    await rig.docker('rm', '-f', 'set')
  })

  test('connect: works on what an engine that was killed has left, and is remembered by the next', async () => {
    await rig.docker('network', 'connect', 'back', 'one')
    await rig.server.crash()
    await rig.start()
    assert.equal((await addresses('one')).length, 3)
    assert.deepEqual((await rig.ask('two', 'one')).answers, ['10.199.12.3'])
    await rig.docker('network', 'disconnect', 'back', 'one')
    await rig.docker('network', 'connect', 'inner', 'one')
    assert.deepEqual(await addresses('one'), ['eth0 10.199.11.2/24', 'eth1 10.199.13.3/24'])
    const enter = await rig.within('one')
    assert.deepEqual((await askFrom(enter, 'one.inner')).answers, ['10.199.13.3'])
  })

  test('connect: refuses in docker words', async () => {
    const refused = async (...args: string[]): Promise<string> =>
      (await rig.server.run(['docker', 'network', ...args])).stderr.trim()
    assert.match(
      await refused('connect', 'front', 'one'),
      /endpoint with name one already exists in network front/,
    )
    assert.match(await refused('disconnect', 'back', 'one'), /is not connected to (the )?network back/)
    assert.match(await refused('connect', 'nosuch', 'one'), /network nosuch not found/)
    assert.match(await refused('connect', '--ip', '10.200.0.1', 'back', 'one'), /10\.200\.0\.1/)
    assert.match(await refused('rm', 'front'), /has active endpoints/)
  })

  test('connect: when all containers are gone, so are their interfaces', async () => {
    for (const name of ['one', 'two', 'plain', 'routes']) await rig.docker('rm', '-f', name)
    await until('no interface', async () => (await links()).length === 0)
    for (const name of ['front', 'back', 'inner']) await rig.docker('network', 'rm', name)
    assert.doesNotMatch(await rig.host('ip', '-o', 'link'), /dw[0-9a-f]{3}-/)
  })
})

/** One line for each event while `action` went on: "network connect ID (name=back, …)". */
async function eventsDuring(rig: EngineRig, action: () => Promise<unknown>): Promise<string> {
  const seconds = async (): Promise<string> => rig.host('date', '+%s.%N')
  const since = await seconds()
  await action()
  return rig.docker('events', '--since', since, '--until', await seconds())
}
