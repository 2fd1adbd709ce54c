import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

test('compileEarly says nothing that this Node does not understand', () => {
  const module = new URL('./compile-early.js', import.meta.url)
  const script = `import { compileEarly } from ${JSON.stringify(module.href)}; compileEarly(); console.log('done')`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  assert.deepEqual([stdout, stderr], ['done\n', ''])
})
