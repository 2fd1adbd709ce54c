/**
 * `npm start` as the first thing that is ever done in a clone, by somebody with a home of their own: what it says when
 * something is missing, that it installs, builds and finds what is there to be found, and that nothing of it stays.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, readdir, realpath, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { command, describe as told } from './harness/command.ts'
import type { CommandResult } from './harness/command.ts'
import { assertNoTraces, tracesBefore } from './harness/experiment-traces.ts'
import { packagedNode } from './harness/packaged-node.ts'
import { PROJECT } from './harness/project.ts'
import { findProgram, missing } from './harness/requirement.ts'
import { tempFolder } from './harness/temp-folder.ts'
import type { TempFolder } from './harness/temp-folder.ts'

const skip = existsSync(join(PROJECT, '.git'))
  ? missing('git', 'npm', 'find', 'ps')
  : 'this is no git repository: there is nothing to clone'
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** Downloads and compiles: a slow machine takes minutes. */
const LIMIT = 600_000

let folder: TempFolder
let clone = ''
/** npm's, of this machine: packages that are there are not downloaded again. */
let cache = ''

before(async () => {
  if (skip !== false) return
  folder = await tempFolder('clone')
  clone = join(folder.path, 'dewar')
  for (const name of ['home', 'tmp']) await mkdir(join(folder.path, name))
  // Others must get to the clone, and git must not mind whose the repository is.
  await chmod(folder.path, 0o755)
  await writeFile(join(folder.path, 'home', '.gitconfig'), '[safe]\n\tdirectory = *\n')
  cache = (await command(['npm', 'config', 'get', 'cache'], { check: true })).stdout.trim()
  await clean(['git', 'clone', '--quiet', PROJECT, clone], { cwd: folder.path, check: true })
})

after(() => folder?.[Symbol.asyncDispose]())

interface Clean {
  readonly path?: string
  readonly cwd?: string
  readonly check?: boolean
  readonly as?: readonly string[]
}

/** Runs it without anything of this process's environment. */
function clean(argv: readonly string[], { path, as = [], ...rest }: Clean = {}): Promise<CommandResult> {
  const environment = {
    HOME: join(folder.path, 'home'),
    TMPDIR: join(folder.path, 'tmp'),
    PATH: path ?? `${process.execPath.replace(/\/node$/, '')}:${PATH}`,
    npm_config_cache: cache,
    npm_config_prefer_offline: 'true',
    npm_config_update_notifier: 'false',
    // No registry on any machine: what is tested is the same everywhere.
    DEWAR_REGISTRY_MIRROR: 'http://127.0.0.1:1',
  }
  const words = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  return command([...as, 'env', '-i', ...words, ...argv], { cwd: clone, timeout: LIMIT, ...rest })
}

/** A folder for PATH with these programs alone. */
async function pathOf(name: string, programs: Readonly<Record<string, string>>): Promise<string> {
  const path = join(folder.path, name)
  await mkdir(path)
  for (const [program, target] of Object.entries(programs))
    await symlink(await realpath(target), join(path, program))
  return path
}

function assertRefused(result: CommandResult, message: RegExp): void {
  assert.equal(result.code, 1, told(['npm', 'start'], result))
  assert.match(result.stderr, message)
  assert.doesNotMatch(result.stderr, /^\s+at /m, 'no stack trace')
  for (const name of ['node_modules', 'dist', 'native/build'])
    assert.ok(!existsSync(join(clone, name)), `nothing is begun: no ${name}`)
}

