// `npm test [-- PATTERN…]`: sets itself up on a clean clone, then runs every test there is.
//
// Unit tests (src) run two files at a time, suites one file at a time, since those start engines. The last line is
// `N passed, N failed, N skipped`. Skips are listed with their reasons. PATTERN selects files by a part of their path.
// What is left behind on the machine (mounts, cgroups, interfaces, packet filter rules, our processes) is a failure, and is
// named with the file after which it was first there.
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installPackages } from './setup-tests.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const MINUTES = 60_000
/** Fewer files than this mean that the search is broken, not that there is nothing to test. */
const FEWEST = { src: 30, suites: 5 }

/** Lines of a failure's beginning and end, and failures, that are told again at the end. */
const FEW_LINES = 8
const MOST_TOLD = 30

/** Set for the run inside. */
const MOUNTS = 'DEWAR_TEST_MOUNTS'

const say = (text) => process.stdout.write(`${text}\n`)
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`
const patterns = process.argv.slice(2)
const began = performance.now()

if (process.env[MOUNTS] === undefined) prepare()
runWhereMountsTravel()
const { hostState, inDetail, isOfRun, leftBehind, RUN } = await import(
  join(root, 'dist', 'suites', 'harness', 'host-state.js')
)
const run = randomBytes(6).toString('hex')
const before = await hostState()
/** By line, the file after which it was first there. */
const firstSeen = new Map()
const groups = findTests()
const total = { passed: 0, failed: 0, skipped: 0 }
const skips = new Map()
const failures = []

try {
  for (const { name, files, concurrency } of groups) {
    if (files.length === 0) continue
    say(`\n── ${name}: ${files.length} files`)
    await runGroup(files, concurrency)
  }
  if (patterns.length === 0 || groups.some(({ name, files }) => name === 'suites' && files.length > 0))
    await checkLeaks()
} catch (error) {
  // What is known by then is to be told all the same.
  total.failed++
  failures.push({ title: 'running the tests failed', text: String(error?.stack ?? error) })
}
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

/**
 * In a mount namespace whose mounts are shared, as on each machine that systemd has set up: what is mounted there by
 * mistake, or taken away, is so for all. Whatever a test that is killed leaves mounted is gone with it.
 */
function runWhereMountsTravel() {
  if (process.env[MOUNTS] !== undefined) return
  const shared = [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    'mount --make-rshared / && exec "$0" "$@"',
  ]
  const [program, ...args] = ['setpriv', '--pdeathsig', 'TERM', '--', ...shared]
  if (spawnSync(program, [...args, 'true']).status !== 0) {
    say('── no mount namespace to be had (root, setpriv and unshare make one): mounts are as they are here')
    return
  }
  const env = { ...process.env, [MOUNTS]: 'shared' }
  const { status } = spawnSync(program, [...args, process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env,
  })
  process.exit(status ?? 1)
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

/**
 * Each file is a process of its own that reports as TAP. Not node's `run()`: its parent decodes what the children
 * serialize, and in Node 20.20 that stream stopped for good after one large failure, and the run ended in silence.
 */
async function runGroup(files, concurrency) {
  const waiting = [...files]
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) await runFile(file)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

async function runFile(file) {
  const since = performance.now()
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(process.execPath, ['--test-reporter=tap', file], {
    cwd: root,
    env: { ...env, [RUN]: run },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 65 * MINUTES,
  })
  let tap = ''
  child.stdout.on('data', (chunk) => (tap += chunk))
  const [code, signal] = await new Promise((resolve) => child.on('close', (...how) => resolve(how)))
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const number = (word) => Number(new RegExp(`^# ${word} (\\d+)$`, 'm').exec(tap)?.[1] ?? 0)
  count('passed', counts, number('pass'))
  count('skipped', counts, number('skipped') + number('todo'))
  count('failed', counts, number('fail') + number('cancelled'))
  noteSkips(file, tap)
  if (counts.failed > 0) noteFailures(file, tap)
  // It ended otherwise than by its tests, or had none: that is a failure too.
  if (counts.failed === 0 && (code !== 0 || counts.passed + counts.skipped === 0)) {
    count('failed', counts, 1)
    failures.push({ title: relative(root, file), text: tap.slice(-1500) })
    say(`✖ ${relative(root, file)} ended with ${signal ?? code}\n${indent(tap.slice(-4000))}`)
  }
  sayFile(file, counts, performance.now() - since)
  // Only to name the file later: a look that fails is no reason to leave the rest untested.
  await lookAfter(file).catch((error) => say(`looking at the machine failed: ${error.message}`))
}

