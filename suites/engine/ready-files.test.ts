/**
 * The files of starts that are begun before they are asked for (src/engine/ready.ts, src/engine/container-folder.ts):
 * folders that are made in advance, and layers that two mounts must not have at a time.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { until } from '../harness/until.ts'
import { tarOf } from '../harness/oci-layout.ts'
import { membersOf } from './begun.ts'
import { childEngine, create } from './child-engine-client.ts'
import { home, rigForAll, skip, type Home } from './fixture.ts'

const { house, rig } = rigForAll()
/** For a second engine. */
const BESIDE = { bridge: `dwtr${process.pid}`, subnet: `10.203.${process.pid % 256}.0/24` }
const NOWHERE = { force: true, volumes: true, link: false }

/** Folders of containers, there or to come, and of their runs. */
function foldersOf({ options: { root = '', run = '' } }: Home = house()): {
  readonly ids: readonly string[]
  readonly runs: readonly string[]
} {
  const list = (path: string): readonly string[] => (existsSync(path) ? readdirSync(path).toSorted() : [])
  return { ids: list(join(root, 'containers')), runs: list(join(run, 'c')) }
}

/** The one whose folders are there before it is. */
const spareBeside = (known: readonly string[], of: Home = house()): Promise<string> =>
  until('a next one to be furnished and begun', () =>
    foldersOf(of).ids.find((id) => !known.includes(id) && membersOf(of).has(id)),
  )

async function removeAll(): Promise<void> {
  const { containers } = rig().engine
  for (const { id } of await containers.list({ all: true, limit: 0, size: false, filters: new Map() }))
    await containers.remove(id, NOWHERE)
}

test(
  'the next container like one finds its folders, with all that is written when it starts',
  { skip },
  async () => {
    const first = await rig().run(['sleep', '600'])
    const spare = await spareBeside([first])
    const folder = join(house().options.root ?? '', 'containers', spare)
    const inodes = () => new Map(readdirSync(folder).map((name) => [name, statSync(join(folder, name)).ino]))
    const before = inodes()
    const over = await rig().finish({ cmd: ['sh', '-c', 'hostname; cat /etc/hostname; touch /made'] })
    assert.equal(over.id, spare)
    assert.equal(over.output, `${spare.slice(0, 12)}\n`.repeat(2))
    assert.deepEqual(await rig().engine.containers.changes(spare), [{ path: '/made', kind: 1 }])
    // Nothing of it was made anew but what a first write gives its name to.
    const now = inodes()
    for (const [name, inode] of before)
      if (!name.startsWith('.tmp-')) assert.equal(now.get(name), inode, name)
    assert.deepEqual(
      [...now.keys()].filter((name) => !before.has(name)),
      ['record.json'],
    )
    const mode = (name: string) => statSync(join(folder, name)).mode & 0o777
    assert.deepEqual(['record.json', 'log', 'hosts', 'upper'].map(mode), [0o600, 0o640, 0o644, 0o755])
    await removeAll()
  },
)

test('folders that nobody wanted go', { skip }, async () => {
  const { id } = await rig().finish({ cmd: ['true'] })
  const spare = await spareBeside([id])
  // One that gets them and is removed before it starts, and one that nobody gets.
  assert.equal(await rig().create({ cmd: ['true'] }), spare)
  await rig().engine.containers.remove(spare, NOWHERE)
  assert.deepEqual(foldersOf(), { ids: [id], runs: [] })
  await rig().engine.containers.start(id)
  const other = await spareBeside([id])
  await until('it to run out of patience', () => !foldersOf().ids.includes(other), 15_000)
  await until('its groups to be gone', () => membersOf(house()).size === 0)
  assert.deepEqual(foldersOf(), { ids: [id], runs: [] })
  await removeAll()
})

