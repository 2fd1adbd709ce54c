import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DewarError } from '../../src/base/errors.ts'
import {
  listener,
  makeImage,
  openStore,
  pullOptions,
  pushWithSkopeo,
  scratch,
  startRegistry,
  tarOf,
  upload,
} from './harness.ts'

const base = tarOf([
  { name: './', kind: 'dir' },
  { name: 'bin/', kind: 'dir', mode: 0o755 },
  { name: 'bin/busybox', data: randomBytes(200_000), mode: 0o4755 },
  { name: 'bin/sh', kind: 'hardlink', link: 'bin/busybox' },
  { name: 'etc/', kind: 'dir', mode: 0o750, uid: 7, gid: 8 },
  { name: 'etc/old', data: 'old' },
  { name: 'lib', kind: 'symlink', link: '/usr/lib' },
])
const middle = tarOf([
  { name: 'etc/.wh.old' },
  { name: 'etc/new', data: 'new', uid: 1000, gid: 1000 },
  { name: 'var/', kind: 'dir' },
  { name: 'var/.wh..wh..opq' },
])
const top = tarOf([{ name: 'hello', data: 'hello\n' }])

test('pull fetches an image that skopeo put into a registry, and says what Docker says', async () => {
  using folder = scratch()
  await using registry = await startRegistry(join(folder.path, 'registry'))
  const image = makeImage([base, middle, top])
  pushWithSkopeo(image, `${registry.host}/lib/app:1`)
  await using store = await openStore({ root: join(folder.path, 'store') })
  const ref = `${registry.host}/lib/app:1`
  const { lines, onProgress } = listener()
  await store.service.pull(ref, pullOptions(onProgress))
  assert.equal(lines[0], '1: Pulling from lib/app')
  assert.deepEqual(lines.slice(-2), [`Digest: ${image.digest}`, `Status: Downloaded newer image for ${ref}`])
  for (const word of [
    'Pulling fs layer',
    'Downloading',
    'Verifying Checksum',
    'Download complete',
    'Extracting',
    'Pull complete',
  ]) {
    assert.equal(lines.filter((line) => line.endsWith(word)).length >= 3, true, word)
  }
  const view = await store.service.inspect(ref)
  assert.equal(view.id, image.id)
  assert.deepEqual(view.repoTags, [ref])
  assert.deepEqual(view.repoDigests, [`${registry.host}/lib/app@${image.digest}`])
  assert.equal(view.size, 200_000 + '/usr/lib'.length + 3 + 3 + 6)
  assert.deepEqual(view.config.cmd, ['/bin/sh'])
  const [hello, change, bottom] = store.service.rootfs(ref)
  assert.ok(hello !== undefined && change !== undefined && bottom !== undefined)
  assert.equal(readFileSync(join(hello, 'hello'), 'utf8'), 'hello\n')
  assert.equal(statSync(join(bottom, 'bin/busybox')).mode & 0o7777, 0o4755)
  assert.equal(statSync(join(bottom, 'bin/sh')).ino, statSync(join(bottom, 'bin/busybox')).ino)
  const whiteout = lstatSync(join(change, 'etc/old'))
  assert.deepEqual([whiteout.isCharacterDevice(), whiteout.rdev], [true, 0])
  // The archive said nothing of etc: its owner and mode are those of the layer below.
  const etc = statSync(join(change, 'etc'))
  assert.deepEqual([etc.uid, etc.gid, etc.mode & 0o777], [7, 8, 0o750])
  const opaque = execFileSync('getfattr', ['-m', '-', '-d', '--absolute-names', join(change, 'var')], {
    encoding: 'utf8',
  })
  assert.match(opaque, /trusted\.overlay\.opaque="y"/)
  assert.deepEqual(store.events, [`pull ${registry.host}/lib/app`])

  const again = listener()
  await store.service.pull(ref, pullOptions(again.onProgress))
  assert.deepEqual(again.lines, [
    '1: Pulling from lib/app',
    `Digest: ${image.digest}`,
    `Status: Image is up to date for ${ref}`,
  ])
})

