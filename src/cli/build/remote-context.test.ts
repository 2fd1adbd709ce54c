import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { cloneContext, dockerfileIn } from './remote-context.ts'

const folder = mkdtempSync(join(tmpdir(), 'dwt-git-'))
after(() => rmSync(folder, { recursive: true }))

const ME = ['-c', 'user.name=n', '-c', 'user.email=a@b']
const git = (repository: string, ...args: readonly string[]): string =>
  execFileSync('git', ['-C', join(folder, repository), ...ME, ...args], { encoding: 'utf8' }).trim()

function makeRepository(name: string): string {
  execFileSync('git', ['init', '-q', '-b', 'main', join(folder, name)])
  writeFileSync(join(folder, name, 'Dockerfile'), `FROM ${name}\n`)
  return commit(name)
}

function commit(name: string): string {
  git(name, 'add', '.')
  git(name, 'commit', '-qm', 'one')
  return git(name, 'rev-parse', 'HEAD')
}

/** git's own way to find another repository at an address. */
const config = join(folder, 'config')
writeFileSync(config, `[url "file://${folder}/"]\n  insteadOf = git://example.test/\n`)

test('a clone leaves the repository alone that GIT_DIR names, as in a hook', async () => {
  makeRepository('theirs')
  const before = makeRepository('ours')
  const environment = { ...process.env }
  Object.assign(process.env, {
    GIT_CONFIG_GLOBAL: config,
    GIT_DIR: join(folder, 'ours/.git'),
    GIT_INDEX_FILE: join(folder, 'ours/.git/index'),
  })
  try {
    await using clone = await cloneContext('git://example.test/theirs')
    assert.equal(readFileSync(join(clone.folder, 'Dockerfile'), 'utf8'), 'FROM theirs\n')
  } finally {
    process.env = environment
  }
  assert.equal(git('ours', 'rev-parse', 'HEAD'), before)
  assert.equal(git('ours', 'status', '--porcelain'), '')
})

test('a repository names no file outside of it as its Dockerfile', async () => {
  makeRepository('sly')
  writeFileSync(join(folder, 'secret'), 'secret')
  unlinkSync(join(folder, 'sly/Dockerfile'))
  symlinkSync(join(folder, 'secret'), join(folder, 'sly/Dockerfile'))
  const clone = { folder: join(folder, 'sly') }
  const message = /the Dockerfile \(Dockerfile\) must be within the build context/
  await assert.rejects(dockerfileIn(clone.folder, ''), message)
  await assert.rejects(
    dockerfileIn(clone.folder, '../secret'),
    /the Dockerfile \(\.\.\/secret\) must be within/,
  )
  assert.equal(await dockerfileIn(clone.folder, 'sub/other'), join(clone.folder, 'sub/other'))
})
