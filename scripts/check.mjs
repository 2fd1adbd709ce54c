// `npm run check`: everything that can be known about the tree without running it, all at once, in seconds.
// A check that is content prints its name and time; one that is not prints what its tool said. Exits 1 if any failed.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const tool = (name) => join(root, 'node_modules', '.bin', name)
const scratch = join(root, '.build', 'check')

const cAndHeaders = readdirSync(join(root, 'native'), { recursive: true })
  .filter((name) => /\.[ch]$/.test(name))
  .map((name) => join('native', name))
const cFiles = cAndHeaders.filter((name) => name.endsWith('.c'))
/** `-- --analyze`: gcc follows paths through the functions; ten seconds, so not every time. */
const analyze = process.argv.includes('--analyze')
  ? [
      {
        name: 'C analyzer',
        argvs: cFiles.map((file) => [
          'cc',
          '-fanalyzer',
          '-std=gnu11',
          '-Wall',
          '-Wextra',
          '-Werror',
          '-c',
          '-o',
          '/dev/null',
          file,
        ]),
      },
    ]
  : []
const code = ['src', 'suites', 'scripts', 'native', 'package.json', 'tsconfig.json'].filter((path) =>
  existsSync(join(root, path)),
)

/** Each check is one argv, or a few carried out in order; `skip` says why it cannot be had on this machine. */
const checks = [
  { name: 'format', argvs: [[tool('oxfmt'), '--check', ...code]] },
  {
    name: 'format C',
    argvs: [['clang-format', '--dry-run', '--Werror', '--ferror-limit=1', ...cAndHeaders]],
    skip: cAndHeaders.length === 0 ? 'no C files' : missing('clang-format'),
  },
  {
    name: 'lint',
    argvs: [[tool('oxlint'), '--type-aware', '--deny-warnings', '--format=unix', 'src', 'suites', 'scripts']],
  },
  { name: 'types', argvs: [[tool('tsc'), '-p', '.', '--noEmit', '--pretty', 'false']] },
  {
    name: 'C warnings',
    argvs: cFiles.map((file) => ['cc', '-fsyntax-only', '-std=gnu11', '-Wall', '-Wextra', '-Werror', file]),
    skip: cFiles.length === 0 ? 'no C files' : missing('cc'),
  },
  { name: 'arrows', argvs: arrows() },
  ...analyze,
]

/** Node 20 does not run TypeScript, so the one suite that belongs to `check` is stripped of its types first. */
function arrows() {
  const out = join(scratch, 'layers.test.mjs')
  mkdirSync(scratch, { recursive: true })
  return [
    [tool('esbuild'), 'suites/layers.test.ts', '--format=esm', `--outfile=${out}`, '--log-level=warning'],
    [process.execPath, '--test', '--test-reporter=dot', out],
  ]
}

function missing(program) {
  const found = spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined
  return found ? undefined : `${program} is not installed`
}

function run(argv) {
  return new Promise((done) => {
    const child = spawn(argv[0], argv.slice(1), {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const output = []
    child.stdout.on('data', (chunk) => output.push(chunk))
    child.stderr.on('data', (chunk) => output.push(chunk))
    child.on('error', (error) => done({ ok: false, output: `cannot start ${argv[0]}: ${error.message}` }))
    child.on('close', (code) => done({ ok: code === 0, output: Buffer.concat(output).toString() }))
  })
}

async function carryOut(check) {
  if (check.skip !== undefined) return { ...check, verdict: 'skip', output: check.skip, ms: 0 }
  const started = performance.now()
  for (const argv of check.argvs) {
    const { ok, output } = await run(argv)
    if (!ok) return { ...check, verdict: 'FAIL', output, ms: performance.now() - started }
  }
  return { ...check, verdict: 'ok', output: '', ms: performance.now() - started }
}

/** The first lines of what a tool said: enough to act on. `npm run check -- --all` shows everything. */
function shortened(output, most = 40) {
  const lines = output.trimEnd().split('\n')
  if (lines.length <= most || process.argv.includes('--all')) return lines.join('\n')
  return [...lines.slice(0, most), `… ${lines.length - most} more lines (npm run check -- --all)`].join('\n')
}

const started = performance.now()
const results = await Promise.all(
  checks.map(async (check) => {
    const result = await carryOut(check)
    const time = `${(result.ms / 1000).toFixed(1)} s`
    console.log(
      `${result.verdict.padEnd(5)} ${check.name.padEnd(11)} ${result.verdict === 'skip' ? result.output : time}`,
    )
    return result
  }),
)
const failed = results.filter((result) => result.verdict === 'FAIL')
for (const { name, output } of failed) console.log(`\n── ${name}\n${shortened(output)}`)
const total = ((performance.now() - started) / 1000).toFixed(1)
console.log(
  failed.length === 0
    ? `\nall good in ${total} s`
    : `\n${failed.length} of ${checks.length} failed in ${total} s: ${failed.map((check) => check.name).join(', ')}`,
)
process.exitCode = failed.length === 0 ? 0 : 1
