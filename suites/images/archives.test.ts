import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { DewarError } from '../../src/base/errors.ts'
import { opsToTar } from '../../src/store/ops-to-tar.ts'
import { packFolder, unpackOps } from '../../src/store/unpack.ts'
import {
  listener,
  makeImage,
  openStore,
  pullOptions,
  pushWithSkopeo,
  scratch,
  startRegistry,
  tarOf,
  writeLayout,
} from './harness.ts'

const image = makeImage([
  tarOf([
    { name: 'etc/', kind: 'dir' },
    { name: 'etc/passwd', data: 'root:x:0:0::/:/bin/sh\n' },
  ]),
  tarOf([{ name: 'hello', data: 'hello\n' }]),
])
const NONE = new Map<string, readonly string[]>()
const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

test('save writes an archive that load, skopeo (both formats) and GNU tar read, digests kept', async () => {
  using folder = scratch()
  await using registry = await startRegistry(join(folder.path, 'registry'))
  pushWithSkopeo(image, `${registry.host}/app:1`)
  await using store = await openStore({ root: join(folder.path, 'store') })
  const ref = `${registry.host}/app:1`
  await store.service.pull(ref, pullOptions())
  await store.service.tag(ref, 'app:two')
  const file = join(folder.path, 'saved.tar')
  await pipeline(await store.service.save([ref, 'app:two']), createWriteStream(file))
  const names = run('tar', '-tf', file).trim().split('\n')
  for (const name of ['manifest.json', 'index.json', 'oci-layout', 'repositories'])
    assert.ok(names.includes(name), name)
  const shown = JSON.parse(run('skopeo', 'inspect', '--insecure-policy', `docker-archive:${file}`)) as {
    Layers: string[]
  }
  assert.equal(shown.Layers.length, 2)
  const layout = join(folder.path, 'layout')
  mkdirSync(layout)
  run('tar', '-xf', file, '-C', layout)
  const digest = run(
    'skopeo',
    'inspect',
    '--insecure-policy',
    '--format',
    '{{.Digest}}',
    `oci:${layout}:two`,
  ).trim()
  assert.equal(digest, image.digest)

  await using other = await openStore({ root: join(folder.path, 'other') })
  const { lines, onProgress } = listener()
  await other.service.load(createReadStream(file), onProgress)
  assert.deepEqual(
    lines.filter((line) => line.startsWith('Loaded')),
    [`Loaded image: ${ref}`, 'Loaded image: app:two'],
  )
  assert.equal((await other.service.inspect('app:two')).id, image.id)
  assert.equal(readFileSync(join(other.service.rootfs('app:two')[0] ?? '', 'hello'), 'utf8'), 'hello\n')
  assert.deepEqual(readdirSync(join(other.root, 'blobs/sha256')).length, 4)
  await assert.rejects(store.service.save(['nosuch']), {
    code: 'not-found',
    message: 'No such image: nosuch',
  })
})

test('load reads what skopeo writes: docker-archive and oci-archive, also compressed', async () => {
  using folder = scratch()
  const layout = join(folder.path, 'layout')
  mkdirSync(layout)
  writeLayout(image, layout)
  const docker = join(folder.path, 'docker.tar')
  const oci = join(folder.path, 'oci.tar')
  run('skopeo', 'copy', '--insecure-policy', `oci:${layout}:it`, `docker-archive:${docker}:some/app:1`)
  run('skopeo', 'copy', '--insecure-policy', `oci:${layout}:it`, `oci-archive:${oci}:other/app:2`)
  writeFileSync(`${docker}.gz`, gzipSync(readFileSync(docker)))
  for (const [file, name] of [
    [docker, 'some/app:1'],
    [`${docker}.gz`, 'some/app:1'],
    [oci, 'other/app:2'],
  ] as const) {
    using root = scratch()
    await using store = await openStore({ root: root.path })
    const { lines, onProgress } = listener()
    await store.service.load(createReadStream(file), onProgress)
    assert.equal(lines.at(-1), `Loaded image: ${name}`)
    assert.equal((await store.service.inspect(name)).layers.length, 2)
    const [top = '', bottom = ''] = store.service.rootfs(name)
    assert.deepEqual([existsSync(join(top, 'hello')), existsSync(join(bottom, 'etc/passwd'))], [true, true])
  }
})

