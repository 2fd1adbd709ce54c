/** `dewar build` of what a URL names: the client fetches it, with its own rights, and the engine gets a folder or a tar. */
import assert from 'node:assert/strict'
import { mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { background } from '../harness/background.ts'
import { command, type CommandResult } from '../harness/command.ts'
import { DEWAR } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { until } from '../harness/until.ts'
import { startBuilder, tarOf, type Builder } from './builder.ts'

const GIT_PORT = 18140
const REPOSITORY = `git://127.0.0.1:${GIT_PORT}/shop`
const DOCKERFILE = 'FROM base\nCOPY word /word\n'

describe('dewar build of a URL', { skip: missing('docker', 'busybox', 'tar', 'git'), concurrency: 1 }, () => {
  const scope = new Scope()
  let builder: Builder
  let repositories = ''
  let temporary = ''

  before(async () => {
    builder = await startBuilder(scope, { bridge: 'dwtba', subnet: '172.29.10.0/24' })
    repositories = join(builder.folder, 'git')
    temporary = join(builder.folder, 'tmp')
    await mkdir(temporary)
    await makeRepository(join(repositories, 'shop'))
    const daemon = ['git', 'daemon', '--export-all', '--listen=127.0.0.1', `--port=${GIT_PORT}`]
    scope.use(background([...daemon, `--base-path=${repositories}`], join(builder.folder, 'git.log')))
    await until('git serves', async () => (await command(['git', 'ls-remote', REPOSITORY])).code === 0)
  })
  after(async () => scope[Symbol.asyncDispose]())

  const build = (url: string): Promise<CommandResult> =>
    builder.server.run([DEWAR, '-H', `unix://${builder.server.socket}`, 'build', '-q', url], {
      timeout: 60_000,
      env: { TMPDIR: temporary },
    })
  const word = async ({ code, stdout, stderr }: CommandResult): Promise<string> => {
    assert.equal(code, 0, stderr)
    return builder.run(stdout.trim(), 'cat', '/word')
  }

  test('a git repository is the context: its head, a branch, a folder of it', async () => {
    assert.equal(await word(await build(REPOSITORY)), 'head')
    assert.equal(await word(await build(`${REPOSITORY}#old`)), 'old')
    assert.equal(await word(await build(`${REPOSITORY}#:part`)), 'part')
    assert.deepEqual(await readdir(temporary), [], 'nothing of the clones is left')
  })

  test('a repository leads to no folder of its client', async () => {
    for (const folder of ['../..', 'out', 'nosuch']) {
      const { code, stderr } = await build(`${REPOSITORY}#:${folder}`)
      assert.notEqual(code, 0, folder)
      assert.match(stderr, /unable to prepare context: .*no folder .* in the repository/, folder)
    }
    const { code, stderr } = await build(`${REPOSITORY}#--upload-pack=x`)
    assert.notEqual(code, 0)
    assert.match(stderr, /bad reference --upload-pack=x/)
    assert.deepEqual(await readdir(temporary), [])
  })

  test('a URL is a tar or a Dockerfile; what cannot be had is told', async () => {
    const { port, [Symbol.asyncDispose]: close } = await serve({
      '/context.tar': await tarOf('FROM base\nRUN echo tar > /word\n'),
      '/Dockerfile': Buffer.from('FROM base\nRUN echo plain > /word\n'),
    })
    try {
      assert.equal(await word(await build(`http://127.0.0.1:${port}/context.tar`)), 'tar')
      assert.equal(await word(await build(`http://127.0.0.1:${port}/Dockerfile`)), 'plain')
      const { code, stderr } = await build(`http://127.0.0.1:${port}/nosuch`)
      assert.notEqual(code, 0)
      assert.match(stderr, /unable to download remote context .*status 404/)
    } finally {
      await close()
    }
  })
})

/** Two branches; the link leads to a folder of whoever clones it. */
async function makeRepository(folder: string): Promise<void> {
  const git = (...words: readonly string[]) =>
    command(['git', '-C', folder, '-c', 'user.name=a', '-c', 'user.email=a@example.org', ...words], {
      check: true,
    })
  await mkdir(join(folder, 'part'), { recursive: true })
  await git('init', '-q')
  await writeFile(join(folder, 'Dockerfile'), DOCKERFILE)
  await writeFile(join(folder, 'word'), 'old\n')
  await git('add', '-A')
  await git('commit', '-qm', 'old')
  await git('branch', 'old')
  await writeFile(join(folder, 'word'), 'head\n')
  await writeFile(join(folder, 'part', 'Dockerfile'), await readFile(join(folder, 'Dockerfile')))
  await writeFile(join(folder, 'part', 'word'), 'part\n')
  await symlink('/etc', join(folder, 'out'))
  await git('add', '-A')
  await git('commit', '-qm', 'head')
}

async function serve(files: Readonly<Record<string, Buffer>>): Promise<{ port: number } & AsyncDisposable> {
  const server: Server = createServer(({ url = '' }, answer) => {
    const content = files[url]
    answer.writeHead(content === undefined ? 404 : 200).end(content)
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
