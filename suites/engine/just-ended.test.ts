/** In the moment between the telling of a container's end and its record: whoever needs its first process. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { rigForAll, skip } from './fixture.ts'
import { HasEnded } from '../../src/kernel/shim-control.ts'
import { ShimClient } from '../../src/kernel/shim.ts'
import { until } from '../harness/until.ts'

const { rig } = rigForAll()

test(
  'who needs the first process of a container that has just ended is told so, and what to do',
  { skip },
  async (t) => {
    const id = await rig().run(['sleep', '600'])
    const joining = await rig().create({ cmd: ['true'] }, { networkMode: `container:${id}` })
    // The moment is too short to be met: what the shim's client does in it.
    t.mock.method(ShimClient.prototype, 'whilePid', () => Promise.reject(new HasEnded(`/run/${id}`)))
    await assert.rejects(rig().engine.containers.start(joining), {
      code: 'conflict',
      message: `cannot join network of a non running container: ${id} (start it first)`,
    })
    assert.deepEqual((await rig().engine.containers.stats(id)).networks, {})
    await assert.rejects(rig().engine.containers.archiveGet(id, '/bin'), {
      code: 'conflict',
      message: `Reaching into container ${id} failed: it has just ended (start it again)`,
    })
  },
)

test(
  'a container that ends while it is plugged into a network, or taken off, has it so at its next start',
  { skip },
  async (t) => {
    const { containers, networks } = rig().engine
    const { id: network } = await networks.create({ name: 'late' })
    const id = await rig().run(['sleep', '600'], { networkMode: 'bridge' })
    const on = async (): Promise<string[]> => Object.keys((await containers.inspect(id)).networks)
    const { whilePid } = ShimClient.prototype
    const ending: typeof whilePid = function (this: ShimClient, work) {
      return whilePid.call(this, async (pid, release) => {
        process.kill(pid, 'SIGKILL')
        // Of a zombie it cannot be opened.
        await until('the end', () => !existsSync(`/proc/${pid}/ns/net`))
        return work(pid, release)
      }) as ReturnType<typeof work>
    }

    const plugging = t.mock.method(ShimClient.prototype, 'whilePid', ending)
    await networks.connect('late', id, {})
    plugging.mock.restore()
    assert.deepEqual(await on(), ['bridge', 'late'])
    await containers.start(id)
    assert.deepEqual(Object.keys((await containers.stats(id)).networks), ['eth0', 'eth1'])

    const unplugging = t.mock.method(ShimClient.prototype, 'whilePid', ending)
    await networks.disconnect('late', id, false)
    unplugging.mock.restore()
    assert.deepEqual(await on(), ['bridge'])
    await containers.start(id)
    assert.deepEqual(Object.keys((await containers.stats(id)).networks), ['eth0'])
    await containers.remove(id, { force: true, volumes: true, link: false })
    await networks.remove(network)
  },
)

test(
  'who needs the first process of a container whose end its shim has still to tell of is told the same',
  { skip },
  async () => {
    const id = await rig().run(['sleep', '600'], { networkMode: 'bridge' })
    const joining = await rig().create({ cmd: ['true'] }, { networkMode: `container:${id}` })
    const { id: network } = await rig().engine.networks.create({ name: 'late' })
    const { pid } = (await rig().engine.containers.inspect(id)).state
    const shim = Number(/^PPid:\s*(\d+)/m.exec(statusOf(pid))?.[1])
    // A shim that is stopped neither reaps its process nor tells of its end, which lasts as long as a client that does not read.
    process.kill(shim, 'SIGSTOP')
    try {
      process.kill(pid, 'SIGKILL')
      await until('the end of the process', () => /^State:\s*Z/m.test(statusOf(pid)))
      await assert.rejects(rig().engine.containers.start(joining), {
        code: 'conflict',
        message: `cannot join network of a non running container: ${id} (start it first)`,
      })
      const ended = {
        code: 'conflict',
        message: `Reaching into container ${id.slice(0, 24)} failed: it has just ended (start it again)`,
      }
      await assert.rejects(rig().engine.containers.archiveGet(id, '/bin'), ended)
      await assert.rejects(rig().engine.networks.connect(network, id, {}), ended)
      await assert.rejects(rig().engine.containers.pause(id), {
        code: 'conflict',
        message: `container ${id} is not running`,
      })
      await assert.rejects(rig().engine.networks.disconnect('bridge', id, false), ended)
    } finally {
      process.kill(shim, 'SIGCONT')
    }
    await rig().engine.containers.remove(id, { force: true, volumes: false, link: false })
    await rig().engine.networks.remove(network)
  },
)

const statusOf = (pid: number): string => readFileSync(`/proc/${pid}/status`, 'utf8')
