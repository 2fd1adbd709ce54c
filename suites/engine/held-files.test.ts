/** A container may hold its own files of /etc, which the engine writes while it runs: that holds up nobody. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { compiledForAll } from '../harness/compiled-for-all.ts'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { rigForAll, skip as noEngine } from './fixture.ts'

const skip = noEngine || missing('cc')
const { rig } = rigForAll()
/** Milliseconds; who waits for a lease to be given back waits for 45 seconds (lease-break-time, proc_sys_fs(5)). */
const AT_ONCE = 10_000
const program = compiledForAll('engine/hold.c', skip)

for (const how of ['read', 'write', 'run'])
  test(
    `a container that holds its hosts file (${how}) is connected and disconnected at once`,
    { skip },
    async () => {
      const { engine } = rig()
      const network = `dwtheld${how}`
      await engine.networks.create({ name: network })
      const binds = [`${program()}:/hold:ro`]
      const id = await rig().run(['/hold', how, '/etc/hosts'], { networkMode: 'bridge', binds })
      await until('the file to be held', async () => (await rig().logs(id)) === 'held\n')
      const networksOf = async () => Object.keys((await engine.containers.inspect(id)).networks)
      const before = Date.now()
      await engine.networks.connect(network, id, {})
      assert.deepEqual((await networksOf()).toSorted(), ['bridge', network])
      await engine.networks.disconnect(network, id, false)
      assert.deepEqual(await networksOf(), ['bridge'])
      assert.ok(Date.now() - before < AT_ONCE, `the engine stood still for ${Date.now() - before} ms`)
      await engine.containers.remove(id, { force: true, volumes: true, link: false })
      await engine.networks.remove(network)
    },
  )

test('a container starts while one that shares its network holds its hosts file', { skip }, async () => {
  const { containers } = rig().engine
  const id = await rig().run(['sleep', '600'], { networkMode: 'bridge', usernsMode: 'host' })
  const shares = {
    networkMode: `container:${id}`,
    usernsMode: 'host',
    binds: [`${program()}:/hold:ro`],
  } as const
  const neighbour = await rig().run(['/hold', 'read', '/etc/hosts'], shares)
  await until('the file to be held', async () => (await rig().logs(neighbour)) === 'held\n')
  const before = Date.now()
  await containers.restart(id, { timeout: 0 })
  assert.ok(Date.now() - before < AT_ONCE, `the engine stood still for ${Date.now() - before} ms`)
  const hosts = await rig().exec(id, ['cat', '/etc/hosts'])
  assert.match(hosts.output, new RegExp(`\t${id.slice(0, 12)}\n`))
  for (const one of [neighbour, id]) await containers.remove(one, { force: true, volumes: true, link: false })
})
