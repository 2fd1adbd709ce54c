/** Binds of a file system that nobody serves: who looks at it waits, and nobody else. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { missing } from '../harness/requirement.ts'
import { childEngine, create } from './child-engine-client.ts'
import { houseForAll, skip as noEngine } from './fixture.ts'

const skip = noEngine || missing('python3', 'umount')
const house = houseForAll()

/** Mounted by a process that never reads what it is asked; all who wait fail when it ends, after a minute at most. */
const HANG = `
import ctypes, os, signal, sys
signal.alarm(60)
fd = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fd},rootmode=40000,user_id=0,group_id=0'.encode()
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b'hang', sys.argv[1].encode(), b'fuse', 0, options): sys.exit(os.strerror(ctypes.get_errno()))
print('mounted', flush=True)
sys.stdin.read()
`

async function hangingMount(folder: string): Promise<AsyncDisposable> {
  const server = spawn('python3', ['-c', HANG, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(server, 'exit')
  await once(server.stdout, 'data')
  return {
    async [Symbol.asyncDispose]() {
      server.stdin.end()
      await ended
      assert.equal(spawnSync('umount', ['-l', folder]).status, 0)
    },
  }
}

test('a bind whose file system does not answer holds up nothing but its own requests', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dwt-hang-'))
  const link = `${folder}-link`
  symlinkSync(folder, link)
  const engine = await childEngine(house())
  try {
    const binds = { binds: [`${folder}:/a`, `${link}/below:/b`] }
    const ids: string[] = []
    // More than libuv has threads.
    for (let n = 0; n < 6; n += 1) ids.push(await engine.ask(create(['true'], binds)))
    await using mount = await hangingMount(folder)
    for (const id of ids) engine.send(ids.indexOf(id) === 0 ? { stat: id } : { start: id })
    for (let n = 0; n < 6; n += 1) engine.send(create(['true'], { binds: [`${link}:/c:ro`] }))
    await sleep(200)
    const other = Promise.race([engine.ask(create(['true'])), sleep(5000, 'nobody answers')])
    const id = await other
    assert.match(id, /^[0-9a-f]{64}$/)
    assert.equal(await engine.ask({ start: id }), 'done')
    for (let n = 0; n < 12; n += 1)
      assert.match(await engine.line(), /^error DewarError: Looking at \S+ failed: its file system has not/)
    void mount
  } finally {
    await engine.kill()
    unlinkSync(link)
    rmSync(folder, { recursive: true })
  }
})
