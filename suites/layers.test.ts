/**
 * The house rules that a compiler does not know: which room may import which, and how long a file may be.
 * Reads the source tree itself, so it holds wherever it is compiled to. `npm run check` runs it too.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Arrows of docs/ARCHITECTURE.md, written one step long; what a room reaches through another it may import too. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  cli: ['client', 'audit'],
  audit: ['client'],
  client: ['base'],
  api: ['engine'],
  engine: ['isolation', 'network', 'registry'],
  isolation: ['store'],
  network: ['store'],
  registry: ['store'],
  store: ['kernel'],
  kernel: ['base'],
  base: [],
  /** The composition root: builds an engine and serves it. */
  daemon: ['api'],
  /** src/index.ts, the library. */
  index: ['engine', 'client'],
}

/** Packages that belong to one room: only it knows their words. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  fastify: ['api'],
  commander: ['cli'],
  'cli-progress': ['cli'],
}

const SOURCE_LINES = 300
const HARD_LINES = 500
/** Comments and blank lines too: docs/decisions/0012-native-lines.md. */
const NATIVE_LINES = 2000
/** What the audit runs inside containers: docs/decisions/0091-audit-probe-program.md. */
const PROBE_LINES = 430

/** Files longer than SOURCE_LINES, how long they may be, and why they are better whole. */
const LONGER: Readonly<Record<string, { readonly lines: number; readonly why: string }>> = {
  'src/audit/probes/in/planted.ts': {
    lines: 400,
    why: 'one family of probes, whose questions and words are half of the lines',
  },
  'src/audit/probes/in/privileges.ts': {
    lines: 330,
    why: 'one family of probes, whose questions and words are half of the lines',
  },
  'src/client/types.ts': { lines: 360, why: "Docker's JSON as one table of shapes" },
  'src/client/containers.ts': { lines: 340, why: 'one method per endpoint of a container, with its comment' },
  'src/engine/images-load.ts': { lines: 330, why: 'docker archives and OCI layouts, read side by side' },
}

const root = findRoot(dirname(fileURLToPath(import.meta.url)))
const files = existsSync(join(root, 'src')) ? list(join(root, 'src'), '.ts') : []
const sources = files.filter((file) => !file.endsWith('.test.ts'))

function findRoot(start: string): string {
  if (existsSync(join(start, 'package.json'))) return start
  const up = dirname(start)
  assert.notEqual(up, start, 'no package.json above this file')
  return findRoot(up)
}

/** Paths relative to the repository, with forward slashes, sorted. */
function list(folder: string, ...endings: string[]): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .map((name) => relative(root, join(folder, name)))
    .sort()
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

function lineCount(file: string): number {
  return read(file).split('\n').length - 1
}

/** `src/api/routes/x.ts` → `api`; `src/index.ts` → `index`. */
function roomOf(file: string): string {
  return (file.split('/')[1] ?? '').replace(/\.ts$/, '')
}

function importsOf(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const found = code.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"\n]+)['"]/g)
  return [...found].flatMap((match) => match[1] ?? [])
}

function reachable(room: string, seen = new Set<string>([room])): Set<string> {
  for (const next of ARROWS[room] ?? []) {
    if (!seen.has(next)) reachable(next, seen.add(next))
  }
  return seen
}

function against(file: string): string[] {
  const room = roomOf(file)
  const allowed = reachable(room)
  return importsOf(read(file))
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => posix.join(posix.dirname(file), specifier))
    .filter((target) => !allowed.has(roomOf(target)) || !target.startsWith('src/'))
    .map((target) => `${file} (${room}) imports ${target}`)
}

test('layers reads a tree that is not empty', () => {
  assert.ok(sources.length > 20, `only ${sources.length} source files found under ${root}/src`)
  const rooms = new Set(sources.map(roomOf))
  const expected = [
    'api',
    'base',
    'cli',
    'client',
    'engine',
    'isolation',
    'kernel',
    'network',
    'registry',
    'store',
  ]
  assert.deepEqual(
    expected.filter((room) => !rooms.has(room)),
    [],
    'rooms without a file',
  )
})

