import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { overwrite, removeTemporaries, temporaryName, writeWhole } from './write-whole.ts'

test('removeTemporaries removes what interrupted writes left, and nothing else', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dewar-whole-'))
  try {
    await writeWhole(join(folder, 'names.json'), '{}', { durable: false })
    await writeFile(temporaryName(folder), 'half')
    await removeTemporaries(folder)
    assert.deepEqual(await readdir(folder), ['names.json'])
    await removeTemporaries(join(folder, 'not-there'))
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('overwrite leaves what it was given, whatever was there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dewar-whole-'))
  try {
    const path = join(folder, 'file')
    for (const text of ['long enough', 'short', '', 'é'.repeat(5000), 'x']) {
      overwrite(path, text, 0o600)
      assert.equal(await readFile(path, 'utf8'), text)
    }
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    // What an interrupted write left under the same name is no part of the next.
    const temporary = join(folder, '.tmp-record')
    await writeFile(temporary, 'y'.repeat(10_000))
    await writeWhole(path, '{}', { durable: false, temporary })
    assert.equal(await readFile(path, 'utf8'), '{}')
    assert.deepEqual(await readdir(folder), ['file'])
  } finally {
    await rm(folder, { recursive: true })
  }
})
