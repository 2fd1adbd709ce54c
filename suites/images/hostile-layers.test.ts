import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { DEFAULT_LIMITS } from '../../src/store/unpack-limits.ts'
import { until } from '../harness/until.ts'
import { listener, openStore, scratch, tarOf } from './harness.ts'
import type { Item, Store } from './harness.ts'

async function importTar(store: Store, tar: Buffer): Promise<string> {
  const { onProgress } = listener()
  return store.service.import(Readable.from([tar]), { changes: [], onProgress })
}

function assertClean(store: Store): void {
  assert.deepEqual(readdirSync(join(store.root, 'layers')), ['records'])
  assert.deepEqual(readdirSync(join(store.root, 'blobs/sha256')), [])
}

const REFUSED: Readonly<Record<string, readonly [RegExp, readonly Item[]]>> = {
  'a name with ..': [/leads out of the archive/, [{ name: '../canary', data: 'x' }]],
  'a name with .. inside': [/leads out of the archive/, [{ name: 'a/../../canary', data: 'x' }]],
  'a hard link with ..': [/leads out of the archive/, [{ name: 'x', kind: 'hardlink', link: '../canary' }]],
  'a hard link to nothing': [/does not exist/, [{ name: 'x', kind: 'hardlink', link: 'y' }]],
  'a hard link to itself': [
    /hard link to itself/,
    [
      { name: 'x', data: 'x' },
      { name: 'x', kind: 'hardlink', link: './x' },
    ],
  ],
  'a hard link through a symlink': [
    /does not exist/,
    [
      { name: 'out', kind: 'symlink', link: '../../../..' },
      { name: 'x', kind: 'hardlink', link: 'out/canary' },
    ],
  ],
  'a file through a symlink to the host': [
    /does not exist/,
    [
      { name: 'out', kind: 'symlink', link: '/CANARY' },
      { name: 'out/canary', data: 'gone' },
    ],
  ],
  'a whiteout of the folder above': [/whiteout cannot hide/, [{ name: 'a/.wh...' }]],
  'a whiteout of the folder itself': [/whiteout cannot hide/, [{ name: 'a/.wh..' }]],
  'a whiteout of nothing': [/whiteout cannot hide/, [{ name: '.wh.' }]],
  'a file as root': [/only a directory can be the root/, [{ name: './', kind: 'symlink', link: '/' }]],
  'a part of a name longer than 255': [/longer than 255 bytes/, [{ name: 'x'.repeat(256) }]],
  'a name longer than 4095': [/longer than 4095 bytes/, [{ name: 'a/'.repeat(3000) + 'x' }]],
  'a file below a file': [
    /not a directory/,
    [
      { name: 'a', data: '' },
      { name: 'a/b', data: '' },
    ],
  ],
  'an empty symlink': [/link has no target/, [{ name: 'a', kind: 'symlink', link: '' }]],
  'a device of no kernel': [/device number is out of range/, [{ name: 'a', kind: 'block', major: 70_000 }]],
  'a symlink loop': [/too many symbolic links/, [{ name: 'a', kind: 'symlink', link: 'a' }, { name: 'a/b' }]],
}

test('import refuses hostile entries with words, keeps nothing, and touches nothing outside', async () => {
  using folder = scratch()
  const canary = join(folder.path, 'canary')
  writeFileSync(canary, 'alive')
  await using store = await openStore({ root: join(folder.path, 'store') })
  for (const [name, [message, items]] of Object.entries(REFUSED)) {
    const aimed = items.map((item) => ({
      ...item,
      ...(item.link === '/CANARY' ? { link: folder.path } : {}),
    }))
    await assert.rejects(importTar(store, tarOf(aimed)), { code: 'invalid-argument', message }, name)
    assertClean(store)
  }
  assert.equal(readFileSync(canary, 'utf8'), 'alive')
})

