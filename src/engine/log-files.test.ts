import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openAtTail } from './log-files.ts'

test('LogCursor gives no line twice when half a line is taken back, and begins anew in another file', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-log-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'log')
  writeFileSync(path, 'one\ntwo\nhal')
  const [cursor] = await openAtTail(path, -1)
  assert.ok(cursor)
  const next = async () => (await cursor.next())?.toString()
  assert.equal(await next(), 'one\ntwo\n')
  truncateSync(path, 'one\ntwo\n'.length)
  assert.equal(await next(), undefined)
  appendFileSync(path, 'three\n')
  assert.equal(await next(), 'three\n')
  writeFileSync(path, 'new\n')
  assert.equal(await next(), undefined)
  assert.equal(await next(), 'new\n')
  await cursor.close()
})
