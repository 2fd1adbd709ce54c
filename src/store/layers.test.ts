import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FolderLayers } from './layers.ts'
import { removeTree } from './remove-tree.ts'

const HEX = 'a'.repeat(64)
const DEEP = 3000

/** Folders in folders, so many that their path is longer than the kernel takes one. */
function makeDeep(folder: string): void {
  execFileSync('perl', ['-e', `for (1..${DEEP}) { mkdir "deep" or die $!; chdir "deep" or die $! }`], {
    cwd: folder,
  })
}

test('FolderLayers removes a layer however deep it is, and a file that is none', async () => {
  const root = mkdtempSync(join(tmpdir(), 'dwt-layers-'))
  const folder = join(root, 'layers')
  const layers = (): FolderLayers =>
    new FolderLayers(folder, () => Promise.reject(new Error('nothing is unpacked here')))
  mkdirSync(join(folder, HEX), { recursive: true })
  mkdirSync(join(folder, 'records'))
  makeDeep(join(folder, HEX))
  const record = { chainId: `sha256:${HEX}`, diffId: `sha256:${HEX}`, size: 0, opaqueRoot: false }
  writeFileSync(join(folder, 'records', `${HEX}.json`), JSON.stringify(record))
  writeFileSync(join(folder, 'stray'), '')
  try {
    const opened = layers()
    await opened.open()
    assert.deepEqual(readdirSync(folder).toSorted(), [HEX, 'records'])
    await opened.remove(`sha256:${HEX}`)
    assert.deepEqual(readdirSync(folder), ['records'])
    // Half unpacked when an engine died.
    mkdirSync(join(folder, 'staged'))
    makeDeep(join(folder, 'staged'))
    await layers().open()
    assert.deepEqual(readdirSync(folder), ['records'])
  } finally {
    await removeTree(root, () => mkdtempSync(join(tmpdir(), 'dwt-layers-')))
  }
})
