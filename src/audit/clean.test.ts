import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { cleanDeadRuns } from './clean.ts'

test('cleanDeadRuns names what stays with its engine, and keeps the journal until it is gone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-clean-'))
  try {
    const socket = join(folder, 'nobody.sock')
    const journal = join(folder, 'a1.jsonl')
    // No process has this start time.
    const lines: unknown[] = [{ run: 'a1', pid: process.pid, start: '1' }]
    for (const kind of ['container', 'network', 'volume', 'image'])
      lines.push({ id: lines.length, planted: { kind, socket, name: 'dewar-audit-a1' } })
    writeFileSync(journal, lines.map((line) => JSON.stringify(line)).join('\n'))
    const left = await cleanDeadRuns(folder)
    assert.deepEqual(
      left.map((text) => text.split(' is still there: ')[0]),
      ['image', 'volume', 'network', 'container'].map((kind) => `${kind} dewar-audit-a1 at ${socket}`),
    )
    assert.ok(existsSync(journal))
  } finally {
    rmSync(folder, { recursive: true })
  }
})
