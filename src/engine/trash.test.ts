import { test } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
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

test('Trash.take leaves the deletion to who is quicker, and does it when that failed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-eng-trash-'))
  const bin = join(folder, 'trash')
  await using trash = new Trash(bin)
  for (const quicker of [true, false]) {
    mkdirSync(join(folder, 'c/upper'), { recursive: true })
    const asked: string[] = []
    await trash.take(join(folder, 'c'), async (path) => {
      asked.push(path)
      if (quicker) rmSync(path, { recursive: true })
      return quicker
    })
    assert.equal(asked.length, 1)
    assert.equal(asked[0]?.startsWith(bin), true)
    assert.deepEqual(readdirSync(bin), [])
  }
  rmSync(folder, { recursive: true })
})

const unprivileged = process.getuid?.() === 0 ? false : 'needs root, to mount'

test('Trash deletes all it can, and tells what it could not', { skip: unprivileged }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-eng-trash-'))
  const [bin, doomed] = [join(folder, 'trash'), join(folder, 'c')]
  mkdirSync(join(doomed, 'b/busy'), { recursive: true })
  for (const name of ['a', 'b/secret', 'c']) writeFileSync(join(doomed, name), '')
  const warnings: string[] = []
  // Its own root folder: nobody may delete that.
  execFileSync('mount', ['-t', 'tmpfs', 'none', join(doomed, 'b/busy')])
  {
    await using trash = new Trash(bin, (text) => warnings.push(text))
    await trash.discard(doomed)
  }
  const [left = ''] = readdirSync(bin)
  assert.deepEqual(readdirSync(join(bin, left), { recursive: true }), ['b', 'b/busy'])
  assert.match(warnings.join(), /^Deleting .*trash.* failed: EBUSY/)
  execFileSync('umount', [join(bin, left, 'b/busy')])
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

test('Trash deletes a tree that is deeper than any path is long', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-eng-trash-'))
  const [bin, doomed, from] = [join(folder, 'trash'), join(folder, 'c'), process.cwd()]
  mkdirSync(doomed)
  process.chdir(doomed)
  try {
    for (let level = 0; level < 1000; level++) {
      mkdirSync('deeper')
      process.chdir('deeper')
    }
    writeFileSync('file', '')
  } finally {
    process.chdir(from)
  }
  {
    await using trash = new Trash(bin)
    await trash.discard(doomed)
  }
  assert.deepEqual(readdirSync(bin), [])
  rmSync(folder, { recursive: true })
})

test('Trash follows no symlink, not even one that takes the place of a folder while it deletes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-eng-trash-'))
  const [bin, canary] = [join(folder, 'trash'), join(folder, 'canary')]
  mkdirSync(canary)
  writeFileSync(join(canary, 'file'), '')
  // A process that outlived its container changes the two for each other all the time.
  const doomed = join(folder, 'c')
  mkdirSync(doomed)
  const pairs = 200
  for (let i = 0; i < pairs; i++) {
    mkdirSync(join(doomed, `${i}`))
    symlinkSync(canary, join(doomed, `${i}.link`))
  }
  const swap = `const fs = require('fs'); const [at, n] = [process.argv[1], Number(process.argv[2])]; process.chdir(at)
    console.log('ready'); for (;;) for (let i = 0; i < n; i++) try {
      fs.renameSync(i + '', i + '.folder'); fs.renameSync(i + '.link', i + ''); fs.renameSync(i + '.folder', i + '.link')
    } catch (e) { if (fs.readdirSync('.').length === 0) process.exit() }`
  const guest = spawn(process.execPath, ['-e', swap, doomed, String(pairs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(guest, 'exit')
  try {
    await once(guest.stdout, 'data')
    await using trash = new Trash(bin)
    await trash.discard(doomed)
  } finally {
    guest.kill('SIGKILL')
    await ended
  }
  assert.deepEqual(readdirSync(canary), ['file'])
  rmSync(folder, { recursive: true })
})
