/** File capabilities and ACLs name ids: outside of a container, in layers, archives and volumes, those it has inside. */
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { compiledForAll } from '../harness/compiled-for-all.ts'
import { missing } from '../harness/requirement.ts'
import {
  ACL,
  acl,
  attributesIn,
  attributesInLayer,
  CAPABILITY,
  DEFAULT_ACL,
  NET_RAW_FILE,
  netRawOf,
  tarWith,
} from './attribute-values.ts'
import { rigForAll, skip as noEngine } from './fixture.ts'

const skip = noEngine || missing('cc')
const { house, rig } = rigForAll()
const program = compiledForAll('engine/xattr.c', skip)

const withProgram = (...binds: readonly string[]) => ({ binds: [`${program()}:/x:ro`, ...binds] })

async function commit(id: string, reference: string): Promise<void> {
  await rig().engine.images.commit(id, { reference, comment: '', author: '', pause: true, changes: [] })
}

async function importTar(tar: Readable, reference: string): Promise<void> {
  await rig().engine.images.import(tar, { reference, changes: [], onProgress: () => undefined })
}

/** An attribute as a container of the image sees it; `binds`: volumes it is to be seen through. */
async function seen(image: string, path: string, name: string, ...binds: readonly string[]): Promise<string> {
  const cmd = ['/x', 'get', path, name]
  const { code, output } = await rig().finish({ image, cmd }, withProgram(...binds))
  assert.equal(code, 0, output)
  return output.trim()
}

const exported = async (id: string) => attributesIn(await rig().engine.containers.export(id))
const layerOf = async (image: string) => attributesInLayer(await rig().engine.images.save([image]))

test(
  'commit keeps capabilities of a file for every container, whatever range set them',
  { skip },
  async () => {
    const set = `cat /x >/cap; chmod 755 /cap; /x set /cap ${CAPABILITY} ${NET_RAW_FILE}`
    const other = `cat /x >/nested; /x set /nested ${CAPABILITY} ${netRawOf(1000)}`
    const { id, code, output } = await rig().finish({ cmd: ['sh', '-c', `${set}; ${other}`] }, withProgram())
    assert.equal(code, 0, output)
    assert.equal((await exported(id)).get(`cap ${CAPABILITY}`), NET_RAW_FILE)
    await commit(id, 'capable')
    const layer = await layerOf('capable')
    assert.equal(layer.get(`cap ${CAPABILITY}`), NET_RAW_FILE)
    // Of a user namespace inside the container, whose root is its user 1000: not for the container's own root.
    assert.equal(layer.get(`nested ${CAPABILITY}`), netRawOf(1000))
    assert.equal(await seen('capable', '/cap', CAPABILITY), NET_RAW_FILE)
    assert.equal(await seen('capable', '/nested', CAPABILITY), netRawOf(1000))
    const ran = await rig().finish({ image: 'capable', cmd: ['/cap', 'caps'], user: '1000' })
    assert.equal(ran.output, 'CapEff:\t0000000000002000\n')
  },
)

test('ACLs name ids of the container in layers, archives and volumes', { skip }, async () => {
  const [wanted, inherited] = [acl(1000, 65_000), acl(7)]
  const script = [
    `mkdir /n && echo x >/n/f && chmod 770 /n/f`,
    `/x set /n/f ${ACL} ${wanted}`,
    `/x set /n ${DEFAULT_ACL} ${inherited}`,
  ].join(' && ')
  const { id, code, output } = await rig().finish({ cmd: ['sh', '-c', script] }, withProgram())
  assert.equal(code, 0, output)
  await commit(id, 'listed')
  const layer = await layerOf('listed')
  assert.deepEqual([layer.get(`n/f ${ACL}`), layer.get(`n ${DEFAULT_ACL}`)], [wanted, inherited])
  assert.deepEqual(
    [await seen('listed', '/n/f', ACL), await seen('listed', '/n', DEFAULT_ACL)],
    [wanted, inherited],
  )

  assert.deepEqual(
    [await seen('listed', '/v/f', ACL, 'kept:/v'), await seen('listed', '/n/f', ACL, 'filled:/n')],
    ['errno 2', wanted],
  )
  assert.equal(await seen('busybox', '/other/f', ACL, 'filled:/other'), wanted, 'another range')
  assert.equal(await seen('busybox', '/other', DEFAULT_ACL, 'filled:/other'), inherited)

  const archive = await exported(id)
  assert.deepEqual([archive.get(`n/f ${ACL}`), archive.get(`n ${DEFAULT_ACL}`)], [wanted, inherited])
  await importTar(await rig().engine.containers.export(id), 'imported')
  assert.equal(await seen('imported', '/n/f', ACL), wanted)

  const { stream } = await rig().engine.containers.archiveGet(id, '/n')
  const to = await rig().create({ cmd: ['/x', 'get', '/srv/n/f', ACL] }, withProgram())
  const options = { noOverwriteDirNonDir: false, copyUidGid: false }
  await rig().engine.containers.archivePut(to, '/srv', stream, options)
  assert.equal((await exported(to)).get(`srv/n/f ${ACL}`), wanted)
})

test(
  'an image with ACLs and capabilities of ids that no container has is used, without these',
  { skip },
  async () => {
    const [both, one] = [acl(1000, 70_000), acl(1000)]
    const tar = tarWith(
      { name: 'x', mode: 0o755, content: readFileSync(program()) },
      { name: 'd/', kind: 'dir', xattrs: { [DEFAULT_ACL]: both } },
      { name: 'd/f', xattrs: { [ACL]: both, 'user.kept': '01' } },
      { name: 'd/plain', mode: 0o640 },
      { name: 'd/inner/', kind: 'dir' },
      { name: 'd/inner/f' },
      { name: 'd/cap', xattrs: { [CAPABILITY]: netRawOf(1_234_567) } },
    )
    await importTar(Readable.from([tar]), 'foreign')
    const id = await rig().create({ image: 'foreign', cmd: ['/x'] })
    const archive = await exported(id)
    assert.deepEqual(
      [archive.get(`d/f ${ACL}`), archive.get(`d ${DEFAULT_ACL}`), archive.get('d/f user.kept')],
      [one, one, '01'],
    )
    const inherited = ['d/plain', 'd/inner', 'd/inner/f'].filter((name) => archive.has(`${name} ${ACL}`))
    assert.deepEqual(inherited, [], 'what has no ACL gets none from the folder it is in')
    assert.equal(archive.has(`d/cap ${CAPABILITY}`), false)
    const { id: filled, code } = await rig().finish(
      { image: 'foreign', cmd: ['/x', 'caps'] },
      { binds: ['far:/d'] },
    )
    assert.equal(code, 0)
    const mounted = join(house().options.root ?? '', 'volumes/far/_data')
    const onHost = (name: string) =>
      execFileSync(program(), ['get', join(mounted, name), ACL], { encoding: 'utf8' }).trim()
    assert.deepEqual(['f', 'plain', 'inner/f'].map(onHost), [one, 'errno 61', 'errno 61'])
    await rig().engine.containers.remove(filled, { force: true, volumes: true, link: false })
  },
)
