import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { removeTemporaries, temporaryName, writeWhole } from './write-whole.ts'

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
