import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { pack } from 'tar-stream'
import type { Header } from 'tar-stream'
import { placeCopy, rebase, splitArgument } from './rules.ts'
import { unpack } from './unpack.ts'

test('splitArgument takes a colon for a container only where the path cannot be local', () => {
  assert.deepEqual(splitArgument('web:/etc'), { container: 'web', path: '/etc' })
  assert.deepEqual(splitArgument('./a:b'), { container: undefined, path: './a:b' })
  assert.deepEqual(splitArgument('/a:b'), { container: undefined, path: '/a:b' })
})

test('placeCopy follows docker’s rules', () => {
  const dir = { path: '/s/d', isDirectory: true }
  const file = { path: '/s/f', isDirectory: false }
  const at = (path: string, exists: boolean, isDirectory: boolean) => ({ path, exists, isDirectory })
  assert.deepEqual(placeCopy(dir, at('/t', true, true)), { folder: '/t', from: 'd', to: 'd' })
  assert.deepEqual(placeCopy(dir, at('/t', false, false)), { folder: '/', from: 'd', to: 't' })
  assert.deepEqual(placeCopy({ ...dir, path: '/s/d/.' }, at('/t', true, true)), {
    folder: '/t',
    from: '.',
    to: '.',
  })
  assert.deepEqual(placeCopy(file, at('/a/t', true, false)), { folder: '/a', from: 'f', to: 't' })
  assert.throws(() => placeCopy(dir, at('/t', true, false)), { message: 'cannot copy directory' })
  assert.throws(() => placeCopy(file, at('/t/', false, false)), { message: 'no such directory' })
})

test('rebase changes the first part of a name and no other', () => {
  assert.equal(rebase('d/d/x', { from: 'd', to: 'e' }), 'e/d/x')
  assert.equal(rebase('dd/x', { from: 'd', to: 'e' }), 'dd/x')
  assert.equal(rebase('./a', { from: '.', to: 'new' }), 'new/a')
})

type Entry = readonly [Partial<Header> & { name: string }, string?]

/** Unpacks into `in/` beside a canary; gives what the canary's folder holds afterwards. */
async function attack(
  entries: readonly Entry[],
  prepare?: (inside: string) => Promise<void>,
): Promise<{ error: unknown; names: string[]; canary: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'dwtcopy-'))
  try {
    await mkdir(join(folder, 'in'))
    await writeFile(join(folder, 'canary'), 'alive')
    await prepare?.(join(folder, 'in'))
    const archive = pack()
    for (const [header, content = ''] of entries) archive.entry(header, content)
    archive.finalize()
    const source = Readable.from(archive, { objectMode: false })
    const error: unknown = await unpack(
      source,
      { folder: join(folder, 'in'), from: 'x', to: 'x' },
      { keepOwners: false },
    ).catch((caught: unknown) => caught)
    return {
      error,
      names: (await readdir(folder)).sort(),
      canary: await readFile(join(folder, 'canary'), 'utf8'),
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

const ATTACKS: Readonly<Record<string, readonly Entry[]>> = {
  'climbs with ..': [[{ name: '../canary' }, 'dead']],
  'climbs from below': [[{ name: 'a/../../canary' }, 'dead']],
  'is absolute': [[{ name: '/../canary' }, 'dead']],
  'writes through its own link to a folder': [
    [{ name: 'l', type: 'symlink', linkname: '..' }],
    [{ name: 'l/canary' }, 'dead'],
  ],
  'makes a folder through its own link': [
    [{ name: 'l', type: 'symlink', linkname: '..' }],
    [{ name: 'l/new', type: 'directory' }],
  ],
  'writes onto its own link to a file': [
    [{ name: 'l', type: 'symlink', linkname: '../canary' }],
    [{ name: 'l' }, 'dead'],
  ],
  'makes a hard link that climbs': [
    [{ name: 'h', type: 'link', linkname: '../canary' }],
    [{ name: 'h' }, 'dead'],
  ],
  'makes a hard link through a link': [
    [{ name: 'l', type: 'symlink', linkname: '..' }],
    [{ name: 'h', type: 'link', linkname: 'l/canary' }],
    [{ name: 'h' }, 'dead'],
  ],
  'makes a device': [[{ name: 'd', type: 'character-device', devmajor: 1, devminor: 1 }]],
}

for (const [what, entries] of Object.entries(ATTACKS)) {
  test(`unpack does not leave the destination when an archive ${what}`, async () => {
    const { names, canary } = await attack(entries)
    assert.deepEqual(names, ['canary', 'in'])
    assert.equal(canary, 'alive')
  })
}

test('unpack does not follow a link that was there before', async () => {
  const { error, canary } = await attack([[{ name: 'l/canary' }, 'dead']], (inside) =>
    symlink('..', join(inside, 'l')),
  )
  assert.ok(error instanceof Error)
  assert.equal(canary, 'alive')
})
