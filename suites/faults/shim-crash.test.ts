/** kill -9 of a shim: its container is dead, is shown so, and leaves nothing. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import { startWorld, type EngineWorld } from './engine-world.ts'

const needs = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'nft', 'ip')

describe('a shim that is killed', { skip: needs, concurrency: 1 }, () => {
  let world: EngineWorld
  let empty: ReadonlySet<string>

  before(async () => {
    world = await startWorld('shim')
    empty = await world.settled()
  })
  after(async () => world[Symbol.asyncDispose]())

  const docker = (...args: string[]) => world.server.docker(...args)
  const inspect = (field: string) => docker('inspect', '-f', `{{.${field}}}`, 'victim')
  const run = async (...flags: string[]) => {
    await docker('run', '-d', '--name', 'victim', ...flags, 'busybox', 'sh', '-c', 'sleep 3602 & sleep 3603')
    const pid = Number(await inspect('State.Pid'))
    return { pid, shim: await parentOf(pid) }
  }
  const isDead = async (pid: number) => {
    await until('the container’s process to end', () => !existsSync(`/proc/${pid}`))
    await until('the engine to show it', async () => (await inspect('State.Running')) === 'false')
  }

  test('takes its container with it, which is shown as ended', async () => {
    const { pid, shim } = await run('-p', '8091:80', '-m', '64m')
    process.kill(shim, 'SIGKILL')
    await isDead(pid)
    assert.match(await inspect('State.Status'), /exited|dead/)
    assert.notEqual(await inspect('State.ExitCode'), '0')
    const exec = await world.server.run(['docker', 'exec', 'victim', 'true'])
    assert.equal(exec.code, 1)
    await docker('rm', 'victim')
    assert.deepEqual(await world.difference(empty), [])
  })

  test('does not keep it from being started again', async () => {
    const { pid, shim } = await run('-p', '8091:80')
    process.kill(shim, 'SIGKILL')
    await isDead(pid)
    await docker('start', 'victim')
    assert.equal(await docker('exec', 'victim', 'echo', 'again'), 'again')
    await docker('rm', '-f', 'victim')
    assert.deepEqual(await world.difference(empty), [])
  })

  test('with a restart policy is followed by a new one', async () => {
    const { pid, shim } = await run('--restart', 'always')
    process.kill(shim, 'SIGKILL')
    await until('the container to run again', async () => {
      const now = Number(await inspect('State.Pid'))
      return now > 0 && now !== pid
    })
    await docker('rm', '-f', 'victim')
    assert.deepEqual(await world.difference(empty), [])
  })

  test('while there is no engine is found by the next one', async () => {
    const { pid, shim } = await run('-p', '8091:80', '-v', 'shimvol:/v')
    await world.server.crash()
    process.kill(shim, 'SIGKILL')
    await until('the container’s process to end', () => !existsSync(`/proc/${pid}`))
    await world.restart()
    await isDead(pid)
    await docker('rm', 'victim')
    await docker('volume', 'rm', 'shimvol')
    assert.deepEqual(await world.difference(empty), [])
  })

  test('ends an open exec and attach', async () => {
    const { shim } = await run()
    const waiting = world.server.run(['docker', 'exec', 'victim', 'sleep', '3604'], { timeout: 120_000 })
    await until('the exec to run', async () => (await docker('top', 'victim')).includes('3604'))
    process.kill(shim, 'SIGKILL')
    const ended = await waiting
    assert.equal(ended.timedOut, false, 'the client of the exec hangs')
    await docker('rm', '-f', 'victim')
    assert.deepEqual(await world.difference(empty), [])
  })
})

async function parentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^PPid:\s+(\d+)/m.exec(status)?.[1])
}
