import { test } from 'node:test'
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { folderMode } from './tmpfs-mode.ts'

test('folderMode takes the topmost layer that has the folder, and follows nothing', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'dwt-mode-'))
  t.after(() => rmSync(root, { recursive: true }))
  const [top, low] = [join(root, 'top'), join(root, 'low')]
  for (const folder of [top, join(low, 'run/lock'), join(low, 'hidden')])
    mkdirSync(folder, { recursive: true })
  chmodSync(join(low, 'run'), 0o711)
  writeFileSync(join(top, 'hidden'), '')
  symlinkSync('/root', join(low, 'link'))
  const layers = [top, low]
  assert.equal(folderMode('/run', layers), 0o711)
  assert.equal(folderMode('/nowhere', layers), undefined)
  assert.equal(folderMode('/hidden', layers), undefined)
  assert.equal(folderMode('/link', layers), undefined)
  assert.equal(folderMode('/link/.ssh', layers), undefined)
  mkdirSync(join(top, 'run'))
  chmodSync(join(top, 'run'), 0o700)
  assert.equal(folderMode('/run', layers), 0o700)
})
