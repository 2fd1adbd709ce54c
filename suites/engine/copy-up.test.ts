/** An empty volume is filled from the image whole, or not at all, whatever comes in between. */
import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { extract, pack } from 'tar-stream'
import { command } from '../harness/command.ts'
import { until } from '../harness/until.ts'
import { childEngine, create } from './child-engine-client.ts'
import { busyboxTar, home, skip, type Home, type Rig } from './fixture.ts'

const FILES = 4000
const DEEPER_THAN_IS_PACKED = 600
const MEGABYTE = Buffer.alloc(2 ** 20, 1)

let house: Home
let folder = ''
before(async () => {
  if (skip) return
  house = await home()
  folder = mkdtempSync(join(tmpdir(), 'dwt-eng-fill-'))
  await using rig = await house.open()
  await rig.importBusybox()
  const many = pack()
  for (let n = 0; n < FILES; n += 1) many.entry({ name: `d/${n % 10}/${n}` }, `${n}`)
  await importOver(rig, many, 'many')
  const deep = pack()
  // So many that some come before it, in whatever order the file system lists them.
  for (let n = 0; n < 400; n += 1) deep.entry({ name: `d/${n}` }, MEGABYTE.subarray(0, 20_000))
  deep.entry({ name: `d/${'a/'.repeat(DEEPER_THAN_IS_PACKED)}`, type: 'directory' })
  await importOver(rig, deep, 'deep')
  const large = pack()
  for (let n = 0; n < 4; n += 1) large.entry({ name: `d/${n}` }, MEGABYTE)
  await importOver(rig, large, 'large')
})
after(async () => {
  if (skip) return
  await house[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

/** busybox with more. */
async function importOver(rig: Rig, archive: ReturnType<typeof pack>, reference: string): Promise<void> {
  const busybox = extract()
  Readable.from([await busyboxTar()]).pipe(busybox)
  for await (const member of busybox) archive.entry(member.header, await buffer(member))
  archive.finalize()
  await rig.engine.images.import(Readable.from([await buffer(archive)]), {
    reference,
    changes: ['ENV PATH=/bin'],
    onProgress: () => undefined,
  })
}

const dataOf = (name: string): string => join(house.options.root ?? '', 'volumes', name, '_data')
/** Files, for folders are there before what is in them. */
const filesIn = (path: string): readonly string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true }).flatMap((e) => (e.isFile() ? [e.name] : []))

const counted = (volume: string) =>
  [
    { image: 'many', cmd: ['sh', '-c', 'ls /d/* | grep -c "^[0-9][0-9]*$"'] },
    { binds: [`${volume}:/d`] },
  ] as const

/** A volume that is a folder of the host, by driver options. */
const bound = (rig: Rig, name: string, device: string) =>
  rig.engine.volumes.create({ name, driver: 'local', driverOpts: { type: 'none', o: 'bind', device } })

async function smallDisk(megabytes: number): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = mkdtempSync(join(folder, 'disk-'))
  await command(['mount', '-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path], { check: true })
  return { path, [Symbol.asyncDispose]: () => command(['umount', path]).then(() => undefined) }
}

test(
  'copyUp that an image breaks off fails again the next time, and leaves the volume empty',
  { skip },
  async () => {
    await using rig = await house.open()
    const attempt = () => rig.create({ image: 'deep', cmd: ['true'] }, { binds: ['deep:/d'] })
    await assert.rejects(attempt(), /ELOOP/)
    await assert.rejects(attempt(), /ELOOP/)
    assert.deepEqual(readdirSync(dataOf('deep')), [])
    const { output } = await rig.finish(...counted('deep'))
    assert.equal(output, `${FILES}\n`, 'another image fills it')
  },
)

test(
  'copyUp onto a full disk fails each time, and fills the volume when there is room',
  { skip },
  async () => {
    await using rig = await house.open()
    await using disk = await smallDisk(2)
    await bound(rig, 'full', disk.path)
    const attempt = () =>
      rig.finish({ image: 'large', cmd: ['sh', '-c', 'cat /d/* | wc -c'] }, { binds: ['full:/d'] })
    await assert.rejects(attempt(), /no space left on device/)
    await assert.rejects(attempt(), /no space left on device/)
    assert.deepEqual(readdirSync(disk.path), [])
    await command(['mount', '-o', 'remount,size=16m', disk.path], { check: true })
    assert.equal((await attempt()).output, `${4 * MEGABYTE.length}\n`)
    assert.equal((await attempt()).output, `${4 * MEGABYTE.length}\n`)
  },
)

for (const kind of ['plain', 'bound'] as const) {
  /** Killed while the volume is being filled; where its files are. */
  const cutOff = async (name: string): Promise<string> => {
    const device = join(folder, name)
    if (kind === 'bound') {
      mkdirSync(device)
      await using rig = await house.open()
      await bound(rig, name, device)
    }
    const child = await childEngine(house)
    child.send(create(['true'], { binds: [`${name}:/d`] }, { image: 'many' }))
    const data = kind === 'bound' ? device : dataOf(name)
    await until('files', () => existing(data).length > 0, 60_000, 1)
    await child.kill()
    const there = filesIn(data).length
    assert.ok(there < FILES, `${there} files: the engine was not killed in the middle`)
    return data
  }

  test(`copyUp of a killed engine is begun anew by the next one, in a ${kind} volume`, { skip }, async () => {
    const name = `killed-${kind}`
    await cutOff(name)
    await using rig = await house.open()
    const { output } = await rig.finish(...counted(name))
    assert.equal(output, `${FILES}\n`)
  })

  test(`copyUp of a killed engine takes nobody’s files away, in a ${kind} volume`, { skip }, async () => {
    const name = `mine-${kind}`
    const data = await cutOff(name)
    const mine = join(data, readdirSync(data)[0] ?? '', 'mine')
    writeFileSync(mine, 'mine')
    await using rig = await house.open()
    const cut = new RegExp(`volume ${name} .*mine`)
    await assert.rejects(rig.finish(...counted(name)), cut)
    await assert.rejects(
      rig.finish({ cmd: ['true'] }, { binds: [`${name}:/d:nocopy`] }),
      cut,
      'no container trusts it, one that copies nothing neither',
    )
    assert.equal(readFileSync(mine, 'utf8'), 'mine')
    rmSync(mine)
    assert.equal((await rig.finish(...counted(name))).output, `${FILES}\n`)
  })
}

function existing(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

test('copyUp is waited for by whoever comes with the same volume meanwhile', { skip }, async () => {
  await using rig = await house.open()
  const first = rig.finish(...counted('twice'))
  await until('files', () => existing(dataOf('twice')).length > 0, 60_000, 1)
  const over = await Promise.all([first, rig.finish(...counted('twice'))])
  assert.deepEqual(
    over.map(({ output }) => output),
    [`${FILES}\n`, `${FILES}\n`],
  )
  assert.deepEqual(readdirSync(dirname(dataOf('twice'))), ['_data'])
})