test('pull shares layers between images, and by digest needs no tag', async () => {
  using folder = scratch()
  await using registry = await startRegistry(join(folder.path, 'registry'))
  const one = makeImage([base, top])
  const two = makeImage([base, middle], { docker: true })
  pushWithSkopeo(one, `${registry.host}/one:latest`)
  await upload(two, registry.host, 'two', 'latest')
  await using store = await openStore({ root: join(folder.path, 'store') })
  await store.service.pull(`${registry.host}/one`, pullOptions())
  const { lines, onProgress } = listener()
  await store.service.pull(`${registry.host}/two@${two.digest}`, pullOptions(onProgress))
  assert.equal(lines[0], `${two.digest}: Pulling from two`)
  assert.equal(lines.filter((line) => line.endsWith('Already exists')).length, 1)
  const view = await store.service.inspect(`${registry.host}/two@${two.digest}`)
  assert.deepEqual([view.repoTags, view.id], [[], two.id])
  assert.equal(readdirSync(join(store.root, 'layers')).filter((name) => name !== 'records').length, 3)
})

test('pull by several callers at once downloads once', async () => {
  using folder = scratch()
  await using registry = await startRegistry(join(folder.path, 'registry'))
  const image = makeImage([base, middle, top, base])
  pushWithSkopeo(image, `${registry.host}/app:latest`)
  await using store = await openStore({ root: join(folder.path, 'store') })
  const callers = [listener(), listener(), listener()]
  await Promise.all(
    callers.map(({ onProgress }) => store.service.pull(`${registry.host}/app`, pullOptions(onProgress))),
  )
  for (const { lines } of callers) {
    assert.equal(lines.at(-1), `Status: Downloaded newer image for ${registry.host}/app:latest`)
  }
  assert.equal(store.events.filter((event) => event.startsWith('pull')).length, 1)
})

test('pull picks the platform from an index, and says so when there is none', async () => {
  using folder = scratch()
  await using registry = await startRegistry(join(folder.path, 'registry'))
  const image = makeImage([top])
  const put = async (path: string, type: string, body: Buffer): Promise<void> => {
    const url = `http://${registry.host}/v2/multi/${path}`
    const answer = await fetch(url, {
      method: 'PUT',
      headers: { 'content-type': type },
      body: new Uint8Array(body),
    })
    assert.equal(answer.status, 201, await answer.text())
  }
  pushWithSkopeo(image, `${registry.host}/multi:plain`)
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const entry = { mediaType, digest: image.digest, size: image.manifest.length }
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        { ...entry, platform: { os: 'linux', architecture: 's390x' } },
        { ...entry, platform: { os: 'linux', architecture: 'amd64' } },
        { ...entry, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
      ],
    }),
  )
  await put('manifests/latest', 'application/vnd.oci.image.index.v1+json', index)
  await using store = await openStore({ root: join(folder.path, 'store') })
  await store.service.pull(`${registry.host}/multi`, pullOptions())
  assert.equal((await store.service.inspect(`${registry.host}/multi`)).id, image.id)
  await assert.rejects(
    store.service.pull(`${registry.host}/multi`, { ...pullOptions(), platform: 'linux/riscv64' }),
    (error) =>
      error instanceof DewarError &&
      error.code === 'not-found' &&
      /no matching manifest for linux\/riscv64/.test(error.message),
  )
})

test('pull of what is not there answers 404 in dockerd’s words', async () => {
  using folder = scratch()
  await using registry = await startRegistry(join(folder.path, 'registry'))
  pushWithSkopeo(makeImage([top]), `${registry.host}/app:latest`)
  await using store = await openStore({ root: join(folder.path, 'store') })
  const { lines, onProgress } = listener()
  await assert.rejects(store.service.pull(`${registry.host}/app:nope`, pullOptions(onProgress)), {
    code: 'not-found',
    message: `manifest for ${registry.host}/app:nope not found: manifest unknown: manifest unknown`,
  })
  await assert.rejects(store.service.pull(`${registry.host}/nope`, pullOptions()), { code: 'not-found' })
  await assert.rejects(store.service.pull(`${registry.host}/Nope`, pullOptions()), {
    code: 'invalid-argument',
    message: 'invalid reference format: repository name (Nope) must be lowercase',
  })
  assert.deepEqual(lines, [])
})

