import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  descendants,
  environmentOf,
  findOnHost,
  parseProcess,
  processesFrom,
  readProcesses,
} from './host-search.ts'

const scratch = await mkdtemp(join(tmpdir(), 'dwt-search-'))
after(() => rm(scratch, { recursive: true }))
const never = new AbortController().signal

test('findOnHost finds a planted file, and who owns it and what is in it', async () => {
  const name = `canary-${process.pid}-${Date.now()}`
  await writeFile(join(scratch, name), 'a secret\n')
  const { files } = await findOnHost(name, scratch, never)
  assert.deepEqual(files, [{ path: join(scratch, name), uid: process.getuid?.(), content: 'a secret' }])
})

test('findOnHost rejects when it is interrupted', async () => {
  await assert.rejects(findOnHost('anything', scratch, AbortSignal.abort(new Error('stop'))))
})

test('parseProcess reads one line of ps and refuses what is none', () => {
  assert.deepEqual(parseProcess('  12     1  1000 nginx: master process nginx'), [
    { pid: 12, parent: 1, uid: 1000, command: 'nginx: master process nginx' },
  ])
  assert.equal(parseProcess('26240 1 -1081327040 node')[0]?.uid, 3213640256)
  assert.deepEqual(parseProcess('not a process'), [])
})

test('descendants finds grandchildren that are listed before their parents', () => {
  const process = (pid: number, parent: number) => ({ pid, parent, uid: 0, command: '' })
  const all = [process(3, 2), process(2, 10), process(10, 1), process(99, 1)]
  assert.deepEqual(
    descendants(all, 10).map(({ pid }) => pid),
    [3, 2, 10],
  )
})

test('readProcesses knows what ps knows of this process, without ps', async () => {
  const [ps] = (await processesFrom(process.pid, never)).processes.filter(({ pid }) => pid === process.pid)
  const [own] = (await readProcesses()).filter(({ pid }) => pid === process.pid)
  assert.deepEqual(own, ps)
})

test('processesFrom finds this very process', async () => {
  const { processes } = await processesFrom(process.pid, never)
  assert.ok(processes.some(({ pid, uid }) => pid === process.pid && uid === process.getuid?.()))
})

test('environmentOf reads a variable, and answers undefined for one not there and for a process that is gone', async () => {
  assert.equal(await environmentOf(process.pid, 'PATH'), process.env['PATH'])
  assert.equal(await environmentOf(process.pid, 'NO_SUCH_VARIABLE'), undefined)
  assert.equal(await environmentOf(2 ** 22 + 1, 'PATH'), undefined)
})
