/** The last look of `npm test`: it finds what this run left, says all of it, and leaves others in peace. */
import assert from 'node:assert/strict'
import { mkdir, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { background } from './harness/background.ts'
import { hostState, inDetail, isOfRun, leftBehind, RUN } from './harness/host-state.ts'
import { PROJECT } from './harness/project.ts'
import { tempFolder } from './harness/temp-folder.ts'

/** Another clone's tests may run beside these. */
const NAME = `left-behind-${process.pid}`

test('isOfRun tells a process of this run from one of another, whatever their command lines say', async () => {
  await using folder = await tempFolder('left')
  const before = await hostState()
  // One process each: what a shell starts would outlive it.
  const start = async (whose: string) => {
    const path = join(folder.path, `${NAME}-${whose}`)
    await writeFile(path, '')
    return background(['tail', '-f', path], join(folder.path, 'log'), { env: { [RUN]: `${NAME}-${whose}` } })
  }
  await using mine = await start('mine')
  await using theirs = await start('theirs')
  const left = await leftBehind(
    before,
    async (line) => !line.includes(NAME) || !(await isOfRun(line, `${NAME}-mine`)),
    0,
  )
  assert.equal(left.length, 1, left.join('\n'))
  assert.match(left[0] ?? '', new RegExp(`^process ${mine.pid} .*${NAME}-mine`))
  assert.ok(theirs.running())
  const told = await inDetail(left[0] ?? '')
  assert.match(told, new RegExp(`since .*\\d{4}, child of ${process.pid} .*left-behind.*, in \\d+:`))
})

test('isOfRun takes a core without a mark for of this run when it is of this clone or of one that tests made', async () => {
  const core = (clone: string, words: string) =>
    // There is no process 0 to ask.
    isOfRun(`process 0 ${clone}/native/build/dewar-core ${words}`, 'mine')
  const spawner = 'spawner /tmp/dwt-shim-a/spawner.sock'
  assert.equal(await core(PROJECT, spawner), true)
  assert.equal(await core('/tmp/dwt-clone-a/dewar', spawner), true)
  assert.equal(await core('/elsewhere/dewar', spawner), false)
  assert.equal(await core(PROJECT, 'spawner /run/dewar/spawner.sock'), false)
})

test('inDetail says of a control group when it was made and who is in it', async (t) => {
  const path = `/sys/fs/cgroup/pids/dwt-left-${process.pid}`
  const made = await mkdir(path).then(
    () => true,
    () => false,
  )
  if (!made) return t.skip('needs root and a control group hierarchy for pids')
  const before = new Set([...(await hostState())].filter((line) => !line.includes(path)))
  try {
    const left = (await leftBehind(before, (line) => !line.includes(path), 0))[0] ?? ''
    assert.equal(left, `cgroup ${path}`)
    assert.match(await inDetail(left), /\(made \d{4}-.*, in it: nothing\)$/)
  } finally {
    await rmdir(path)
  }
  assert.deepEqual(await leftBehind(before, (line) => !line.includes(path), 0), [])
})

test('hostState and inDetail tell what they can where no program can be started', async () => {
  const { PATH } = process.env
  process.env['PATH'] = '/nowhere'
  try {
    const state = [...(await hostState())]
    assert.ok(state.includes('interface lo'))
    assert.deepEqual(
      state.filter((line) => /^\w+ *$/.test(line)),
      [],
    )
    assert.match(await inDetail('interface lo'), /^interface lo \(.*ENOENT/)
    assert.match(await inDetail(`process ${process.pid} x`), /\(since .*ENOENT.*, child of \d+ /)
  } finally {
    process.env['PATH'] = PATH
  }
})