test('pull and push prove who asks to a registry with basic auth', async () => {
  using folder = scratch()
  // bcrypt of "secret"
  const htpasswd = 'joe:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n'
  await using registry = await startRegistry(join(folder.path, 'registry'), htpasswd)
  pushWithSkopeo(makeImage([top]), `${registry.host}/app:latest`, '--dest-creds', 'joe:secret')
  await using store = await openStore({ root: join(folder.path, 'store') })
  const ref = `${registry.host}/app`
  await assert.rejects(store.service.pull(ref, pullOptions()), /no basic auth credentials/)
  const wrong = { username: 'joe', password: 'wrong' }
  await assert.rejects(
    store.service.pull(ref, { ...pullOptions(), auth: wrong }),
    /unauthorized: authentication required/,
  )
  const auth = { username: 'joe', password: 'secret' }
  await store.service.pull(ref, { ...pullOptions(), auth })
  await store.service.tag(ref, `${registry.host}/other:2`)
  await store.service.push(`${registry.host}/other`, { ...pullOptions(), tag: '2', auth })
  assert.equal(
    (await store.service.auth({ ...auth, serverAddress: registry.host })).status,
    'Login Succeeded',
  )
  await assert.rejects(store.service.auth({ ...wrong, serverAddress: registry.host }), {
    code: 'unauthorized',
  })
})

test('push keeps the digest an image was pulled with, and a pull elsewhere gets the same', async () => {
  using folder = scratch()
  await using registry = await startRegistry(join(folder.path, 'registry'))
  await using other = await startRegistry(join(folder.path, 'other'))
  const image = makeImage([base, middle, top])
  pushWithSkopeo(image, `${registry.host}/app:1`)
  await using store = await openStore({ root: join(folder.path, 'store') })
  await store.service.pull(`${registry.host}/app:1`, pullOptions())
  await store.service.tag(`${registry.host}/app:1`, `${other.host}/copy:2`)
  const { lines, onProgress } = listener()
  await store.service.push(`${other.host}/copy`, { ...pullOptions(onProgress), tag: '2' })
  assert.equal(lines[0], `The push refers to repository [${other.host}/copy]`)
  assert.equal(lines.filter((line) => line.endsWith(': Preparing')).length, 3)
  assert.equal(lines.filter((line) => line.endsWith(': Pushed')).length, 3)
  assert.deepEqual(lines.slice(-2), [
    `2: digest: ${image.digest} size: ${image.manifest.length}`,
    `aux ${JSON.stringify({ Tag: '2', Digest: image.digest, Size: image.manifest.length })}`,
  ])
  const again = listener()
  await store.service.push(`${other.host}/copy`, { ...pullOptions(again.onProgress), tag: '2' })
  assert.equal(again.lines.filter((line) => line.endsWith(': Layer already exists')).length, 3)
  const seen = execFileSync('skopeo', ['inspect', '--tls-verify=false', `docker://${other.host}/copy:2`], {
    encoding: 'utf8',
  })
  assert.equal((JSON.parse(seen) as { Digest: string }).Digest, image.digest)
  await assert.rejects(store.service.push(`${other.host}/none`, { ...pullOptions(), tag: 'x' }), {
    message: `An image does not exist locally with the tag: ${other.host}/none`,
  })
})

test('pull takes plain and zstd layers', async () => {
  using folder = scratch()
  await using registry = await startRegistry(join(folder.path, 'registry'))
  const zstd = (tar: Buffer): Buffer => execFileSync('zstd', ['-c', '-q'], { input: tar, maxBuffer: 1 << 26 })
  const kinds = {
    plain: makeImage([base, top], {
      compress: (tar) => tar,
      layerType: 'application/vnd.oci.image.layer.v1.tar',
    }),
    zstd: makeImage([base, top], {
      compress: zstd,
      layerType: 'application/vnd.oci.image.layer.v1.tar+zstd',
    }),
  }
  for (const [kind, image] of Object.entries(kinds)) {
    await using store = await openStore({ root: join(folder.path, kind) })
    pushWithSkopeo(image, `${registry.host}/${kind}:latest`, '--preserve-digests')
    await store.service.pull(`${registry.host}/${kind}`, pullOptions())
    assert.ok(
      existsSync(join(store.service.rootfs(`${registry.host}/${kind}`)[1] ?? '', 'bin/busybox')),
      kind,
    )
  }
})
