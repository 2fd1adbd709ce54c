/** What the documents say about the tree, checked against the tree. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = findRoot(dirname(fileURLToPath(import.meta.url)))
const documents = [...markdownIn('.'), ...markdownIn('docs'), ...markdownIn('docs/decisions')]

function findRoot(start: string): string {
  return existsSync(join(start, 'package.json')) ? start : findRoot(dirname(start))
}

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => posix.join(folder, name))
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

/** Rows of the tables in SPECIFICATION.md: promise, proof. */
function promises(): { promise: string; proof: string }[] {
  return read('docs/SPECIFICATION.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (promise|-+)/.test(line))
    .map((line) => line.split(' | '))
    .map((cells) => ({ promise: cells[0] ?? '', proof: cells.at(-1) ?? '' }))
}

test('SPECIFICATION.md has promises, and each names a test or says "pending" and why', () => {
  assert.ok(promises().length > 30)
  const bare = promises().filter(
    ({ proof }) => !/`[^`]+\.(test\.ts|mjs|c)`/.test(proof) && !/pending: \S/.test(proof),
  )
  assert.deepEqual(bare, [])
})

test('SPECIFICATION.md names only tests that exist', () => {
  const named = promises().flatMap(({ proof }) => [...proof.matchAll(/`([^`]+\.(?:test\.ts|mjs|c))`/g)])
  const missing = named.map((match) => match[1] ?? '').filter((file) => !existsSync(join(root, file)))
  assert.deepEqual([...new Set(missing)], [])
})

test('documents link only to files that exist', () => {
  const broken = documents.flatMap((file) =>
    [...read(file).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1] ?? '')
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => !existsSync(join(root, posix.dirname(file), target)))
      .map((target) => `${file} → ${target}`),
  )
  assert.deepEqual(broken, [])
})

test('documents name only paths of the tree that exist', () => {
  const named = documents.flatMap((file) =>
    [...read(file).matchAll(/`((?:src|suites|native|scripts|docs)\/[\w./-]+)`/g)].map(
      (match) => `${file}: ${match[1] ?? ''}`,
    ),
  )
  assert.ok(named.length > 20)
  assert.deepEqual(
    named.filter((line) => !existsSync(join(root, line.split(': ')[1] ?? ''))),
    [],
  )
})

test('documents run only test files that exist', () => {
  const named = documents.flatMap((file) =>
    [...read(file).matchAll(/\bdist\/((?:src|suites)\/[\w./-]+)\.js\b/g)].map(
      (match) => `${match[1] ?? ''}.ts`,
    ),
  )
  assert.ok(named.length > 0)
  assert.deepEqual(
    named.filter((path) => !existsSync(join(root, path))),
    [],
  )
})

test('documents name only npm scripts that exist', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const named = documents.flatMap((file) =>
    [...read(file).matchAll(/`npm run ([\w:-]+)/g)].map((match) => match[1] ?? ''),
  )
  assert.deepEqual(
    [...new Set(named)].filter((name) => scripts[name] === undefined),
    [],
  )
})

test('docs/decisions/README.md lists every decision', () => {
  const index = read('docs/decisions/README.md')
  const notes = readdirSync(join(root, 'docs/decisions')).filter((name) => /^\d{4}-.*\.md$/.test(name))
  assert.deepEqual(
    notes.filter((name) => !index.includes(`(${name})`)),
    [],
  )
})

test('documents do not speak of folders that the reader does not have', () => {
  assert.deepEqual(
    documents.filter((file) => /\/work\/|\bshared\/|issue \d/i.test(read(file))),
    [],
  )
})
