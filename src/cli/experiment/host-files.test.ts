import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Tree } from './host-files.ts'
import { addContent, addHostFile } from './host-files.ts'

const scratch = await mkdtemp(join(tmpdir(), 'dwt-host-files-'))
after(() => rm(scratch, { recursive: true }))

test('addHostFile takes every link and folder on the way along', async () => {
  await mkdir(join(scratch, 'usr/lib'), { recursive: true })
  await writeFile(join(scratch, 'usr/lib/libz.so.1.2'), 'z', { mode: 0o644 })
  await symlink('libz.so.1.2', join(scratch, 'usr/lib/libz.so.1'))
  await symlink('usr/lib', join(scratch, 'lib'))
  const tree: Tree = new Map()
  await addHostFile(tree, join(scratch, 'lib/libz.so.1'))
  const inside = [...tree].filter(([path]) => path.startsWith(`${scratch}/`))
  assert.deepEqual(inside.map(([path, entry]) => `${entry.type} ${path.slice(scratch.length)}`).sort(), [
    'directory /usr',
    'directory /usr/lib',
    'file /usr/lib/libz.so.1.2',
    'symlink /lib',
    'symlink /usr/lib/libz.so.1',
  ])
})

test('addHostFile drops setuid and makes programs readable to all', async () => {
  const program = join(scratch, 'setuid-program')
  await writeFile(program, '')
  await chmod(program, 0o4710)
  const tree: Tree = new Map()
  await addHostFile(tree, program)
  const entry = tree.get(program)
  assert.ok(entry?.type === 'file')
  assert.equal(entry.mode, 0o755)
})

test('addHostFile ends at a loop of links', async () => {
  await symlink('loop', join(scratch, 'loop'))
  await assert.rejects(addHostFile(new Map(), join(scratch, 'loop')), /ELOOP/)
})

test('addContent makes the folders above', () => {
  const tree: Tree = new Map()
  addContent(tree, '/a/b/c', 'text')
  assert.deepEqual([...tree.keys()], ['/a', '/a/b', '/a/b/c'])
})