test('import contains what Docker allows: absolute names, symlinked folders, replaced entries', async () => {
  using folder = scratch()
  writeFileSync(join(folder.path, 'canary'), 'alive')
  mkdirSync(join(folder.path, 'sub'))
  await using store = await openStore({ root: join(folder.path, 'store') })
  const id = await importTar(
    store,
    tarOf([
      { name: '/abs/file', data: 'inside' },
      { name: 'usr/', kind: 'dir' },
      { name: 'bin', kind: 'symlink', link: 'usr' },
      { name: 'bin/through', data: 'in usr' },
      { name: 'up', kind: 'symlink', link: '../../../../../../usr' },
      { name: 'up/clamped', data: 'in usr too' },
      { name: 'twice', data: 'first' },
      { name: 'twice', data: 'second' },
      { name: 'dir/', kind: 'dir' },
      { name: 'dir/in', data: '' },
      { name: 'dir', data: 'a file now' },
      { name: 'link', kind: 'symlink', link: folder.path },
      { name: 'link/', kind: 'dir' },
      { name: 'link/canary', data: 'not the host’s' },
      { name: 'null', kind: 'char', major: 1, minor: 3, mode: 0o666 },
      { name: 'pipe', kind: 'fifo' },
    ]),
  )
  const [root = ''] = store.service.rootfs(id)
  assert.equal(readFileSync(join(root, 'abs/file'), 'utf8'), 'inside')
  assert.equal(readFileSync(join(root, 'usr/through'), 'utf8'), 'in usr')
  assert.equal(readFileSync(join(root, 'usr/clamped'), 'utf8'), 'in usr too')
  assert.equal(readFileSync(join(root, 'twice'), 'utf8'), 'second')
  assert.equal(readFileSync(join(root, 'dir'), 'utf8'), 'a file now')
  assert.ok(lstatSync(join(root, 'link')).isDirectory())
  assert.equal(lstatSync(join(root, 'null')).rdev, 0x103)
  assert.equal(readFileSync(join(folder.path, 'canary'), 'utf8'), 'alive')
})

test('import gives whiteouts the meaning of the specification, whatever their order', async () => {
  using folder = scratch()
  await using store = await openStore({ root: join(folder.path, 'store') })
  const id = await importTar(
    store,
    tarOf([
      { name: 'kept', data: 'kept' },
      { name: '.wh.kept' },
      { name: '.wh.back' },
      { name: 'back', data: 'back' },
      { name: '.wh.folder' },
      { name: 'folder/file', data: 'x' },
      { name: 'later/', kind: 'dir' },
      { name: '.wh.later' },
      { name: '.wh..wh.plnk/1.2', data: 'aufs' },
      { name: 'gone', kind: 'char', major: 0, minor: 0 },
    ]),
  )
  const [root = ''] = store.service.rootfs(id)
  assert.equal(readFileSync(join(root, 'kept'), 'utf8'), 'kept')
  assert.equal(readFileSync(join(root, 'back'), 'utf8'), 'back')
  assert.ok(lstatSync(join(root, 'gone')).isCharacterDevice())
  for (const name of ['folder', 'later']) {
    const value = execFileSync('getfattr', [
      '-n',
      'trusted.overlay.opaque',
      '--only-values',
      '--absolute-names',
      join(root, name),
    ])
    assert.equal(value.toString(), 'y', name)
  }
  assert.equal(existsSync(join(root, '.wh..wh.plnk')), false)
})

test('import keeps overlay’s own attributes out of layers', async () => {
  using folder = scratch()
  await using store = await openStore({ root: join(folder.path, 'store') })
  const xattrs = [
    ['trusted.overlay.redirect', Buffer.from('/etc')],
    ['user.overlay.opaque', Buffer.from('y')],
    ['user.fine', Buffer.from('kept')],
  ] as const
  const id = await importTar(store, tarOf([{ name: 'd/', kind: 'dir', xattrs }]))
  const [root = ''] = store.service.rootfs(id)
  const shown = execFileSync('getfattr', ['-m', '-', '-d', '--absolute-names', join(root, 'd')], {
    encoding: 'utf8',
  })
  assert.match(shown, /user\.fine="kept"/)
  assert.doesNotMatch(shown, /overlay/)
})

