import assert from 'node:assert/strict'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { deadRuns, openJournal, startOf } from './journal.ts'

function inFolder(work: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-journal-'))
  try {
    work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('openJournal writes down what is planted before, and forgets what is gone', () => {
  inFolder((folder) => {
    const journal = openJournal('a1', folder)
    const gone = journal.plan({ kind: 'file', path: '/one' })
    journal.plan({ kind: 'file', path: '/two' })
    gone()
    assert.deepEqual(journal.open(), [{ kind: 'file', path: '/two' }])
    assert.match(readFileSync(join(folder, 'a1.jsonl'), 'utf8'), /\/two/)
  })
})

test('deadRuns leaves a run alone whose process lives', () => {
  inFolder((folder) => {
    openJournal('a1', folder).plan({ kind: 'file', path: '/one' })
    assert.deepEqual(deadRuns(folder), [])
  })
})

test('deadRuns finds what a killed run left, last planted first, also after half a line', () => {
  inFolder((folder) => {
    const journal = openJournal('a1', folder)
    journal.plan({ kind: 'file', path: '/one' })
    journal.plan({ kind: 'file', path: '/two' })
    const path = join(folder, 'a1.jsonl')
    // Our pid with another start time: it was another process.
    const text = readFileSync(path, 'utf8').replace(startOf(process.pid), '1')
    writeFileSync(path, text)
    appendFileSync(path, '{"id":3,"pla')
    const [run] = deadRuns(folder)
    assert.deepEqual(run?.left, [
      { kind: 'file', path: '/two' },
      { kind: 'file', path: '/one' },
    ])
    run.forget()
    assert.ok(!existsSync(path))
  })
})

test('deadRuns takes a file without a first line for dead only when nobody can be writing it any more', () => {
  inFolder((folder) => {
    for (const name of ['a1.jsonl', 'a2.jsonl.tmp']) {
      const path = join(folder, name)
      writeFileSync(path, '{"ru')
      assert.deepEqual(deadRuns(folder), [], name)
      const long = Date.now() / 1000 - 120
      utimesSync(path, long, long)
      const [run] = deadRuns(folder)
      assert.deepEqual([run?.run, run?.left], [name.slice(0, 2), []])
      run?.forget()
      assert.ok(!existsSync(path), name)
    }
  })
})

test('deadRuns passes over a journal that is gone when it is read', () => {
  inFolder((folder) => {
    openJournal('a1', folder).plan({ kind: 'file', path: '/one' })
    symlinkSync(join(folder, 'nothing'), join(folder, 'a0.jsonl'))
    assert.deepEqual(deadRuns(folder), [])
  })
})

/** Opens and closes journals in another thread, and counts them. */
const OTHERS = `
const { folder, module, count } = require('node:worker_threads').workerData
import(module).then(({ openJournal }) => {
  for (; Atomics.load(count, 0) < 500; Atomics.add(count, 0, 1)) openJournal('b' + count[0], folder).close()
})`

test('deadRuns leaves runs alone that begin and end while it looks', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-journal-'))
  const count = new Int32Array(new SharedArrayBuffer(4))
  const module = new URL('journal.js', import.meta.url).href
  const worker = new Worker(OTHERS, { eval: true, workerData: { folder, module, count } })
  const over = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
  try {
    const deadline = performance.now() + 60_000
    while (Atomics.load(count, 0) < 500 && performance.now() < deadline)
      assert.deepEqual(deadRuns(folder), [])
    assert.equal(count[0], 500)
  } finally {
    Atomics.store(count, 0, 500)
    await over
    rmSync(folder, { recursive: true })
  }
})

const isRoot = process.geteuid?.() === 0

test('deadRuns removes nothing by the word of a journal that others can write', { skip: !isRoot }, () => {
  inFolder((folder) => {
    writeFileSync(join(folder, 'evil.jsonl'), '{"run":"evil","pid":1,"start":"0"}\n')
    const refused = /journal in .* failed: others can write there/
    for (const spoil of [() => chmodSync(folder, 0o777), () => chownSync(folder, 59_000, 59_000)]) {
      spoil()
      assert.throws(() => deadRuns(folder), refused)
      assert.throws(() => openJournal('a1', folder), refused)
      chownSync(folder, 0, 0)
      chmodSync(folder, 0o711)
    }
    const link = join(folder, 'link')
    symlinkSync(folder, link)
    assert.throws(() => deadRuns(link), refused)
    assert.equal(deadRuns(folder).length, 1)
  })
})
