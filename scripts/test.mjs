// `npm test [-- PATTERN…]`: sets itself up on a clean clone, then runs every test there is.
//
// Unit tests (src) run two files at a time, suites one file at a time, since those start engines. The last line is
// `N passed, N failed, N skipped`. Skips are listed with their reasons. PATTERN selects files by a part of their path.
// What is left behind on the machine (mounts, cgroups, interfaces, packet filter rules, our processes) is a failure.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { run } from 'node:test'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installPackages } from './setup-tests.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const MINUTES = 60_000
/** Fewer files than this mean that the search is broken, not that there is nothing to test. */
const FEWEST = { src: 30, suites: 5 }

const say = (text) => process.stdout.write(`${text}\n`)
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`
const patterns = process.argv.slice(2)
const began = performance.now()

prepare()
const { hostState, leftBehind } = await import(join(root, 'dist', 'suites', 'harness', 'host-state.js'))
const before = await hostState()
const groups = findTests()
const total = { passed: 0, failed: 0, skipped: 0 }
const skips = new Map()
const failures = []

for (const { name, files, concurrency } of groups) {
  if (files.length === 0) continue
  say(`\n── ${name}: ${files.length} files`)
  await runGroup(files, concurrency)
}
if (patterns.length === 0 || groups.some(({ name, files }) => name === 'suites' && files.length > 0))
  await checkLeaks()
report()

/** npm ci, packages and build, each only when it is wanted. */
function prepare() {
  if (isOlder(join(root, 'node_modules', '.package-lock.json'), join(root, 'package-lock.json'))) {
    say('── npm ci')
    must('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'])
  }
  const missing = installPackages((text) => say(`── ${text}`))
  if (missing.length > 0) say(`── not there, tests that need it are skipped: ${missing.join(', ')}`)
  say('── build')
  must(process.execPath, [join(root, 'scripts', 'build.mjs')])
}

function isOlder(file, than) {
  return !existsSync(file) || statSync(file).mtimeMs < statSync(than).mtimeMs
}

function must(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit', timeout: 15 * MINUTES })
  if (status === 0) return
  say(`${program} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`)
  process.exit(1)
}

/** By the sources, so that output of a file that is gone is not run. */
function findTests() {
  const groups = ['src', 'suites'].map((name) => {
    const sources = readdirSync(join(root, name), { recursive: true })
      .filter((path) => path.endsWith('.test.ts'))
      .sort()
    if (sources.length < FEWEST[name]) {
      say(`only ${sources.length} test files under ${name}: something is wrong with the search`)
      process.exit(1)
    }
    const files = sources.map((path) => join(root, 'dist', name, path.replace(/\.ts$/, '.js')))
    return { name, files: files.filter(isWanted), concurrency: name === 'src' ? 2 : 1 }
  })
  if (groups.every(({ files }) => files.length === 0)) {
    say(`no test file matches ${patterns.join(' ')}`)
    process.exit(1)
  }
  return groups
}

function isWanted(file) {
  return patterns.length === 0 || patterns.some((pattern) => relative(root, file).includes(pattern))
}

const NODE_COUNTS = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) \d/

async function runGroup(files, concurrency) {
  const perFile = new Map(files.map((file) => [file, { passed: 0, failed: 0, skipped: 0 }]))
  for await (const { type, data } of run({ files, concurrency, timeout: 25 * MINUTES })) {
    if (type === 'test:stderr' || type === 'test:stdout') process.stderr.write(data.message)
    else if (type === 'test:diagnostic' && data.file && !NODE_COUNTS.test(data.message))
      say(`   ${data.message}`)
    else if (type === 'test:complete')
      noteEnd(data, perFile.get(data.file) ?? { passed: 0, failed: 0, skipped: 0 })
    if (data.name !== data.file) sayEnded(perFile, data.file)
  }
  sayEnded(perFile)
}

/** A file's own end is told before those of its tests, which wait for the files before it: when others come it is over. */
function sayEnded(perFile, current) {
  for (const [file, counts] of perFile) {
    const told = counts.passed + counts.failed + counts.skipped > 0
    if (counts.ms === undefined || (current !== undefined && (file === current || !told))) continue
    sayFile(file, counts)
    perFile.delete(file)
  }
}

/** `test:complete` comes as tests end, `test:pass` and `test:fail` in order. */
function noteEnd(data, counts) {
  const isFile = data.name === data.file
  if (!data.details.passed) noteFailure(data, counts)
  else if (data.skip !== undefined) noteSkip(data, counts)
  else if (data.details.type !== 'suite' && !isFile) count('passed', counts)
  if (isFile) counts.ms = data.details.duration_ms
}

function noteSkip(data, counts) {
  count('skipped', counts)
  const reason = data.skip === true || data.skip === '' ? 'no reason given' : data.skip
  skips.set(reason, [...(skips.get(reason) ?? []), `${relative(root, data.file)}: ${data.name}`])
}

function noteFailure(data, counts) {
  const error = data.details.error
  // A suite or file whose parts have failed is no failure of its own.
  if (error?.failureType === 'subtestsFailed') return
  count('failed', counts)
  const cause = error?.cause ?? error
  const text = cause?.stack ?? cause?.message ?? String(cause)
  failures.push({ title: `${relative(root, data.file ?? '')}: ${data.name}`, text })
  say(`✖ ${failures.at(-1).title}\n${indent(text)}`)
}

function count(what, counts) {
  counts[what]++
  total[what]++
}

function sayFile(file, { passed, failed, skipped, ms }) {
  const parts = [`${passed} passed`, failed && `${failed} failed`, skipped && `${skipped} skipped`].filter(
    Boolean,
  )
  const path = relative(join(root, 'dist'), file).replace(/\.js$/, '')
  say(`${failed > 0 ? '✖' : '✔'} ${path}: ${parts.join(', ')} (${seconds(ms)})`)
}

function indent(text) {
  return text.replace(/^/gm, '    ')
}

/** Other people's processes come and go; only ours count. */
async function checkLeaks() {
  const foreign = (line) => line.startsWith('process ') && !/dewar|dwt-/.test(line)
  const left = await leftBehind(before, foreign)
  const own = left.filter((line) => !line.startsWith(`process ${process.pid} `))
  if (own.length === 0) {
    total.passed++
    return
  }
  total.failed++
  failures.push({ title: 'nothing is left behind on the machine', text: own.join('\n') })
  say(`✖ left behind on the machine:\n${indent(own.join('\n'))}`)
}

function report() {
  if (skips.size > 0) say('\n── skipped')
  for (const [reason, names] of skips) say(`${reason}\n${indent(names.join('\n'))}`)
  if (failures.length > 0) say('\n── failed (details above)')
  for (const { title } of failures) say(`✖ ${title}`)
  say(`\n${seconds(performance.now() - began)}`)
  say(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
  process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0
}