test('import stops a bomb: bytes and entries are limited, zeros take no room', async () => {
  using folder = scratch()
  await using store = await openStore({
    root: join(folder.path, 'store'),
    limits: { ...DEFAULT_LIMITS, bytes: 50_000_000, entries: 100 },
  })
  const zeros = Buffer.alloc(30_000_000)
  const bomb = gzipSync(
    tarOf([
      { name: 'a', data: zeros },
      { name: 'b', data: zeros },
    ]),
  )
  await assert.rejects(importTar(store, bomb), {
    code: 'too-large',
    message: /unpacks to more than 50000000 bytes/,
  })
  const many = Array.from({ length: 101 }, (_, at) => ({ name: `f${at}` }))
  await assert.rejects(importTar(store, tarOf(many)), { code: 'too-large', message: /more than 100 entries/ })
  assertClean(store)
  const id = await importTar(store, gzipSync(tarOf([{ name: 'a', data: zeros }])))
  const [root = ''] = store.service.rootfs(id)
  assert.equal(lstatSync(join(root, 'a')).size, 30_000_000)
  assert.ok(lstatSync(join(root, 'a')).blocks * 512 < 100_000)
})

test('import unpacks where there is one mount, no network, no new right, and a filter', async () => {
  using folder = scratch()
  await using store = await openStore({ root: join(folder.path, 'store') })
  const tar = tarOf([{ name: 'half-there', data: Buffer.alloc(4_000_000, 1) }])
  let seen: unknown
  async function* slow(): AsyncGenerator<Buffer> {
    yield tar.subarray(0, 2_000_000)
    await until('the unpacker to write', () =>
      readdirSync(store.root, { recursive: true }).some((name) => String(name).endsWith('/half-there')),
    )
    seen = wallsOf(unpacker())
    yield tar.subarray(2_000_000)
  }
  const { onProgress } = listener()
  await store.service.import(Readable.from(slow()), { changes: [], onProgress })
  assert.deepEqual(seen, {
    // Those of UNPACK_CAPABILITIES (src/store/unpack-plan.ts), by their bits.
    CapPrm: '000000008820001b',
    CapEff: '000000008820001b',
    CapBnd: '000000008820001b',
    NoNewPrivs: '1',
    Seccomp: '2',
    mounts: 1,
    own: ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'uts'],
  })
})

/** The one process below this one that is in a PID namespace of its own. */
function unpacker(): string {
  const own = readlinkSync('/proc/self/ns/pid')
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const found = all.filter((pid) => isBelow(pid) && (namespaceOf(pid) ?? own) !== own)
  assert.equal(found.length, 1)
  return found[0] ?? ''
}

/** Undefined when it has ended. */
function namespaceOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return undefined
  }
}

function isBelow(pid: string): boolean {
  if (pid === String(process.pid)) return true
  try {
    const parent = /\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? '0'
    return parent !== '0' && isBelow(parent)
  } catch {
    return false // it has ended
  }
}

function wallsOf(pid: string): Record<string, unknown> {
  const lines = readFileSync(`/proc/${pid}/status`, 'utf8').matchAll(/^(\w+):\t(\w+)$/gm)
  const status = new Map([...lines].map(([, key = '', value = '']) => [key, value]))
  const told = ['CapPrm', 'CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp'].map(
    (key) => [key, status.get(key)] as const,
  )
  const kinds = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts']
  const link = (who: string, kind: string): string => readlinkSync(`/proc/${who}/ns/${kind}`)
  return {
    ...Object.fromEntries(told),
    mounts: readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n').length,
    own: kinds.filter((kind) => link(pid, kind) !== link('self', kind)),
  }
}

test('import refuses damaged archives: cut, corrupted, not a tar', async () => {
  using folder = scratch()
  await using store = await openStore({ root: join(folder.path, 'store') })
  const tar = tarOf([
    { name: 'a', data: Buffer.alloc(100_000, 'abc') },
    { name: 'b', data: 'b' },
  ])
  const gz = gzipSync(tar)
  const flipped = Buffer.from(gz)
  flipped[gz.length - 6] = (gz.at(-6) ?? 0) ^ 0xff
  const cases: Record<string, readonly [RegExp, Buffer]> = {
    'cut in data': [/unexpected end of archive/, tar.subarray(0, 50_000)],
    'cut in a header': [/unexpected end of archive/, tar.subarray(0, 300)],
    'cut gzip': [/gzip data is damaged/, gz.subarray(0, gz.length - 20)],
    'corrupted gzip': [/gzip data is damaged/, flipped],
    'no tar': [/invalid tar header/, Buffer.alloc(2048, 'x')],
    xz: [/xz data is damaged/, Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2, 3])],
  }
  for (const [name, [message, bytes]] of Object.entries(cases)) {
    await assert.rejects(importTar(store, bytes), { code: 'invalid-argument', message }, name)
    assertClean(store)
  }
})
