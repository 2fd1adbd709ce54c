import { test } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { layerChanges } from './changes.ts'
import { treeSize, walk } from './walk.ts'

class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'dwt-eng-walk-'))
  dir(name: string): string {
    const path = join(this.path, name)
    mkdirSync(path, { recursive: true })
    return path
  }
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true })
  }
}

test(
  'layerChanges tells added, modified and deleted',
  { skip: process.getuid?.() === 0 ? false : 'making whiteouts needs root' },
  async () => {
    using folder = new Folder()
    const [top, bottom, upper] = [folder.dir('top'), folder.dir('bottom'), folder.dir('upper')]
    mkdirSync(join(bottom, 'etc'))
    writeFileSync(join(bottom, 'etc/old'), 'x')
    writeFileSync(join(bottom, 'etc/gone'), 'x')
    mkdirSync(join(top, 'etc'))
    mkdirSync(join(upper, 'etc'))
    writeFileSync(join(upper, 'etc/old'), 'y')
    writeFileSync(join(upper, 'etc/new'), 'y')
    execFileSync('mknod', [join(upper, 'etc/gone'), 'c', '0', '0'])
    execFileSync('mknod', [join(upper, 'etc/never'), 'c', '0', '0'])
    const changes = await layerChanges(upper, [top, bottom])
    assert.deepEqual(
      changes.map(({ kind, path }) => `${kind} ${path}`),
      ['0 /etc', '2 /etc/gone', '1 /etc/new', '0 /etc/old'],
    )
  },
)

test('walk and layerChanges never leave the tree through a symlink', async () => {
  using folder = new Folder()
  const [outside, upper, lower] = [folder.dir('outside'), folder.dir('upper'), folder.dir('lower')]
  writeFileSync(join(outside, 'secret'), 'x'.repeat(1000))
  symlinkSync(outside, join(upper, 'link'))
  symlinkSync(outside, join(lower, 'd'))
  mkdirSync(join(upper, 'd'))
  writeFileSync(join(upper, 'd/secret'), '')
  const seen: string[] = []
  await walk(upper, (path) => void seen.push(path))
  assert.deepEqual(seen, ['/d', '/d/secret', '/link'])
  // The image's /d is a symlink: what lies behind it on the host must not make /d/secret "modified".
  const changes = await layerChanges(upper, [lower])
  assert.equal(changes.find(({ path }) => path === '/d/secret')?.kind, 1)
  await walk(join(upper, 'link'), () => assert.fail('followed'))
  assert.ok((await treeSize(upper)) < 1000)
})

test('walk, layerChanges and treeSize see names that are not UTF-8, and what is below them', async () => {
  using folder = new Folder()
  const [upper, lower] = [folder.dir('upper'), folder.dir('lower')]
  const within = (top: string, ...bytes: readonly number[]) =>
    Buffer.concat([Buffer.from(`${top}/`), Buffer.from(bytes)])
  for (const top of [upper, lower]) mkdirSync(within(top, 0xff))
  writeFileSync(within(upper, 0xff, 0x2f, 0x61), 'x'.repeat(1000))
  writeFileSync(within(upper, 0xc3, 0x28), 'x')
  const seen: string[] = []
  await walk(upper, (path) => void seen.push(path))
  assert.deepEqual(seen, ['/\xc3(', '/\xff', '/\xff/a'])
  const changes = await layerChanges(upper, [lower])
  assert.deepEqual(
    changes.map(({ kind, path }) => `${kind} ${path}`),
    ['1 /\xc3(', '0 /\xff', '1 /\xff/a'],
  )
  assert.equal(await treeSize(upper), 1001)
})

test('walk refuses what is too deep to be looked into, and treeSize counts the rest', async () => {
  using folder = new Folder()
  const deep = folder.dir(`deep/${'d/'.repeat(450)}`)
  writeFileSync(join(deep, 'hidden'), 'x')
  writeFileSync(join(folder.path, 'deep/seen'), 'xx')
  await assert.rejects(
    walk(join(folder.path, 'deep'), () => undefined),
    /^DewarError: Looking into \/d\/d.*… failed: folders are more than 400 deep/,
  )
  assert.equal(await treeSize(join(folder.path, 'deep')), 2)
})