test('layers knows every room', () => {
  const unknown = files.filter((file) => !(roomOf(file) in ARROWS))
  assert.deepEqual(
    unknown,
    [],
    'files in no room: move them, or add the room to ARROWS and to ARCHITECTURE.md',
  )
})

test('layers has no cycle between rooms', () => {
  const cyclic = Object.entries(ARROWS).filter(([room, nexts]) =>
    nexts.some((next) => reachable(next).has(room)),
  )
  assert.deepEqual(cyclic, [])
})

test('layers finds imports in every form they are written in, and none in comments', () => {
  const source = [
    "import { a } from './a.ts'",
    "import type { b } from './b.ts'",
    "export * from './c.ts'",
    "import './d.ts'",
    "const e = await import('./e.ts')",
    "type F = import('./f.ts').F",
    "// import './no.ts'",
    "/* import './no.ts' */",
    "import {\n  g,\n} from './g.ts'",
  ].join('\n')
  assert.deepEqual(importsOf(source), ['./a.ts', './b.ts', './c.ts', './d.ts', './e.ts', './f.ts', './g.ts'])
})

test('layers lets imports go along the arrows only', () => {
  assert.deepEqual(files.flatMap(against), [])
})

test('layers keeps each of these packages in its room', () => {
  const strays = files.flatMap((file) =>
    importsOf(read(file))
      .filter((name) => PACKAGES[name] !== undefined && !PACKAGES[name].includes(roomOf(file)))
      .map((name) => `${file} imports ${name}`),
  )
  assert.deepEqual(strays, [])
})

test('layers keeps source files short enough to read', () => {
  const long = sources
    .map((file) => ({ file, lines: lineCount(file), most: LONGER[file]?.lines ?? SOURCE_LINES }))
    .filter(({ lines, most }) => lines > most)
    .map(({ file, lines, most }) => `${file}: ${lines} lines, ${most} are allowed`)
  assert.deepEqual(long, [], 'split the file, or add it to LONGER with a reason')
})

test('layers keeps test and script files under the hard limit', () => {
  const suites = existsSync(join(root, 'suites')) ? list(join(root, 'suites'), '.ts', '.mjs') : []
  const scripts = existsSync(join(root, 'scripts')) ? list(join(root, 'scripts'), '.mjs') : []
  const tests = files.filter((file) => file.endsWith('.test.ts'))
  const long = [...suites, ...scripts, ...tests]
    .filter((file) => lineCount(file) > HARD_LINES)
    .map((file) => `${file}: ${lineCount(file)} lines`)
  assert.deepEqual(long, [])
})

test('layers has no exception that is not needed', () => {
  const stale = Object.keys(LONGER).filter(
    (file) => !existsSync(join(root, file)) || lineCount(file) <= SOURCE_LINES,
  )
  assert.deepEqual(stale, [], 'remove them from LONGER')
})

test('layers keeps the native core small enough to be read alone', () => {
  const native = readdirSync(join(root, 'native')).filter((name) => /\.[ch]$/.test(name))
  assert.ok(native.length > 0, 'no C found in native/')
  const total = native.reduce((sum, name) => sum + lineCount(join('native', name)), 0)
  assert.ok(total <= NATIVE_LINES, `native/ has ${total} lines of C, ${NATIVE_LINES} are allowed`)
})

test('layers keeps the program inside small enough to be read alone', () => {
  const probe = list(join(root, 'native', 'probe'), '.c', '.h')
  const total = probe.reduce((sum, file) => sum + lineCount(file), 0)
  assert.ok(total > 0 && total <= PROBE_LINES, `native/probe/ has ${total} lines, ${PROBE_LINES} are allowed`)
})
