/** Images that were made from one another, as builds and commits make them: what a prune takes, and in which order. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { home, skip, type Rig } from './fixture.ts'

const NOTHING = { changes: [], author: '', comment: '', pause: false }

/** Images one on top of the other, without names; the last one's id. */
async function chain(rig: Rig, length: number): Promise<string> {
  let image = 'busybox'
  for (let step = 0; step < length; step += 1) {
    const id = await rig.create({ image, cmd: ['true'] })
    image = await rig.engine.images.commit(id, { ...NOTHING, changes: [`LABEL step=${step}`] })
    await rig.engine.containers.remove(id, { force: true, volumes: true, link: false })
  }
  return image
}

test('image prune takes whole chains, in whatever order a new engine finds them', { skip }, async () => {
  await using house = await home()
  {
    await using rig = await house.open()
    await rig.importBusybox()
    for (let n = 0; n < 5; n += 1) await chain(rig, 4)
  }
  await using rig = await house.open()
  const dangling = new Map([['dangling', ['true']]])
  const { deleted } = await rig.engine.images.prune(dangling)
  // And layers, of which some are the same.
  assert.ok(deleted.length >= 20)
  const left = await rig.engine.images.list({ all: true, filters: new Map(), sharedSize: false })
  assert.deepEqual(
    left.flatMap(({ repoTags }) => repoTags),
    ['busybox:latest'],
  )
})
