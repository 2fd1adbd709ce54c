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
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
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