test('load takes layers with whatever follows the end mark of their tar, plain and compressed', async () => {
  using folder = scratch()
  await using store = await openStore({ root: folder.path })
  // The digest is of all bytes; the reader needs none of those behind the mark.
  for (const [n, tail] of [512, 10_240, 700_001].entries()) {
    const layer = Buffer.concat([
      tarOf([{ name: `f${n}`, data: 'x'.repeat(300_000) }]),
      Buffer.alloc(tail, n),
    ])
    const made = makeImage([layer])
    for (const data of [layer, gzipSync(layer)]) {
      const entries = [{ Config: 'c.json', RepoTags: [`tail:${n}`], Layers: ['l/layer.tar'] }]
      const archive = tarOf([
        { name: 'c.json', data: made.config },
        { name: 'l/layer.tar', data },
        { name: 'manifest.json', data: JSON.stringify(entries) },
      ])
      await store.service.load(Readable.from([archive]), listener().onProgress)
      await store.service.remove(`tail:${n}`, { force: true, noPrune: false })
    }
  }
})

test('load refuses an archive with a layer that is not what its config says, and what is no image at all', async () => {
  using folder = scratch()
  await using store = await openStore({ root: folder.path })
  const forged = makeImage([tarOf([{ name: 'x', data: 'x' }])], { diffIds: [image.digest] })
  const archive = (entries: object, files: readonly { name: string; data: Buffer }[]): Buffer =>
    tarOf([...files, { name: 'manifest.json', data: JSON.stringify(entries) }])
  const cases: Record<string, readonly [RegExp, Buffer]> = {
    'a forged layer': [
      /invalid diffID for layer 0/,
      archive(
        [{ Config: 'c.json', RepoTags: ['x:1'], Layers: ['l.tar'] }],
        [
          { name: 'c.json', data: forged.config },
          { name: 'l.tar', data: forged.layers[0] ?? Buffer.alloc(0) },
        ],
      ),
    ],
    'a missing file': [
      /"l.tar" is not in the archive/,
      archive([{ Config: 'c.json', Layers: ['l.tar'] }], [{ name: 'c.json', data: forged.config }]),
    ],
    'a path outside': [/leads out of the archive/, archive([{ Config: '../../etc/passwd', Layers: [] }], [])],
    'wrong types': [/manifest.json is malformed/, archive({ Config: 1 }, [])],
    'no image': [/neither manifest.json nor an OCI layout/, tarOf([{ name: 'etc/passwd', data: 'x' }])],
  }
  for (const [name, [message, tar]] of Object.entries(cases)) {
    await assert.rejects(
      store.service.load(Readable.from([tar]), listener().onProgress),
      { code: 'invalid-argument', message },
      name,
    )
    assert.deepEqual(await store.service.list({ all: true, filters: NONE }), [], name)
    assert.deepEqual(readdirSync(join(folder.path, 'blobs/sha256')), [], name)
  }
})

