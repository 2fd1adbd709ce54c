/** A kernel before 6.15, as far as this one can be treated as one: layers are stacked by path, in a mount namespace left again. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { rigForAll, skip } from './fixture.ts'

const { rig } = rigForAll({ layersByPath: true })

for (const usernsMode of ['', 'host'])
  test(
    `a container with layers by path does all that others do: userns=${usernsMode || 'own'}`,
    { skip },
    async () => {
      const id = await rig().run(['sleep', '100'], { usernsMode })
      const before = await readdir('/')
      assert.equal((await rig().exec(id, ['sh', '-c', 'echo hello | tee /made'])).output, 'hello\n')
      assert.deepEqual(await readdir('/'), before, 'the shim left its folder')
      const { containers } = rig().engine
      await containers.kill(id, 'SIGKILL')
      await (
        await containers.wait(id, 'not-running')
      ).result
      const { stream } = await containers.archiveGet(id, '/made')
      assert.match(await text(stream), /hello/)
      await containers.start(id)
      assert.equal((await rig().exec(id, ['cat', '/made'])).output, 'hello\n')
    },
  )
