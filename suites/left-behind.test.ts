/** The last look of `npm test`: it finds what this run left, says all of it, and leaves others in peace. */
import assert from 'node:assert/strict'
import { mkdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { background } from './harness/background.ts'
import { hostState, inDetail, isOfRun, leftBehind, RUN } from './harness/host-state.ts'
import { tempFolder } from './harness/temp-folder.ts'

const NAME = 'left-behind-of-dewar'

test('isOfRun tells a process of this run from one of another, whatever their command lines say', async () => {
  await using folder = await tempFolder('left')
  const before = await hostState()
  const start = (run: string) =>
    background(['sh', '-c', `: ${NAME}-${run}; sleep 600`], join(folder.path, 'log'), { env: { [RUN]: run } })
  await using mine = start('mine')
  await using theirs = start('theirs')
  const left = await leftBehind(
    before,
    async (line) => !line.includes(NAME) || !(await isOfRun(line, 'mine')),
    0,
  )
  assert.equal(left.length, 1, left.join('\n'))
  assert.match(left[0] ?? '', new RegExp(`^process ${mine.pid} .*${NAME}-mine`))
  assert.ok(theirs.running())
  const told = await inDetail(left[0] ?? '')
  assert.match(told, new RegExp(`since .*\\d{4}, child of ${process.pid} .*left-behind.*, in 0::`))
})

test('inDetail says of a control group when it was made and who is in it', async (t) => {
  const path = `/sys/fs/cgroup/pids/dwt-left-${process.pid}`
  const made = await mkdir(path).then(
    () => true,
    () => false,
  )
  if (!made) return t.skip('needs root and a control group hierarchy for pids')
  const before = new Set([...(await hostState())].filter((line) => !line.includes(path)))
  const left = (await leftBehind(before, (line) => !line.includes(path), 0))[0] ?? ''
  assert.equal(left, `cgroup ${path}`)
  assert.match(await inDetail(left), /\(made \d{4}-.*, in it: nothing\)$/)
  await rmdir(path)
  assert.deepEqual(await leftBehind(before, (line) => !line.includes(path), 0), [])
})
