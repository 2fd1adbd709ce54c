/** Networks of containers that run: what the container does meanwhile keeps nothing from being changed, nor is it lost. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { EngineEvent } from '../../src/index.ts'
import { until } from '../harness/until.ts'
import { rigForAll, skip } from './fixture.ts'

const { house, rig } = rigForAll()

const inside = async (id: string, ...cmd: string[]) => (await rig().exec(id, cmd)).output.trim()

/**
 * Off `zone` its default route would be that of `plain` again, whose interface the guest has set down: the kernel refuses
 * that.
 */
async function withoutWayOut(): Promise<string> {
  const { networks } = rig().engine
  for (const name of ['plain', 'zone']) await networks.create({ name })
  const id = await rig().run(['sleep', '60'], { networkMode: 'plain', capAdd: ['NET_ADMIN'] })
  await networks.connect('zone', id, { gwPriority: 1 })
  await inside(id, 'ip', 'link', 'set', 'eth0', 'down')
  return id
}

async function removed(...ids: readonly string[]): Promise<void> {
  for (const id of ids) await rig().engine.containers.remove(id, { force: true, volumes: true, link: false })
  for (const name of ['zone', 'plain']) await rig().engine.networks.remove(name)
}

test(
  'networks.disconnect takes a container off that has seen to it that its default route cannot be set',
  { skip },
  async () => {
    const { networks, containers } = rig().engine
    const id = await withoutWayOut()
    const events = rig().record()
    await networks.disconnect('zone', id, false)
    const isOff = ({ type, action }: EngineEvent) => type === 'network' && action === 'disconnect'
    await until('the event', () => events.seen.some(isOff))
    events.stop()
    assert.deepEqual(Object.keys((await containers.inspect(id)).networks), ['plain'])
    assert.deepEqual((await inside(id, 'ls', '/sys/class/net')).split(/\s+/), ['eth0', 'lo'])
    await assert.rejects(networks.disconnect('zone', id, false), /is not connected to network zone/)
    // Its way back is its own affair, and open.
    await inside(id, 'ip', 'link', 'set', 'eth0', 'up')
    await networks.connect('zone', id, {})
    assert.match(await inside(id, 'ip', 'route'), /^default via \S+ dev eth0/)
    await removed(id)
  },
)

test(
  'what is no text in /etc/hosts is kept as it is, whatever comes and goes beside it',
  { skip },
  async () => {
    const { networks, containers } = rig().engine
    for (const name of ['plain', 'zone']) await networks.create({ name })
    const id = await rig().run(['sleep', '60'], { networkMode: 'plain' })
    const hosts = (one = id) =>
      readFileSync(join(house().options.root ?? '', 'containers', one, 'hosts'), 'latin1')
    const write = (one: string) => inside(one, 'sh', '-c', "printf '1.2.3.4\\tca\\351f\\377\\n' >>/etc/hosts")
    await write(id)
    const before = hosts()
    assert.match(before, /1\.2\.3\.4\tca\xe9f\xff\n$/)
    await networks.connect('zone', id, {})
    assert.ok(hosts().startsWith(before) && hosts() !== before)
    await networks.disconnect('zone', id, false)
    assert.equal(hosts(), before)
    const neighbour = await rig().create({ cmd: ['sleep', '60'] }, { networkMode: 'bridge' }, 'neighbour')
    await containers.start(neighbour)
    const linked = await rig().run(['sleep', '60'], { networkMode: 'bridge', links: ['neighbour:n'] })
    await write(linked)
    const whole = hosts(linked)
    await containers.restart(neighbour, { timeout: 0 })
    assert.equal(hosts(linked), whole)
    await removed(linked, neighbour, id)
  },
)
