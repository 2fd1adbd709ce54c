import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ask, dial, readHead } from './raw-client.ts'

const MAIN = fileURLToPath(new URL('../../src/daemon/main.js', import.meta.url))
const BRIDGE = 'dwtapit0'
const skip = process.getuid?.() === 0 ? false : 'an engine needs root'

interface Started {
  readonly child: ChildProcess
  /** Everything on standard error so far. */
  readonly said: () => string
  readonly exited: Promise<number | null>
}

function start(folder: string, name: string, args: readonly string[]): Started {
  const places = [
    '--root',
    join(folder, name),
    '--run',
    join(folder, `${name}.run`),
    '--bridge',
    BRIDGE,
    '--subnet',
    '10.231.12.0/24',
  ]
  const child = spawn(process.execPath, [MAIN, ...places, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let text = ''
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return {
    child,
    said: () => text,
    exited: once(child, 'exit').then(([code]) => (typeof code === 'number' ? code : null)),
  }
}

async function ready({ child, said, exited }: Started): Promise<void> {
  const { stderr } = child
  assert.ok(stderr !== null)
  while (!said().includes('listening on unix://')) {
    const ended: boolean = await Promise.race([
      once(stderr, 'data').then(() => false),
      exited.then(() => true),
    ])
    assert.equal(ended, false, said())
  }
}

/** An engine keeps its bridge, table and control group for its next start; here there is none. */
async function sweep(roots: readonly string[]): Promise<void> {
  spawnSync('ip', ['link', 'del', BRIDGE])
  for (const family of ['ip', 'ip6', 'bridge'])
    spawnSync('nft', ['delete', 'table', family, `dewar_${BRIDGE}`])
  const groups = await readdir('/sys/fs/cgroup')
  for (const root of roots) {
    const name = `dewar-${createHash('sha256').update(root).digest('hex').slice(0, 8)}`
    for (const path of [name, ...groups.map((group) => join(group, name))]) {
      await rmdir(join('/sys/fs/cgroup', path)).catch(() => undefined)
    }
  }
}

test(
  'the engine process is ready when it says so, shrugs at SIGHUP, refuses a second one and goes on SIGTERM',
  { skip },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dwt-daemon-'))
    const socketPath = join(folder, 'd.sock')
    const first = start(folder, 'a', ['-H', `unix://${socketPath}`])
    try {
      await ready(first)
      assert.equal((await ask({ socketPath }, '/_ping')).body, 'OK')
      first.child.kill('SIGHUP')
      assert.equal((await ask({ socketPath }, '/_ping')).body, 'OK')

      const sameRoot = start(folder, 'a', ['-H', `unix://${folder}/e.sock`])
      assert.equal(await sameRoot.exited, 125)
      assert.match(sameRoot.said(), new RegExp(`is in use by the engine with pid ${first.child.pid} `))
      const sameSocket = start(folder, 'b', ['-H', `unix://${socketPath}`])
      assert.equal(await sameSocket.exited, 125)
      assert.match(sameSocket.said(), /another engine answers on /)

      const events = await dial({ socketPath })
      events.on('error', () => undefined)
      events.write('GET /events HTTP/1.1\r\nHost: d\r\n\r\n')
      assert.match(await readHead(events), /200 OK/)
      first.child.kill('SIGTERM')
      assert.equal(await first.exited, 0)
      assert.equal(existsSync(socketPath), false)
      events.destroy()
    } finally {
      first.child.kill('SIGKILL')
      await rm(folder, { recursive: true, force: true })
      await sweep([join(folder, 'a'), join(folder, 'b')])
    }
  },
)
