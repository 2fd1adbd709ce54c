/** Pausing what ends, seems to have ended, or is to end. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasNamespaces } from '../../src/base/process-namespaces.ts'
import { compiledForAll } from '../harness/compiled-for-all.ts'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { rigForAll, skip as noEngine } from './fixture.ts'

const skip = noEngine || missing('cc')
const { rig } = rigForAll()
const program = compiledForAll('engine/first-thread.c', skip)

const remove = (id: string) => rig().engine.containers.remove(id, { force: true, volumes: true, link: false })

test(
  'a container whose first thread has ended goes on, and is paused and committed like others',
  { skip },
  async () => {
    const { containers, images } = rig().engine
    const id = await rig().run(['/first-thread'], { binds: [`${program()}:/first-thread:ro`] })
    const { pid } = (await containers.inspect(id)).state
    await until('the end of the thread', () => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')))
    await containers.pause(id)
    assert.equal((await containers.inspect(id)).state.status, 'paused')
    // Its shim may still be reading what it wrote.
    let said = ''
    await until('silence', async () => {
      const before = await rig().logs(id)
      await sleep(200)
      said = await rig().logs(id)
      return said === before
    })
    await containers.unpause(id)
    await until('more output', async () => (await rig().logs(id)).length > said.length)
    const events = rig().record()
    await images.commit(id, { changes: [], author: '', comment: '', pause: true })
    await until('the events', () => events.seen.some(({ action }) => action === 'commit'))
    events.stop()
    assert.deepEqual(
      events.seen.map(({ action }) => action).filter((action) => action.includes('pause')),
      ['pause', 'unpause'],
    )
    await remove(id)
  },
)

test('a signal that comes while a container is being frozen is acted on', { skip: noEngine }, async () => {
  const { containers } = rig().engine
  let paused = 0
  for (let round = 0; round < 10; round += 1) {
    const id = await rig().run(['sh', '-c', "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"])
    await until('the trap', async () => (await rig().logs(id)) === 'ready\n')
    const pausing = containers.pause(id).then(
      () => (paused += 1),
      () => 'it ended before',
    )
    await containers.stop(id, { timeout: 20 })
    await pausing
    assert.equal((await containers.inspect(id)).state.exitCode, 7, `round ${round}: killed`)
    await remove(id)
  }
  assert.ok(paused > 0, 'no signal met a pause')
})

test('who is to end and cannot yet, frozen as it is, has as good as ended', { skip }, async () => {
  const { containers } = rig().engine
  for (const cmd of [['/first-thread'], ['sleep', '600']]) {
    const id = await rig().run(cmd, { binds: [`${program()}:/first-thread:ro`] })
    const { pid } = (await containers.inspect(id)).state
    await containers.pause(id)
    assert.equal(hasNamespaces(pid), true)
    const over = await containers.wait(id, 'next-exit')
    process.kill(pid, 'SIGKILL')
    assert.equal(hasNamespaces(pid), false)
    await containers.unpause(id)
    assert.equal((await over.result).code, 137)
    await remove(id)
  }
})