async function lookAfter(file) {
  const now = await hostState()
  for (const line of now) if (!firstSeen.has(line)) firstSeen.set(line, relative(root, file))
  for (const line of firstSeen.keys()) if (!now.has(line)) firstSeen.delete(line)
}

function noteSkips(file, tap) {
  for (const [, name, reason] of tap.matchAll(/^\s*ok \d+ - (.*) # (?:SKIP|TODO) ?(.*)$/gm)) {
    const why = reason === '' ? 'no reason given' : reason
    skips.set(why, [...(skips.get(why) ?? []), `${relative(root, file)}: ${name}`])
  }
}

/** A failed test is a `not ok` line and the YAML behind it; suites that only contain one say so and are left out. */
function noteFailures(file, tap) {
  const failed = /^( *)not ok \d+ - (.*)\n\1 {2}---\n[^]*?\n\1 {2}\.\.\.$/gm
  for (const { 0: block, 1: margin = '', 2: name, index } of tap.matchAll(failed)) {
    if (block.includes("failureType: 'subtestsFailed'")) continue
    const title = [relative(root, file), ...testsAround(tap.slice(0, index), margin), name].join(': ')
    failures.push({ title, text: essence(block) })
    say(`✖ ${title}\n${indent(block.slice(0, 6000))}`)
  }
}

/** Names of the tests that are open where `tap` ends, from the outermost: they tell on which side one failed. */
function testsAround(tap, margin) {
  const names = []
  for (const [, indent, name] of tap.matchAll(/^( *)# Subtest: (.*)$/gm)) {
    names.length = indent.length / 4
    names.push(name)
  }
  return names.slice(0, margin.length / 4)
}

/** Of a failure's YAML its error and where it was thrown, in a few lines: of what is long, the beginning and the end. */
function essence(block) {
  const [, error = block] = /^ *error: ([^]*?)\n *(?:code|name|stack): /m.exec(block) ?? []
  const where = /^ *(?:[\w.<>]+ \(|async |file:).*\/dist\/(?:src|suites)\/.*$/m.exec(block)?.[0] ?? ''
  const lines = `${error}\n${where}`
    .split('\n')
    .map((line) => line.trim().slice(0, 300))
    .filter((line) => line !== '' && line !== '|-')
  const left = lines.length - 2 * FEW_LINES
  return left < 2
    ? lines.join('\n')
    : [...lines.slice(0, FEW_LINES), `… ${left} lines`, ...lines.slice(-FEW_LINES)].join('\n')
}

function count(what, counts, n) {
  counts[what] += n
  total[what] += n
}

function sayFile(file, { passed, failed, skipped }, ms) {
  const parts = [`${passed} passed`, failed && `${failed} failed`, skipped && `${skipped} skipped`].filter(
    Boolean,
  )
  const path = relative(join(root, 'dist'), file).replace(/\.js$/, '')
  say(`${failed > 0 ? '✖' : '✔'} ${path}: ${parts.join(', ')} (${seconds(ms)})`)
}

function indent(text) {
  return text.replace(/^/gm, '    ')
}

/**
 * Other people's processes come and go: of processes only those of this run count. A mount, group, interface or rule does
 * not say whose it is, and counts whoever made it: who starts containers of his own meanwhile is told of them here.
 */
async function checkLeaks() {
  const left = []
  for (const line of await leftBehind(before, async (one) => !(await isOfRun(one, run)))) {
    const since = firstSeen.get(line) ?? 'the last file'
    left.push(`${await inDetail(line)}; first there after ${since}`)
  }
  if (left.length === 0) {
    total.passed++
    return
  }
  total.failed++
  failures.push({ title: 'nothing is left behind on the machine', text: left.join('\n') })
  say(`✖ left behind on the machine:\n${indent(left.join('\n'))}`)
}

function report() {
  if (skips.size > 0) say('\n── skipped')
  for (const [reason, names] of skips) say(`${reason}\n${indent(names.join('\n'))}`)
  // Once more, since of a long run only the beginning and the end may be kept.
  if (failures.length > 0) say('\n── failed (details above)')
  for (const [index, { title, text }] of failures.entries())
    say(index < MOST_TOLD ? `✖ ${title}\n${indent(text)}` : `✖ ${title}`)
  say(`\n${seconds(performance.now() - began)}`)
  say(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
  process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0
}
