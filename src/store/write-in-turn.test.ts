import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { keepSpare, writeInTurn } from './write-in-turn.ts'

test('writeInTurn leaves what it was given, in the room of the spare one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dewar-turn-'))
  try {
    const path = join(folder, 'names.json')
    const inode = async (name: string) => (await stat(join(folder, name))).ino
    for (const text of ['first', 'a longer second', '', 'é'.repeat(5000), 'x']) {
      const spare = await inode('names.json.spare').catch(() => undefined)
      await writeInTurn(path, text)
      assert.equal(await readFile(path, 'utf8'), text)
      assert.deepEqual((await readdir(folder)).sort(), ['names.json', 'names.json.spare'])
      if (spare !== undefined) assert.equal(await inode('names.json'), spare)
    }
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    // A crash may leave the old one under its third name.
    await writeFile(`${path}.before`, 'old')
    await writeInTurn(path, 'y')
    assert.equal(await readFile(path, 'utf8'), 'y')
    assert.deepEqual((await readdir(folder)).sort(), ['names.json', 'names.json.spare'])
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('keepSpare makes one as large as the file, once, and none of nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dewar-turn-'))
  try {
    const path = join(folder, 'names.json')
    await keepSpare(path)
    assert.deepEqual(await readdir(folder), [])
    await writeFile(path, 'of an engine that kept none')
    await keepSpare(path)
    const { size, ino } = await stat(`${path}.spare`)
    assert.equal(size, 27)
    await keepSpare(path)
    assert.equal((await stat(`${path}.spare`)).ino, ino)
  } finally {
    await rm(folder, { recursive: true })
  }
})
