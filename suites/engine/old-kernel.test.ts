/** A kernel before 6.15, as far as this one can be treated as one: layers are stacked by path, in a mount namespace left again. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { rigForAll, skip } from './fixture.ts'

const { rig } = rigForAll({ layersByPath: true })

/** The part is copied while the tree hangs in the namespace that is left again: older kernels want that. */
test('an image is mounted by path as well, whole and in part', { skip }, async () => {
  const image = { type: 'image', source: 'busybox' } as const
  const mounts = [
    { ...image, target: '/whole' },
    { ...image, target: '/part', imageOptions: { subpath: 'bin' } },
  ]
  const cmd = ['sh', '-c', 'ls /whole/bin/sh /part/sh; touch /whole/x /part/x']
  for (const usernsMode of ['', 'host']) {
    const { output } = await rig().finish({ cmd }, { usernsMode, mounts })
    assert.match(output, /^\/part\/sh\n\/whole\/bin\/sh\n(touch: .*Read-only file system\n){2}$/)
  }
})

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
