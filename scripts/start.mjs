// `npm start`: everything from a clean clone to the experiment's end. Only Node's own modules: nothing is installed yet.
// No `?.` and `??`: Node 12, which Ubuntu 22.04 and Debian 11 have, must be able to read this file to say that it is too old.
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const problem = whatIsMissing()
if (problem !== undefined) {
  console.error(`cannot run the experiment: ${problem}`)
  process.exit(1)
}
// Ctrl-C goes to the experiment too, which then cleans up: wait for it.
process.on('SIGINT', () => undefined)
if (needsInstall()) install()
else if (needsBuild()) build()
const { status, signal } = spawnSync(
  process.execPath,
  [join(root, 'bin', 'dewar'), 'experiment', ...process.argv.slice(2)],
  {
    stdio: 'inherit',
  },
)
process.exit(status === null ? (signal === 'SIGINT' ? 130 : 1) : status)

/** What this machine lacks, in words that end with what to do; undefined when all is there. */
function whatIsMissing() {
  if (process.platform !== 'linux')
    return `it needs Linux, this is ${process.platform} (a virtual machine will do)`
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19))
    return `it needs Node 20.19 or later, this is ${process.version} (https://nodejs.org has newer ones; Debian 13's nodejs will do)`
  if (process.getuid() !== 0)
    return 'it makes containers and looks at the host as its root (run: sudo npm start)'
  if (newest('native/build/dewar-core') === 0 && !hasCompiler()) {
    return 'no C compiler found (Debian: apt-get install gcc libc6-dev, Fedora: dnf install gcc glibc-static, Alpine: apk add gcc musl-dev linux-headers)'
  }
  return undefined
}

function hasCompiler() {
  return ['cc', 'musl-gcc'].some((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0)
}

/** npm writes node_modules/.package-lock.json last; an older one belongs to another state of the lock file. */
function needsInstall() {
  return newest('node_modules/.package-lock.json') < newest('package-lock.json')
}

function needsBuild() {
  const built = Math.min(newest('dist/cli/main.js'), newest('native/build/dewar-core'))
  const sources = ['src', 'native'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name)),
  )
  return sources.some((name) => /\.(ts|c|h|mjs)$/.test(name) && newest(name) > built)
}

/** Milliseconds of the last change; 0 when there is no such file. */
function newest(name) {
  const found = statSync(join(root, name), { throwIfNoEntry: false })
  return found === undefined ? 0 : found.mtimeMs
}

function install() {
  console.log('Installing and building (once) …')
  must('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
}

function build() {
  console.log('Building …')
  must(process.execPath, [join(root, 'scripts', 'build.mjs')])
}

function must(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
  if (status === 0) return
  console.error(
    `cannot run the experiment: \`${program} ${args.join(' ')}\` failed${error ? `: ${error.message}` : ''}`,
  )
  process.exit(1)
}
