/** The first container of an image since the engine has started: who its users are is not known yet. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Readable } from 'node:stream'
import { tarWith } from './attribute-values.ts'
import { houseForAll, skip, type Rig } from './fixture.ts'

const house = houseForAll()

/** Of file systems whose ids cannot be mapped, whole or below; and what node-exporter and cadvisor are started with. */
const BINDS = [
  ['/sys:/x'],
  ['/proc:/x:ro'],
  ['/dev:/x'],
  ['/:/x:ro,rslave'],
  ['/proc:/p:ro', '/sys:/s:ro', '/:/r:ro'],
]

for (const binds of BINDS) {
  test(`it may have ${binds.join(' ')}`, { skip }, async () => {
    await using rig = await house().open()
    const { code, output } = await rig.finish({ cmd: ['id', '-u'], user: 'root' }, { binds: [...binds] })
    assert.deepEqual([code, output], [0, '0\n'])
  })
}

test(
  'its source need not be there yet when it is created, nor when its users are looked up',
  { skip },
  async () => {
    await using rig = await house().open()
    const id = await rig.create(
      { cmd: ['true'], user: 'root' },
      { binds: [`${house().options.root}/later:/x`] },
    )
    await rig.engine.containers.start(id)
    assert.equal((await rig.engine.containers.inspect(id)).state.error, '')
  },
)

test('a container at rest with such binds has its files copied both ways', { skip }, async () => {
  await using rig = await house().open()
  for (const binds of BINDS) {
    const id = await rig.create({ cmd: ['true'] }, { binds: [...binds] })
    await copyBothWays(rig, id)
  }
})

async function copyBothWays({ engine }: Rig, id: string): Promise<void> {
  const options = { noOverwriteDirNonDir: false, copyUidGid: false }
  await engine.containers.archivePut(
    id,
    '/',
    Readable.from([tarWith({ name: 'in', content: Buffer.from('x') })]),
    options,
  )
  const { stream } = await engine.containers.archiveGet(id, '/bin/busybox')
  let size = 0
  for await (const chunk of stream) size += (chunk as Buffer).length
  assert.ok(size > 100_000)
}
