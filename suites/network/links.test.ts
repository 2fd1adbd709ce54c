/** `--link`: old style on the default bridge, aliases on networks of one's own. */
import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { missing } from '../harness/requirement.ts'
import { EngineRig } from './engine-rig.ts'

const skip = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'ip', 'nft', 'python3', 'nsenter')

describe('links', { skip }, () => {
  let rig: EngineRig

  before(async () => {
    rig = await EngineRig.make()
    await rig.run('data', '-e', 'SECRET=no', '--expose', '80', '--expose', '53/udp')
    await rig.run('web', '--link', 'data:db')
  })
  after(() => rig[Symbol.asyncDispose]())

  const hosts = (name: string): Promise<string> => rig.docker('exec', name, 'cat', '/etc/hosts')
  const address = (name: string): Promise<string> =>
    rig.docker('inspect', '--format', '{{.NetworkSettings.IPAddress}}', name)

  test('links: the neighbour is in /etc/hosts and in variables, of exec too', async () => {
    const at = await address('data')
    assert.match(await hosts('web'), new RegExp(`^${at}\tdb [0-9a-f]{12} data$`, 'm'))
    const variables = (await rig.docker('exec', 'web', 'env')).split('\n')
    for (const one of [
      `DB_PORT=udp://${at}:53`,
      `DB_PORT_80_TCP=tcp://${at}:80`,
      `DB_PORT_80_TCP_ADDR=${at}`,
      'DB_PORT_53_UDP_PROTO=udp',
      'DB_NAME=/web/db',
      'DB_ENV_SECRET=no',
    ])
      assert.ok(variables.includes(one), `${one} in ${variables.join(' ')}`)
    assert.equal(
      await rig.docker('inspect', '--format', '{{json .HostConfig.Links}}', 'web'),
      '["/data:/web/db"]',
    )
    assert.match(await rig.docker('ps', '--no-trunc', '--format', '{{.Names}}'), /data,web\/db/)
  })

  test('links: a neighbour that starts again at another address is found there', async () => {
    const old = await address('data')
    await rig.docker('stop', '-t', '0', 'data')
    await rig.run('squatter')
    assert.equal(await address('squatter'), old)
    await rig.docker('rename', 'data', 'store')
    await rig.docker('start', 'store')
    const now = await address('store')
    assert.notEqual(now, old)
    const text = await hosts('web')
    assert.match(text, new RegExp(`^${now}\tdb `, 'm'))
    assert.doesNotMatch(text, new RegExp(`^${old}\tdb `, 'm'))
  })

  test('links: a neighbour whose file is gone keeps nobody from starting, and is told of', async () => {
    const path = await rig.docker('inspect', '--format', '{{.HostsPath}}', 'web')
    await rename(path, `${path}.aside`)
    await rig.docker('restart', '-t', '0', 'store')
    assert.equal(await rig.docker('inspect', '--format', '{{.State.Status}}', 'store'), 'running')
    const { stderr } = await rig.server.run(['docker', 'info'])
    assert.match(stderr, /Telling container web where store is failed/)
    await rename(`${path}.aside`, path)
    await rig.docker('restart', '-t', '0', 'store')
    assert.match(await hosts('web'), new RegExp(`^${await address('store')}\tdb `, 'm'))
  })

  test('links: need somebody that runs, and can be taken away', async () => {
    const refused = async (...args: string[]): Promise<string> =>
      (await rig.server.run(['docker', ...args])).stderr
    await rig.docker('create', '--name', 'asleep', 'busybox')
    assert.match(
      await refused('run', '--name', 'lonely', '--link', 'asleep:x', 'busybox', 'true'),
      /Cannot link to a non running container: \/asleep AS \/lonely\/x/,
    )
    assert.match(
      await refused('run', '--link', 'nosuch', 'busybox', 'true'),
      /could not get container for nosuch/,
    )
    assert.match(await refused('rm', '--link', 'web/none'), /No such container: web\/none/)
    await rig.docker('rm', '--link', 'web/db')
    assert.equal(await rig.docker('inspect', '--format', '{{json .HostConfig.Links}}', 'web'), 'null')
    await rig.docker('inspect', 'store')
  })

  test('links: on a network of its own it is a name that only this container knows', async () => {
    await rig.docker('network', 'create', '--subnet', '10.199.31.0/24', 'own')
    await rig.run('near', '--network', 'own', '--ip', '10.199.31.9')
    await rig.run('far', '--network', 'own', '--link', 'near:peer')
    assert.deepEqual((await rig.ask('far', 'peer')).answers, ['10.199.31.9'])
    assert.deepEqual((await rig.ask('near', 'peer')).answers, [])
  })

  test('links: a renamed container answers to its new name, and not to the old one', async () => {
    await rig.docker('rename', 'near', 'nearer')
    assert.deepEqual((await rig.ask('far', 'nearer')).answers, ['10.199.31.9'])
    assert.deepEqual((await rig.ask('far', 'near')).answers, [])
  })
})
