import { test } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Trash } from './trash.ts'

test('Trash takes a folder away at once, and empties itself of what an earlier engine left', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-eng-trash-'))
  const bin = join(folder, 'trash')
  mkdirSync(join(bin, 'left'), { recursive: true })
  mkdirSync(join(folder, 'c'))
  writeFileSync(join(folder, 'c/file'), '')
  {
    await using trash = new Trash(bin)
    await trash.discard(join(folder, 'c'))
    assert.equal(existsSync(join(folder, 'c')), false)
    await trash.discard(join(folder, 'never'))
    await trash.empty()
  }
  assert.deepEqual(readdirSync(bin), [])
  rmSync(folder, { recursive: true })
})