describe('npm start in a clean clone', { skip, concurrency: 1 }, () => {
  test('npm start says how to become root', { skip: missing('setpriv') }, async (t) => {
    const as = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
    if ((await command([...as, process.execPath, '--version'])).code !== 0)
      return t.skip(`the user nobody cannot run ${process.execPath}`)
    assertRefused(
      await clean(['node', 'scripts/start.mjs'], { as }),
      /^cannot run the experiment: it makes containers .* \(run: sudo npm start\)$/m,
    )
  })

  test('npm start says how to get a C compiler', async () => {
    const programs = { node: process.execPath, npm: findProgram('npm') ?? '', sh: '/bin/sh' }
    const path = await pathOf('no-compiler', { ...programs, env: '/usr/bin/env' })
    assertRefused(
      await clean(['/usr/bin/env', 'npm', 'start'], { path }),
      /^cannot run the experiment: no C compiler found \(Debian: apt-get install gcc libc6-dev, Fedora: .*\)$/m,
    )
  })

  test('the build, which npm ci runs, says the same and no more', async () => {
    const path = await pathOf('build', { node: process.execPath, env: '/usr/bin/env' })
    const result = await clean(['/usr/bin/env', 'node', 'scripts/build.mjs'], { path })
    await command(['rm', '-r', join(clone, 'dist'), join(clone, 'native/build')], { check: true })
    assert.equal(result.code, 1)
    assert.match(
      result.stderr,
      /^Building dewar-core failed \(install a C compiler: apt-get install gcc libc6-dev\)$/m,
    )
    assert.doesNotMatch(result.stderr, /^\s+at /m, 'no stack trace')
  })

  test('npm start says that Node is too old, also to one that is much too old', async (t) => {
    // What Ubuntu 22.04 and Debian 11 call `nodejs`.
    const old = await packagedNode('12.22.12')
    if (old === undefined) return t.skip('npm’s registry does not give an old Node')
    assertRefused(
      await clean([old, 'scripts/start.mjs']),
      /^cannot run the experiment: it needs Node 20\.19 or later, this is v12\.22\.12 \(https:.*\)$/m,
    )
  })

  test('npm start installs, builds, finds what the host’s root sees, and leaves nothing', async () => {
    const traces = await tracesBefore()
    const over = new AbortController()
    const [result, seen] = await Promise.all([
      clean(['npm', 'start']).finally(() => over.abort()),
      firstSight(over.signal),
    ])
    assert.equal(result.code, 0, told(['npm', 'start'], result))
    const { stdout } = result
    assert.match(stdout, /^Installing and building \(once\) …$/m)
    assert.match(stdout, /http:\/\/127\.0\.0\.1:\d+\/ says "Hello from a Dewar container"/)
    // Not what it says of itself, but what was there while it ran.
    assert.ok(seen !== undefined, `no container was seen while it ran:\n${stdout}`)
    assert.match(stdout, new RegExp(`^ {5}pid ${seen.pid} {2}uid ${seen.uid} {2}node /srv/server\\.js$`, 'm'))
    assert.match(stdout, new RegExp(`^ {5}EXPERIMENT_SECRET=${seen.secret}$`, 'm'))
    const [, path = ''] = new RegExp(`^ {5}(/\\S+/${seen.file})$`, 'm').exec(stdout) ?? []
    assert.match(path, /^\/var\/tmp\/dewar-experiment-/, stdout)
    assert.match(stdout, new RegExp(`^ {5}owned by uid ${seen.uid}, readable: "${seen.content}"$`, 'm'))
    await assertNoTraces(traces)
    assert.deepEqual(await readdir(join(folder.path, 'tmp')), [])
    // npm's are npm's.
    const ours = (name: string): boolean => !['.gitconfig', '.cache', '.npm'].includes(name)
    assert.deepEqual((await readdir(join(folder.path, 'home'))).filter(ours), [])
    const { stdout: changes } = await clean(['git', 'status', '--porcelain'], { check: true })
    assert.equal(changes, '', 'all that was built is ignored')
  })

  test('npm start installs nothing again, and says which port it took instead of 8080', async () => {
    const traces = await tracesBefore()
    const busy = createServer().listen(8080)
    // Somebody else's is as good.
    await once(busy, 'listening').catch(() => undefined)
    const result = await clean(['npm', 'start'])
    busy.close()
    assert.equal(result.code, 0, told(['npm', 'start'], result))
    assert.doesNotMatch(result.stdout, /Installing|Building/)
    const [, port] = /8080 is in use, (\d+) is the next free port/.exec(result.stdout) ?? []
    assert.match(result.stdout, new RegExp(`http://127\\.0\\.0\\.1:${port}/ says "Hello`))
    await assertNoTraces(traces)
  })
})

interface Sight {
  readonly pid: string
  readonly uid: number
  readonly secret: string
  readonly file: string
  readonly content: string
}

/** The experiment's process and its file, as they are met on the host while it runs. */
async function firstSight(over: AbortSignal): Promise<Sight | undefined> {
  const mine = new Set(await pids())
  while (!over.aborted) {
    for (const pid of await pids()) {
      const secret = mine.has(pid) ? undefined : await secretOf(pid)
      if (secret === undefined) continue
      const root = `/proc/${pid}/root/root`
      while (!over.aborted && existsSync(root)) {
        const file = (await readdir(root).catch(() => [])).find((name) => name.startsWith('secret-'))
        const content = file && (await readFile(join(root, file), 'utf8').catch(() => '')).trim()
        // It is made and written in two steps.
        if (file && content) return { pid, uid: (await stat(`/proc/${pid}`)).uid, secret, file, content }
        await sleep(5)
      }
    }
    await sleep(50)
  }
  return undefined
}

async function pids(): Promise<string[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
}

/** The secret of the container's first process; undefined for every other process. */
async function secretOf(pid: string): Promise<string | undefined> {
  const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  if (words !== 'node\0/srv/server.js\0') return undefined
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
  return /^EXPERIMENT_SECRET=(.*)$/m.exec(environment.replaceAll('\0', '\n'))?.[1]
}
