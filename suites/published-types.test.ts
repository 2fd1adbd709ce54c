/** What the package's declarations import is there for who installs the package. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { PROJECT } from './harness/project.ts'

/** Packages that the declarations reachable from `file` import; '@types/node' for Node's own. */
function imported(file: string, seen = new Set<string>()): Set<string> {
  const found = new Set<string>()
  seen.add(file)
  // Not what examples in comments import.
  const text = readFileSync(file, 'utf8').replaceAll(/^\s*\/?\*.*$/gm, '')
  for (const [, from = ''] of text.matchAll(/(?:from |import\()['"]([^'"]+)['"]/g)) {
    if (!from.startsWith('.')) found.add(from.startsWith('node:') ? '@types/node' : from)
    const next = join(dirname(file), from.replace(/\.js$/, '.d.ts').replace(/(?<!\.d)\.ts$/, '.d.ts'))
    if (from.startsWith('.') && !seen.has(next)) for (const name of imported(next, seen)) found.add(name)
  }
  return found
}

test('the published types import only what package.json names as a dependency', () => {
  const { dependencies, peerDependencies } = JSON.parse(
    readFileSync(join(PROJECT, 'package.json'), 'utf8'),
  ) as Record<'dependencies' | 'peerDependencies', Readonly<Record<string, string>>>
  const named = new Set([...Object.keys(dependencies), ...Object.keys(peerDependencies)])
  const names = imported(join(PROJECT, 'dist/src/index.d.ts'))
  assert.ok(names.has('@types/node'), 'nothing was looked at')
  assert.deepEqual(
    [...names].filter((name) => !named.has(name)),
    [],
  )
})