test('import makes an image of one layer with the changes asked for; push compresses it once', async () => {
  using folder = scratch()
  await using registry = await startRegistry(join(folder.path, 'registry'))
  await using store = await openStore({ root: join(folder.path, 'store') })
  const changes = [
    'CMD ["/hello"]',
    'ENV A=1 B="two words"',
    'EXPOSE 80 90-91/udp',
    'USER 7:8',
    'WORKDIR /srv',
    'LABEL x=y',
    'VOLUME /data',
  ]
  const ref = `${registry.host}/made:1`
  const tar = Readable.from([tarOf([{ name: 'hello', data: 'x' }])])
  const id = await store.service.import(tar, {
    reference: ref,
    message: 'by hand',
    changes,
    onProgress: listener().onProgress,
  })
  const view = await store.service.inspect(id)
  assert.deepEqual(
    { ...view.config, labels: view.config.labels },
    {
      user: '7:8',
      exposedPorts: { '80/tcp': {}, '90/udp': {}, '91/udp': {} },
      env: ['A=1', 'B=two words'],
      entrypoint: null,
      cmd: ['/hello'],
      volumes: { '/data': {} },
      workingDir: '/srv',
      labels: { x: 'y' },
      onBuild: null,
      shell: null,
    },
  )
  assert.equal((await store.service.history(ref))[0]?.comment, 'by hand')
  for (const bad of ['RUN ls', 'EXPOSE 99999', 'ENV']) {
    const input = Readable.from([tarOf([])])
    await assert.rejects(store.service.import(input, { changes: [bad], onProgress: listener().onProgress }), {
      code: 'invalid-argument',
    })
  }
  const first = listener()
  await store.service.push(ref, { ...pullOptions(first.onProgress), tag: '1' })
  const again = listener()
  await store.service.push(ref, { ...pullOptions(again.onProgress), tag: '1' })
  assert.equal(again.lines.at(-1), first.lines.at(-1))
  const layer = JSON.parse(run('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${ref}`)) as {
    layers: { mediaType: string }[]
  }
  assert.equal(layer.layers[0]?.mediaType, 'application/vnd.oci.image.layer.v1.tar+gzip')
  assert.equal((await store.service.inspect(ref)).id, id)
})

test('commitLayer puts a packed folder on top of an image: whiteouts, opaque folders, hard links', async () => {
  using folder = scratch()
  await using store = await openStore({ root: join(folder.path, 'store') })
  const base = await store.service.import(
    Readable.from([
      tarOf([
        { name: 'a', data: 'a' },
        { name: 'd/', kind: 'dir' },
        { name: 'd/x', data: '' },
      ]),
    ]),
    {
      reference: 'base',
      changes: ['CMD ["/a"]'],
      onProgress: listener().onProgress,
    },
  )
  const upper = join(folder.path, 'upper')
  mkdirSync(join(upper, 'd'), { recursive: true })
  run('mknod', join(upper, 'a'), 'c', '0', '0')
  run('setfattr', '-n', 'trusted.overlay.opaque', '-v', 'y', join(upper, 'd'))
  writeFileSync(join(upper, 'd/new'), 'new')
  run('ln', join(upper, 'd/new'), join(upper, 'linked'))
  const tar = opsToTar(packFolder({ core: store.core }, upper), { as: 'layer', root: '', omitRoot: true })
  const config = store.service.configOf(base)
  const id = await store.service.commitLayer({
    parent: base,
    tar,
    config,
    changes: ['LABEL made=so'],
    author: 'me',
    comment: 'c',
    createdBy: '/bin/sh',
    reference: 'child:1',
  })
  const view = await store.service.inspect('child:1')
  assert.deepEqual(
    [view.id, view.parent, view.layers.length, view.config.cmd, view.author],
    [id, base, 2, ['/a'], 'me'],
  )
  const [top = ''] = store.service.rootfs('child:1')
  assert.match(run('stat', '-c', '%F %t:%T', join(top, 'a')), /character special file 0:0/)
  assert.match(
    run('getfattr', '-m', '-', '-d', '--absolute-names', join(top, 'd')),
    /trusted\.overlay\.opaque="y"/,
  )
  assert.equal(run('stat', '-c', '%h', join(top, 'linked')).trim(), '2')
  await assert.rejects(store.service.remove(base, { force: true, noPrune: false }), {
    code: 'conflict',
    message: /\(cannot be forced\) - image has dependent child images/,
  })
})

test('remove follows Docker’s rules for names, containers and shared layers', async () => {
  using folder = scratch()
  const users: { id: string; running: boolean }[] = []
  await using store = await openStore({ root: folder.path, usersOf: () => users })
  const load = async (reference: string, items: Parameters<typeof tarOf>[0]): Promise<string> =>
    store.service.import(Readable.from([tarOf(items)]), {
      reference,
      changes: [],
      onProgress: listener().onProgress,
    })
  const id = await load('one:1', [{ name: 'a' }])
  await store.service.tag('one:1', 'one:2')
  await store.service.tag('one:1', 'two')
  const force = { force: true, noPrune: false }
  const soft = { force: false, noPrune: false }
  await assert.rejects(store.service.remove(id, soft), {
    code: 'conflict',
    message: /\(must be forced\) - image is referenced in multiple repositories/,
  })
  assert.deepEqual(await store.service.remove('one:2', soft), [{ untagged: 'one:2' }])
  assert.deepEqual(await store.service.remove('two', soft), [{ untagged: 'two:latest' }])
  users.push({ id: 'c'.repeat(64), running: false })
  await assert.rejects(store.service.remove('one:1', soft), {
    code: 'conflict',
    message: `conflict: unable to remove repository reference "one:1" (must force) - container cccccccccccc is using its referenced image ${id.slice(7, 19)}`,
  })
  users[0] = { id: 'c'.repeat(64), running: true }
  await assert.rejects(store.service.remove(id.slice(7, 20), force), {
    message: /\(cannot be forced\) - image is being used by running container cccccccccccc/,
  })
  users.length = 0
  const chain = (await store.service.inspect(id)).layers[0] ?? ''
  assert.deepEqual(await store.service.remove('one:1', soft), [
    { untagged: 'one:1' },
    { deleted: id },
    { deleted: chain },
  ])
  await assert.rejects(store.service.remove('one:1', soft), {
    code: 'not-found',
    message: 'No such image: one:1',
  })
  assert.deepEqual(readdirSync(join(folder.path, 'layers')), ['records'])
  assert.deepEqual(readdirSync(join(folder.path, 'blobs/sha256')), [])

  const kept = await load('kept', [{ name: 'k' }])
  await load('moved', [{ name: 'old', data: 'old' }])
  await load('moved', [{ name: 'new', data: 'new' }])
  const { deleted, reclaimed } = await store.service.prune(NONE)
  assert.equal(deleted.length, 2)
  assert.equal(reclaimed, 3)
  assert.equal((await store.service.list({ all: false, filters: NONE })).length, 2)
  assert.equal((await store.service.prune(new Map([['dangling', ['false']]]))).deleted.length, 6)
  await assert.rejects(store.service.inspect(kept), { code: 'not-found' })
  await assert.rejects(store.service.list({ all: false, filters: new Map([['nosuch', ['x']]]) }), {
    message: "invalid filter 'nosuch'",
  })
})

test('prune drops what cut-off pulls left, unless something is being added or only some images are meant', async () => {
  using folder = scratch()
  await using store = await openStore({ root: folder.path })
  const blobs = join(folder.path, 'blobs')
  const left = [join(blobs, 'partial', '1'.repeat(64)), join(blobs, 'sha256', '2'.repeat(64))]
  for (const path of left) writeFileSync(path, 'half')
  const there = (): boolean[] => left.map((path) => existsSync(path))

  assert.equal((await store.service.prune(new Map([['until', ['24h']]]))).reclaimed, 0)
  assert.deepEqual(there(), [true, true])

  const slow = new Readable({ read() {} })
  const loading = store.service.load(slow, () => undefined)
  assert.equal((await store.service.prune(NONE)).reclaimed, 0)
  assert.deepEqual(there(), [true, true])
  slow.push(null)
  await assert.rejects(loading)

  assert.equal((await store.service.prune(NONE)).reclaimed, 8)
  assert.deepEqual(there(), [false, false])
})

test('save that is read while another image is being freed lets everything be freed afterwards', async () => {
  using folder = scratch()
  await using store = await openStore({ root: folder.path })
  const make = (reference: string, items: Parameters<typeof tarOf>[0]): Promise<string> =>
    store.service.import(Readable.from([tarOf(items)]), {
      reference,
      changes: [],
      onProgress: listener().onProgress,
    })
  await make(
    'large',
    Array.from({ length: 5000 }, (_, i) => ({ name: `${i}` })),
  )
  await make('small', [{ name: 'a' }])
  const soft = { force: false, noPrune: false }
  const freeing = store.service.remove('large', soft)
  while (!store.events.some((event) => event.startsWith('delete'))) await turn()
  for await (const chunk of await store.service.save(['small'])) assert.ok(chunk)
  await freeing
  await store.service.remove('small', soft)
  assert.deepEqual(readdirSync(join(folder.path, 'layers')), ['records'])
  assert.deepEqual(readdirSync(join(folder.path, 'blobs/sha256')), [])
})

test('opening after a crash removes what was staged and keeps what was complete', async () => {
  using folder = scratch()
  {
    await using store = await openStore({ root: folder.path })
    await store.service.import(Readable.from([tarOf([{ name: 'a' }])]), {
      reference: 'a',
      changes: [],
      onProgress: listener().onProgress,
    })
  }
  mkdirSync(join(folder.path, 'layers/.tmp-0011/etc'), { recursive: true })
  mkdirSync(join(folder.path, 'layers', 'f'.repeat(64)))
  writeFileSync(join(folder.path, 'blobs/sha256/.tmp-22'), 'half')
  await using store = await openStore({ root: folder.path })
  await store.service.sweep()
  assert.equal((await store.service.list({ all: true, filters: NONE })).length, 1)
  assert.equal(readdirSync(join(folder.path, 'layers')).length, 2)
  assert.equal(readdirSync(join(folder.path, 'blobs/sha256')).length, 3)
})

test('a full disk gives a clear error, keeps what was there, and works again after space is freed', async () => {
  using folder = scratch()
  run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'dwt-img', folder.path)
  try {
    await using store = await openStore({ root: folder.path })
    const add = (reference: string, bytes: number): Promise<string> =>
      store.service.import(Readable.from([tarOf([{ name: 'f', data: Buffer.alloc(bytes, 'x') }])]), {
        reference,
        changes: [],
        onProgress: listener().onProgress,
      })
    await add('small', 100_000)
    const free = statfsSync(folder.path).bavail
    await assert.rejects(
      add('big', 3_000_000),
      (error) =>
        error instanceof DewarError &&
        error.code === 'disk-full' &&
        /no space left on device/.test(error.message),
    )
    assert.equal(statfsSync(folder.path).bavail, free)
    assert.equal((await store.service.list({ all: true, filters: NONE })).length, 1)
    writeFileSync(join(folder.path, 'filler'), Buffer.alloc(3_700_000))
    await assert.rejects(add('other', 200_000), { code: 'disk-full' })
    rmSync(join(folder.path, 'filler'))
    await add('other', 200_000)
  } finally {
    run('umount', folder.path)
  }
})