test('a create that is refused gives back the folders', { skip }, async () => {
  const id = await rig().run(['true'], {}, 'taken')
  for (let n = 0; n < 3; n += 1) {
    await spareBeside([id])
    await assert.rejects(rig().create({ cmd: ['true'] }, {}, 'taken'), { code: 'conflict' })
    await until('its folders to be gone', () => foldersOf().ids.length === 1 && foldersOf().runs.length === 0)
    const over = await rig().engine.containers.wait(id, 'next-exit')
    await rig().engine.containers.start(id)
    await over.result
  }
  await removeAll()
})

test('an engine that closes, or is killed, leaves no folder of a next container', { skip }, async () => {
  await using own = await home(BESIDE)
  await using first = await own.open()
  await first.importBusybox()
  const { id } = await first.finish({ cmd: ['true'] })
  await spareBeside([id], own)
  // And one that was begun for a container itself.
  const waits = await first.create({ cmd: ['true'] }, { memory: 68 << 20 })
  await until('it to be begun', () => membersOf(own).has(waits))
  await first[Symbol.asyncDispose]()
  assert.deepEqual(foldersOf(own), { ids: [id, waits].toSorted(), runs: [] })

  const child = await childEngine(own)
  const ran = await child.ask(create(['true']))
  await child.ask({ start: ran })
  await spareBeside([id, waits, ran], own)
  await child.kill()
  assert.equal(foldersOf(own).ids.length, 4)
  await using next = await own.open()
  assert.deepEqual(foldersOf(own), { ids: [id, waits, ran].toSorted(), runs: [] })
  assert.equal((await next.finish({ cmd: ['true'] })).code, 0)
})

test('files that are copied into a created container are there when it starts', { skip }, async () => {
  const text = 'by cp\n'
  const tar = await tarOf([{ name: 'file', content: text }])
  const put = (id: string) =>
    rig().engine.containers.archivePut(id, '/', Readable.from([tar]), {
      noOverwriteDirNonDir: false,
      copyUidGid: false,
    })
  const { id } = await rig().finish({ cmd: ['true'] })
  for (const when of ['at once', 'when it is begun', 'by one with folders of a next one'] as const) {
    if (when.startsWith('by')) await spareBeside([id])
    const made = await rig().create(
      { cmd: ['cat', '/file'] },
      when.startsWith('by') ? {} : { memory: 67 << 20 },
    )
    if (when === 'when it is begun') await until('it to be begun', () => membersOf(house()).has(made))
    await put(made)
    // Two mounts of the same writable layer at a time would be undefined (overlayfs.rst, "Sharing and copying layers").
    assert.equal(membersOf(house()).get(made), undefined, when)
    const over = await rig().engine.containers.wait(made, 'next-exit')
    await rig().engine.containers.start(made)
    await over.result
    assert.equal(await rig().logs(made), text, when)
    await rig().engine.containers.remove(made, NOWHERE)
  }
  await removeAll()
})

test('who its user is may stand in files of its own', { skip }, async () => {
  const passwd = join(house().options.root ?? '', 'passwd')
  writeFileSync(passwd, 'me:x:4711:4711::/:/bin/sh\n')
  const mounts = { binds: [`${passwd}:/etc/passwd:ro`] }
  const id = await rig().create({ cmd: ['sh', '-c', 'id -u; sleep 600'], user: 'me' }, mounts)
  const [begun] = await until('it to be begun', () => membersOf(house()).get(id))
  await rig().engine.containers.start(id)
  await until('what it says', async () => (await rig().logs(id)) === '4711\n')
  // To look for them, its layers were mounted: not while what was begun had them.
  assert.ok(
    membersOf(house())
      .get(id)
      ?.includes(begun ?? 0) === false,
  )
  await removeAll()
})

