/** A kernel before 6.15, as far as this one can be treated as one: layers are stacked by path, in a mount namespace left again. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { home, skip, type Home, type Rig } from './fixture.ts'

let house: Home
let rig: Rig
before(async () => {
  if (skip) return
  house = await home({ layersByPath: true })
  rig = await house.open()
  await rig.importBusybox()
})
after(async () => {
  if (skip) return
  await rig[Symbol.asyncDispose]()
  await house[Symbol.asyncDispose]()
})

for (const usernsMode of ['', 'host'])
  test(
    `a container with layers by path does all that others do: userns=${usernsMode || 'own'}`,
    { skip },
    async () => {
      const id = await rig.run(['sleep', '100'], { usernsMode })
      const before = await readdir('/')
      assert.equal((await rig.exec(id, ['sh', '-c', 'echo hello | tee /made'])).output, 'hello\n')
      assert.deepEqual(await readdir('/'), before, 'the shim left its folder')
      const { containers } = rig.engine
      await containers.kill(id, 'SIGKILL')
      await (
        await containers.wait(id, 'not-running')
      ).result
      const { stream } = await containers.archiveGet(id, '/made')
      assert.match(await text(stream), /hello/)
      await containers.start(id)
      assert.equal((await rig.exec(id, ['cat', '/made'])).output, 'hello\n')
    },
  )