test('unpackOps refuses a stream that lies, and nothing leaves the folder', async () => {
  using folder = scratch()
  await using store = await openStore({ root: join(folder.path, 'store') })
  const target = join(folder.path, 'target')
  mkdirSync(target)
  writeFileSync(join(folder.path, 'canary'), 'alive')
  const { encodeEntry, MAGIC, STREAM_END, FILE_END, encodeChunk } = await import('../../src/store/ops.ts')
  const plain = { mode: 0o644, uid: 0, gid: 0, mtime: { sec: 0, ns: 0 } }
  const file = (path: string, size = 0): Buffer => encodeEntry({ kind: 'file', path, size, ...plain })
  const streams: Record<string, Buffer[]> = {
    'a parent .. of nothing': [file('../none/x'), FILE_END],
    'a last part ..': [encodeEntry({ kind: 'dir', path: 'a/..', ...plain })],
    'a removal of ..': [encodeEntry({ kind: 'remove', path: '..', ...plain })],
    'a removal of the root': [encodeEntry({ kind: 'remove', path: '.', ...plain })],
    'a NUL in a name': [file('a\0b'), FILE_END],
    'data beyond the size': [file('a', 3), encodeChunk(4, 0), Buffer.from('xxxx'), FILE_END],
    'chunks that go back': [
      file('a', 9),
      encodeChunk(4, 4),
      Buffer.from('xxxx'),
      encodeChunk(4, 0),
      Buffer.from('xxxx'),
      FILE_END,
    ],
    'an unknown kind': [Buffer.concat([Buffer.from([99]), file('a').subarray(1)])],
    'an owner of -1': [encodeEntry({ kind: 'dir', path: 'a', ...plain, uid: 0xffff_ffff })],
    'an end in the middle': [file('a', 100), encodeChunk(100, 0), Buffer.from('only')],
  }
  for (const [name, parts] of Object.entries(streams)) {
    const source = Readable.from([Buffer.concat([MAGIC, ...parts, STREAM_END])])
    const bytes = (async function* () {
      for await (const chunk of source) if (Buffer.isBuffer(chunk)) yield chunk
    })()
    const stop = AbortSignal.timeout(2000)
    await assert.rejects(unpackOps({ core: store.core }, target, bytes, stop), () => true, name)
  }
  // What the translation from tar would have refused is clamped here: ".." of the root is the root.
  const climbing = Readable.from([Buffer.concat([MAGIC, file('../../canary'), FILE_END, STREAM_END])])
  await unpackOps({ core: store.core }, target, climbing)
  assert.ok(existsSync(join(target, 'canary')))
  assert.equal(readFileSync(join(folder.path, 'canary'), 'utf8'), 'alive')
})