test('an image that is removed and made anew is not taken for the one that waits', { skip }, async () => {
  await using own = await home(BESIDE)
  await using engine = await own.open()
  const layers = () => readdirSync(join(own.options.root ?? '', 'images/layers'))
  const none = layers()
  for (let round = 0; round < 3; round += 1) {
    await engine.importBusybox()
    const over = await engine.finish({ cmd: ['echo', 'here'] })
    assert.equal(over.output, 'here\n')
    const spare = await spareBeside([over.id], own)
    await engine.engine.containers.remove(over.id, NOWHERE)
    await engine.engine.images.remove('busybox', { force: false, noPrune: false })
    assert.equal(membersOf(own).get(spare), undefined)
    // All of its layers are off the disk, and nothing holds them any more.
    assert.deepEqual(layers(), none)
  }
})

test('what is mounted in addition does not keep a container from what was begun', { skip }, async () => {
  const shared = join(house().options.root ?? '', 'shared')
  writeFileSync(shared, 'shared\n')
  const { id } = await rig().finish({ cmd: ['true'] })
  const spare = await spareBeside([id])
  const [begun] = membersOf(house()).get(spare) ?? []
  const cmd = ['sh', '-c', 'cat /shared; sleep 600']
  const next = await rig().run(cmd, { binds: [`${shared}:/shared:ro`] })
  assert.deepEqual(
    [
      next,
      membersOf(house())
        .get(next)
        ?.includes(begun ?? 0),
    ],
    [spare, true],
  )
  await until('what it sees', async () => (await rig().logs(next)) === 'shared\n')
  await removeAll()
})

test('another image, by the same name too, or another log, is another kind', { skip }, async () => {
  const tar = await tarOf([{ name: 'file', content: 'other' }])
  const importAs = (reference: string) =>
    rig().engine.images.import(Readable.from([tar]), { reference, changes: [], onProgress: () => undefined })
  await importAs('other')
  await rig().engine.images.tag('busybox', 'moves')
  const { id } = await rig().finish({ cmd: ['true'], image: 'moves' })
  const spare = await spareBeside([id])
  await rig().engine.images.tag('other', 'moves')
  const made = [
    await rig().create({ cmd: ['true'], image: 'other' }),
    await rig().create({ cmd: ['true'], image: 'moves' }),
    await rig().create({ cmd: ['true'] }, { logConfig: { type: 'none', config: {} } }),
  ]
  assert.ok(!made.includes(spare))
  // The image is the same by its other name.
  assert.equal(await rig().create({ cmd: ['true'] }), spare)
  await removeAll()
})

test('the note of an exit is whole, whatever an earlier run left half', { skip }, async () => {
  await using own = await home(BESIDE)
  {
    await using engine = await own.open()
    await engine.importBusybox()
  }
  const child = await childEngine(own)
  const shared = join(own.options.root ?? '', 'shared')
  mkdirSync(shared)
  const wait = 'until [ -e /shared/go ]; do sleep 0.1; done; exit 7'
  const id = await child.ask(create(['sh', '-c', wait], { binds: [`${shared}:/shared`] }))
  await child.ask({ start: id })
  const run = join(own.options.run ?? '', 'c', id.slice(0, 24))
  writeFileSync(join(run, 'exit.tmp'), 'x'.repeat(4000))
  await child.kill()
  writeFileSync(join(shared, 'go'), '')
  await until('its end', () => existsSync(join(run, 'exit')))
  assert.ok(!readFileSync(join(run, 'exit'), 'utf8').includes('x'))
  await using next = await own.open()
  const { state } = await next.engine.containers.inspect(id)
  assert.deepEqual([state.status, state.status === 'exited' ? state.exitCode : undefined], ['exited', 7])
})

const EXT4 = 0xef53
const notExt4 = statfsSync(tmpdir()).type === EXT4 ? false : `${tmpdir()} is no ext4: there is no such flag`

test(
  'ext4 is asked to place the folders of containers and of their runs apart',
  { skip: skip || notExt4 },
  () => {
    const { root = '', run = '' } = house().options
    for (const folder of [join(root, 'containers'), join(run, 'c')])
      assert.match(execFileSync('lsattr', ['-d', folder], { encoding: 'utf8' }), /^\S*T/)
  },
)
