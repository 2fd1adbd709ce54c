import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { listenOn } from './socket.ts'

async function place(): Promise<AsyncDisposable & { path: string; server: () => Server }> {
  const folder = await mkdtemp(join(tmpdir(), 'dwt-sock-'))
  const servers: Server[] = []
  return {
    path: join(folder, 'd', 'dewar.sock'),
    server() {
      const server = createServer()
      servers.push(server)
      return server
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers) server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

test('listenOn makes a socket that others cannot open', async () => {
  await using at = await place()
  const server = at.server()
  let atFirst = 0
  server.once('listening', () => (atFirst = statSync(at.path).mode & 0o777))
  await listenOn(server, at.path)
  assert.equal(atFirst, 0o600, 'nor in the moment before it is given to the group')
  const group = /^docker:[^:]*:(\d+):/m.exec(readFileSync('/etc/group', 'utf8'))?.[1]
  const asRoot = process.getuid?.() === 0 && group !== undefined
  const { mode, gid } = statSync(at.path)
  assert.equal(mode & 0o777, asRoot ? 0o660 : 0o600)
  if (asRoot) assert.equal(gid, Number(group))
})

test('listenOn refuses a path another engine answers on', async () => {
  await using at = await place()
  await listenOn(at.server(), at.path)
  await assert.rejects(listenOn(at.server(), at.path), /another engine answers on .*-H/)
})

test('listenOn replaces a socket whose owner died', async () => {
  await using at = await place()
  await listenOn(at.server(), at.path)
  const stale = `${at.path}.stale`
  const die = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
  assert.equal(spawnSync(process.execPath, ['-e', die, stale]).signal, 'SIGKILL')
  assert.ok(existsSync(stale))
  const server = at.server()
  await listenOn(server, stale)
  assert.ok(server.listening)
})

test('listenOn never removes what is no socket', async () => {
  await using at = await place()
  await listenOn(at.server(), at.path)
  const file = `${at.path}.file`
  await writeFile(file, 'precious')
  await assert.rejects(listenOn(at.server(), file), /it exists and is no socket/)
  assert.equal(readFileSync(file, 'utf8'), 'precious')
})
