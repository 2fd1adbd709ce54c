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

test('Trash.take is done when nothing of it can be read any more', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-eng-trash-'))
  const bin = join(folder, 'trash')
  await using trash = new Trash(bin)
  mkdirSync(join(folder, 'c/upper/deep'), { recursive: true })
  for (const name of ['record.json', 'upper/secret', 'upper/deep/secret'])
    writeFileSync(join(folder, 'c', name), 'secret')
  const deleted = trash.take(join(folder, 'c'))
  assert.equal(existsSync(join(folder, 'c')), false, 'gone from where it was at once')
  await deleted
  assert.deepEqual(readdirSync(bin), [])
  rmSync(folder, { recursive: true })
})

test('Trash deletes what has a name that is no UTF-8', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-eng-trash-'))
  const bin = join(folder, 'trash')
  mkdirSync(join(folder, 'c'))
  for (const name of ['a', 'b']) {
    const path = Buffer.concat([Buffer.from(join(folder, 'c/')), Buffer.from(name), Buffer.of(0xff)])
    if (name === 'a') writeFileSync(path, '')
    else mkdirSync(path)
  }
  {
    await using trash = new Trash(bin)
    await trash.discard(join(folder, 'c'))
  }
  assert.deepEqual(readdirSync(bin), [])
  rmSync(folder, { recursive: true })
})
