/** In the moment between the telling of a container's end and its record: whoever needs its first process. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rigForAll, skip } from './fixture.ts'
import { HasEnded } from '../../src/kernel/shim-control.ts'
import { ShimClient } from '../../src/kernel/shim.ts'

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
