import { test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lockRoot } from './root-lock.ts'

test('lockRoot gives a folder to one engine at a time, by whatever path it is named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-eng-lock-'))
  const alias = `${folder}-alias`
  symlinkSync(folder, alias)
  try {
    const first = await lockRoot(folder)
    await assert.rejects(lockRoot(alias), /another engine uses .*-alias \(stop it first/)
    await first[Symbol.asyncDispose]()
    await using second = await lockRoot(alias)
    assert.ok(second)
  } finally {
    rmSync(alias)
    rmSync(folder, { recursive: true })
  }
})
