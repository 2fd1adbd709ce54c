import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { extract, pack } from 'tar-stream'
import { tarOf } from '../harness/oci-layout.ts'
import { until } from '../harness/until.ts'
import { home, skip, text, type Home, type Rig } from './fixture.ts'

let house: Home
let rig: Rig
let host: string
before(async () => {
  if (skip) return
  house = await home()
  rig = await house.open()
  await rig.importBusybox()
  host = mkdtempSync(join(tmpdir(), 'dwt-eng-host-'))
})
after(async () => {
  if (skip) return
  await rig[Symbol.asyncDispose]()
  await house[Symbol.asyncDispose]()
  rmSync(host, { recursive: true })
})

async function members(tar: Readable): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const stream = extract()
  tar.pipe(stream)
  for await (const entry of stream) found.set(entry.header.name, await text(entry))
  return found
}

test(
  'a named volume keeps what was written, with the ids a Docker user expects on the host',
  { skip },
  async () => {
    await rig.finish(
      { cmd: ['sh', '-c', 'echo kept >/data/file; chown 33:44 /data/file'] },
      { binds: ['vol:/data'] },
    )
    const { output } = await rig.finish(
      { cmd: ['sh', '-c', 'cat /data/file; stat -c %u:%g /data/file'] },
      { binds: ['vol:/data:ro'] },
    )
    assert.equal(output, 'kept\n33:44\n')
    const { mountpoint } = await rig.engine.volumes.inspect('vol')
    const { uid, gid } = statSync(join(mountpoint, 'file'))
    assert.deepEqual([uid, gid], [33, 44])
    await assert.rejects(rig.engine.volumes.remove('vol', false), /remove vol: volume is in use - \[/)
  },
)

test('other users of the host can open nothing that the engine keeps', { skip }, async () => {
  const { root = '', run = '' } = house.options
  const id = await rig.run(['sh', '-c', 'echo said; echo x >/file; sleep 60'], { binds: ['private:/data'] })
  chmodSync(dirname(root), 0o755)
  const find = ['find', root, run, '-mindepth', '1', '-readable']
  const found = (who: object) =>
    spawnSync('sh', ['-c', 'exec "$@" 2>/dev/null', 'sh', ...find], { encoding: 'utf8', ...who }).stdout
  const all = found({})
  for (const name of [`containers/${id}`, 'volumes/private', 'images/layers'])
    assert.ok(all.includes(name), name)
  assert.equal(found({ uid: 65534, gid: 65534 }), '')
  chmodSync(root, 0o755)
  assert.notEqual(found({ uid: 65534, gid: 65534 }), '', 'with an open root they find something')
  chmodSync(root, 0o700)
  await rig.engine.containers.remove(id, { force: true, volumes: true, link: false })
})

test('an empty volume starts with the image’s content, unless nocopy', { skip }, async () => {
  assert.equal(
    (await rig.finish({ cmd: ['ls', '/etc/'] }, { binds: ['etc1:/etc'] })).output.includes('passwd'),
    true,
  )
  assert.equal(
    (await rig.finish({ cmd: ['ls', '/etc/'] }, { binds: ['etc2:/etc:nocopy'] })).output.includes('passwd'),
    false,
  )
})

test('anonymous volumes go with rm -v and --rm, named ones stay', { skip }, async () => {
  const names = async () => (await rig.engine.volumes.list(new Map())).map(({ name }) => name)
  const before = await names()
  const id = await rig.create({ cmd: ['true'], volumes: { '/a': {} } }, { binds: ['stays:/s'] })
  assert.equal((await names()).length, before.length + 2)
  await rig.engine.containers.remove(id, { force: false, volumes: true, link: false })
  assert.deepEqual((await names()).sort(), [...before, 'stays'].sort())
})

test('an anonymous volume goes with the last container that has it', { skip }, async () => {
  const names = async () => (await rig.engine.volumes.list(new Map())).map(({ name }) => name)
  const before = await names()
  const first = await rig.create({ cmd: ['true'], volumes: { '/a': {} } })
  const second = await rig.create({ cmd: ['true'] }, { volumesFrom: [first] })
  const third = await rig.create({ cmd: ['true'] }, { volumesFrom: [second] })
  await rig.engine.containers.remove(second, { force: false, volumes: true, link: false })
  await rig.engine.containers.remove(first, { force: false, volumes: false, link: false })
  assert.equal((await names()).length, before.length + 1)
  await rig.engine.containers.remove(third, { force: false, volumes: true, link: false })
  assert.deepEqual(await names(), before)
})

test(
  'a bind mount shows the host’s folder, read-only when asked, and a file in the place of a file',
  { skip },
  async () => {
    const folder = join(host, 'bind')
    mkdirSync(folder)
    writeFileSync(join(folder, 'f'), 'host\n')
    const binds = [`${folder}:/b`, `${folder}:/ro:ro`, `${join(folder, 'f')}:/etc/one:ro`]
    const { output } = await rig.finish(
      { cmd: ['sh', '-c', 'cat /b/f /etc/one; echo new >/b/g; touch /ro/x 2>&1; echo $?'] },
      { binds },
    )
    assert.equal(output, 'host\nhost\ntouch: /ro/x: Read-only file system\n1\n')
    assert.equal(readFileSync(join(folder, 'g'), 'utf8'), 'new\n')
    assert.equal(statSync(join(folder, 'g')).uid, 0)
  },
)

test('--mount refuses a missing source, -v makes it', { skip }, async () => {
  const missing = join(host, 'nowhere')
  await assert.rejects(
    rig.create({ cmd: ['true'] }, { mounts: [{ type: 'bind', source: missing, target: '/x' }] }),
    /invalid mount config for type "bind": bind source path does not exist: /,
  )
  await rig.finish({ cmd: ['true'] }, { binds: [`${missing}:/x`] })
  assert.ok(statSync(missing).isDirectory())
})

test('mount targets that are symlinks to host paths stay inside the container', { skip }, async () => {
  const canary = join(host, 'canary')
  mkdirSync(canary)
  const { id } = await rig.finish({ cmd: ['ln', '-s', canary, '/trap'] })
  await rig.engine.images.commit(id, { reference: 'trap', comment: '', author: '', pause: true, changes: [] })
  const write = { image: 'trap', cmd: ['sh', '-c', 'echo x >/trap/in/file'] }
  // The link leads nowhere inside; whether the target is made there or refused, the host's folder is not touched.
  await rig.finish(write, { binds: ['trapped:/trap/in'] }).catch(() => undefined)
  assert.equal(existsSync(join(canary, 'in')), false)
  assert.equal(existsSync(join(canary, 'file')), false)
})

for (const state of ['running', 'stopped'] as const) {
  test(`archives go in and out of a ${state} container`, { skip }, async () => {
    const id = await rig.create({ cmd: ['sleep', '100'] })
    if (state === 'running') await rig.engine.containers.start(id)
    const tar = pack()
    tar.entry({ name: 'd/', type: 'directory', mode: 0o750 })
    tar.entry({ name: 'd/f', mode: 0o640, uid: 5, gid: 6 }, 'content')
    tar.entry({ name: 'd/l', type: 'symlink', linkname: '/etc/passwd' })
    tar.finalize()
    const { containers } = rig.engine
    await containers.archivePut(id, '/tmp', Readable.from(tar), {
      noOverwriteDirNonDir: false,
      copyUidGid: false,
    })
    const stat = await containers.archiveStat(id, '/tmp/d/f')
    assert.deepEqual([stat.name, stat.size, stat.mode], ['f', 7, 0o640])
    assert.equal((await containers.archiveStat(id, '/tmp/d/l')).linkTarget, '/etc/passwd')
    const got = await containers.archiveGet(id, '/tmp/d')
    assert.deepEqual(
      [...(await members(got.stream))],
      [
        ['d/', ''],
        ['d/f', 'content'],
        ['d/l', ''],
      ],
    )
    await assert.rejects(containers.archiveStat(id, '/nope'), /Could not find the file \/nope in container/)
    await assert.rejects(
      containers.archivePut(id, '/etc/passwd', Readable.from([]), {
        noOverwriteDirNonDir: false,
        copyUidGid: false,
      }),
    )
    const paths = (await containers.changes(id)).map(({ path, kind }) => `${kind} ${path}`)
    assert.deepEqual(paths, ['0 /tmp', '1 /tmp/d', '1 /tmp/d/f', '1 /tmp/d/l'])
  })
}

test('archivePut does not follow symlinks out of the container', { skip }, async () => {
  const id = await rig.create({ cmd: ['true'] })
  const out = join(host, 'out')
  mkdirSync(out)
  for (const names of [['l', 'l/f'], ['../../../../../../..' + out + '/f']]) {
    const tar = pack()
    const [first, second] = names
    if (second !== undefined) tar.entry({ name: first ?? '', type: 'symlink', linkname: out })
    tar.entry({ name: second ?? first ?? '' }, 'escaped')
    tar.finalize()
    await rig.engine.containers
      .archivePut(id, '/', Readable.from(tar), { noOverwriteDirNonDir: false, copyUidGid: false })
      .catch(() => undefined)
    assert.equal(existsSync(join(out, 'f')), false)
  }
})

test('export and commit carry the container’s files with its own ids', { skip }, async () => {
  const { id } = await rig.finish({
    cmd: ['sh', '-c', 'mkdir /n; echo x >/n/f; chown 7:8 /n/f; rm /etc/group'],
  })
  const exported = await members(await rig.engine.containers.export(id))
  assert.equal(exported.get('n/f'), 'x\n')
  assert.equal(exported.has('etc/group'), false)
  await rig.engine.images.commit(id, {
    reference: 'made',
    comment: 'c',
    author: 'a',
    pause: true,
    changes: ['CMD ["stat","-c","%u:%g %n","/n/f","/etc/group"]'],
  })
  const made = await rig.engine.containers.create({
    config: { image: 'made' },
    hostConfig: { networkMode: 'none' },
    endpoints: {},
  })
  const over = await rig.engine.containers.wait(made.id, 'next-exit')
  await rig.engine.containers.start(made.id)
  await over.result
  assert.match(await rig.logs(made.id), /^7:8 \/n\/f\nstat: can't stat '\/etc\/group'/)
})

test('an image’s FIFO as /etc/passwd does not hang a start', { skip }, async () => {
  const tar = pack()
  tar.entry({ name: 'etc/', type: 'directory' })
  tar.entry({ name: 'etc/passwd', type: 'fifo' })
  tar.finalize()
  const id = await rig.create({ cmd: ['echo', 'ran'] })
  await rig.engine.containers.archivePut(id, '/', Readable.from(tar), {
    noOverwriteDirNonDir: false,
    copyUidGid: false,
  })
  const over = await rig.engine.containers.wait(id, 'next-exit')
  await rig.engine.containers.start(id)
  assert.equal((await over.result).code, 0)
})

test('tmpfs and read-only root do what they say', { skip }, async () => {
  const { output } = await rig.finish(
    { cmd: ['sh', '-c', 'touch /x 2>&1; echo a >/t/y && cat /t/y'] },
    { readonlyRootfs: true, tmpfs: { '/t': 'size=1m' } },
  )
  assert.equal(output, 'touch: /x: Read-only file system\na\n')
})

test(
  'export of a running container has its root alone: no volume, no /proc, empty files of /etc',
  { skip },
  async () => {
    const id = await rig.run(['sh', '-c', 'echo v >/vol/f; echo r >/root-file; sleep 100'], {
      binds: ['exported:/vol'],
    })
    const stat = await rig.engine.containers.archiveStat(id, '/')
    assert.equal(stat.mode, 2 ** 31 + 0o755)
    const exported = await members(await rig.engine.containers.export(id))
    assert.ok(exported.has('vol/') && exported.has('proc/'))
    assert.deepEqual(
      [...exported.keys()].filter((name) => /^(vol|proc|sys|dev)\/./.test(name)),
      [],
    )
    assert.equal(exported.get('etc/hosts'), '')
    assert.match((await rig.exec(id, ['cat', '/proc/self/mounts'])).output, / \/proc proc /)
    await rig.engine.containers.remove(id, { force: true, volumes: true, link: false })
  },
)

test('archivePut writes to the root of a running container', { skip }, async () => {
  const id = await rig.run(['sleep', '100'])
  const tar = pack()
  tar.entry({ name: 'put' }, 'there\n')
  tar.finalize()
  await rig.engine.containers.archivePut(id, '/', Readable.from(tar), {
    noOverwriteDirNonDir: false,
    copyUidGid: false,
  })
  assert.equal((await rig.exec(id, ['cat', '/put'])).output, 'there\n')
  await rig.engine.containers.remove(id, { force: true, volumes: true, link: false })
})

test('archiveGet of a folder’s content names it as the docker client wants it', { skip }, async () => {
  const { id } = await rig.finish({ cmd: ['sh', '-c', 'mkdir -p /d/e; echo 1 >/d/e/f'] })
  const names = async (path: string) => {
    const { stream } = await rig.engine.containers.archiveGet(id, path)
    return [...(await members(stream)).keys()]
  }
  assert.deepEqual(await names('/d/.'), ['./', './e/', './e/f'])
  assert.deepEqual(await names('/d'), ['d/', 'd/e/', 'd/e/f'])
})

test('archivePut into a read-only root is refused, into a volume of it is not', { skip }, async () => {
  const binds = ['rw-volume:/rw', 'rw-volume:/ro:ro']
  const id = await rig.create({ cmd: ['cat', '/rw/f'] }, { readonlyRootfs: true, binds })
  const put = (path: string) => {
    const tar = pack()
    tar.entry({ name: 'f' }, 'in\n')
    tar.finalize()
    const options = { noOverwriteDirNonDir: false, copyUidGid: false }
    return rig.engine.containers.archivePut(id, path, Readable.from(tar), options)
  }
  await assert.rejects(put('/'), /container rootfs is marked read-only/)
  await assert.rejects(put('/ro'), /mounted volume is marked read-only/)
  await put('/rw')
  await rig.engine.containers.start(id)
  assert.equal(await rig.logs(id, true), 'in\n')
})

test(
  'mount targets and working directories that are links to nothing are made inside',
  { skip },
  async () => {
    const id = await rig.create({
      cmd: ['sh', '-c', 'ls /run/resolve /tmp/dwt-out; pwd'],
      workingDir: '/work',
    })
    const links = pack()
    const link = (name: string, linkname: string) => links.entry({ name, type: 'symlink', linkname })
    link('etc/resolv.conf', '../run/resolve/stub.conf') // as systemd-resolved leaves it
    link('etc/hosts', '../../../../../../tmp/dwt-out/hosts') // and as someone who wants out would
    link('work', '/made/here')
    links.finalize()
    const options = { noOverwriteDirNonDir: false, copyUidGid: false }
    await rig.engine.containers.archivePut(id, '/', Readable.from(links), options)
    const over = await rig.engine.containers.wait(id, 'next-exit')
    await rig.engine.containers.start(id)
    assert.equal((await over.result).code, 0)
    assert.match(await rig.logs(id), /stub\.conf\n[^]*hosts\n\/made\/here\n/)
    assert.equal(existsSync('/tmp/dwt-out'), false)
  },
)

test(
  'a client that stops reading an archive keeps its container from no other start, and from no removal',
  { skip },
  async () => {
    const id = await rig.run(['sh', '-c', 'dd if=/dev/zero of=/large bs=1M count=64 2>/dev/null; sleep 600'])
    await until('the file', async () => {
      const { output } = await rig.exec(id, ['stat', '-c', '%s', '/large'])
      return output.trim() === String(64 << 20)
    })
    const { stream } = await rig.engine.containers.archiveGet(id, '/large')
    stream.once('error', () => undefined)
    await rig.engine.containers.kill(id, 'SIGKILL')
    const again = rig.engine.containers.restart(id, { timeout: 0 }).then(() => 'started')
    assert.equal(await Promise.race([again, sleep(60_000, 'held', { ref: false })]), 'started')
    stream.destroy()
    await rig.engine.containers.remove(id, { force: true, volumes: true, link: false })
  },
)

test('a layer that several unpack at a time is kept once, and whole', { skip }, async () => {
  for (let round = 0; round < 5; round += 1) {
    const tar = await tarOf([{ name: 'file', content: `round ${round}` }])
    const made = Array.from({ length: 4 }, (_, n) =>
      rig.engine.images.import(Readable.from([tar]), {
        reference: `same:${round}-${n}`,
        changes: [],
        onProgress: () => undefined,
      }),
    )
    await Promise.all(made)
    for (const n of made.keys()) {
      const id = await rig.create({ image: `same:${round}-${n}`, cmd: ['none'] })
      const { stream } = await rig.engine.containers.archiveGet(id, '/file')
      assert.equal((await members(stream)).get('file'), `round ${round}`)
      await rig.engine.containers.remove(id, { force: true, volumes: true, link: false })
    }
  }
})

test(
  'a volume is gone before its files are: who is killed meanwhile leaves none that is empty',
  { skip },
  async () => {
    const { volumes } = rig.engine
    await rig.finish(
      { cmd: ['sh', '-c', 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); : >/v/$i; done'] },
      { binds: ['many:/v'] },
    )
    for (const { id } of await rig.engine.containers.list({
      all: true,
      limit: 0,
      size: false,
      filters: new Map([['volume', ['many']]]),
    }))
      await rig.engine.containers.remove(id, { force: true, volumes: false, link: false })
    const listed = async () => (await volumes.list(new Map())).some(({ name }) => name === 'many')
    assert.ok(await listed())
    const trash = join(house.options.root ?? '', 'trash')
    const removal = volumes.remove('many', false)
    await until('the volume to be off the list', async () => !(await listed()), 30_000, 1)
    assert.notDeepEqual(readdirSync(trash), [], 'its files are being deleted')
    await removal
    assert.deepEqual(readdirSync(trash), [])
  },
)
