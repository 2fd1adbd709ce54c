import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { lockFolder } from './lock.ts'

async function folder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'dwt-lock-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

test('lockFolder refuses a second engine and names the first, and is free again after it', async () => {
  await using dir = await folder()
  {
    await using _lock = await lockFolder(dir.path, 'state folder')
    await assert.rejects(
      lockFolder(dir.path, 'state folder'),
      new RegExp(`${dir.path} is in use by the engine with pid ${process.pid} \\(.*--root`),
    )
  }
  assert.deepEqual(await readdir(dir.path), [])
  await using _again = await lockFolder(dir.path, 'state folder')
})

test('lockFolder takes over from the dead, from reused pids and from garbage', async () => {
  await using dir = await folder()
  for (const stale of ['999999999 5\n', `${process.pid} 1\n`, '1\n', '', 'garbage', '0 0\n', '-1 0\n']) {
    await writeFile(join(dir.path, 'engine.lock'), stale)
    await using lock = await lockFolder(dir.path, 'state folder')
    assert.ok(existsSync(lock.path))
  }
  assert.deepEqual(await readdir(dir.path), [])
})

test('lockFolder lets exactly one of many contenders through, with no lock, a stale one and a chain of stale claims', async () => {
  for (let round = 0; round < 30; round++) {
    await using dir = await folder()
    if (round % 3 > 0) await writeFile(join(dir.path, 'engine.lock'), '999999999 5 a\n')
    if (round % 3 > 1) {
      const claim = createHash('sha256').update('999999999 5 a\n').digest('hex').slice(0, 32)
      await writeFile(join(dir.path, `engine.lock.after-${claim}`), '999999998 5 b\n')
    }
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => lockFolder(dir.path, 'state folder')),
    )
    const won = results.filter((result) => result.status === 'fulfilled')
    assert.equal(won.length, 1, `${won.length} engines have the folder in round ${round}`)
    assert.deepEqual(await readdir(dir.path), ['engine.lock'])
  }
})

test('lockFolder lets exactly one process through after another was killed', async () => {
  await using dir = await folder()
  const program = `import(process.argv[1]).then(({ lockFolder }) => lockFolder(process.argv[2], 'x')).then(() => { console.log('held'); setInterval(() => {}, 1e3) }, (error) => { console.log(error.code) })`
  const module = new URL('./lock.js', import.meta.url).href
  const start = () =>
    spawn(process.execPath, ['-e', program, module, dir.path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const says = async (child: ReturnType<typeof start>): Promise<string> =>
    String((await once(child.stdout, 'data'))[0]).trim()
  const first = start()
  assert.equal(await says(first), 'held')
  const gone = once(first, 'exit')
  first.kill('SIGKILL')
  await gone
  const others = Array.from({ length: 5 }, start)
  assert.deepEqual((await Promise.all(others.map(says))).sort(), [
    'conflict',
    'conflict',
    'conflict',
    'conflict',
    'held',
  ])
  for (const child of others) child.kill('SIGKILL')
})
