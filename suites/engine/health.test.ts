import { after, before, test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Health } from '../../src/index.ts'
import { compileC } from '../harness/compile-c.ts'
import { until } from '../harness/until.ts'
import { home, rigForAll, skip } from './fixture.ts'

const { rig } = rigForAll()

const PATIENCE = 20_000
let folder = ''
let stopper = ''

before(async () => {
  if (skip) return
  folder = await mkdtemp(join(tmpdir(), 'dwt-health-'))
  stopper = await compileC('engine/stop-others.c', join(folder, 'stop-others'))
})
after(async () => {
  if (folder !== '') await rm(folder, { recursive: true })
})

const state = async (id: string) => (await rig().engine.containers.inspect(id, { size: false })).state

async function health(id: string): Promise<Health> {
  const { health: known } = await state(id)
  assert.ok(known, 'it has no health')
  return known
}

async function isIll(id: string): Promise<Health | undefined> {
  const known = await health(id)
  return known.status === 'unhealthy' ? known : undefined
}

/** A container whose first process stops every other one as it comes, until `containers.kill` with USR1. */
async function runStopper(): Promise<string> {
  const healthcheck = { test: ['CMD', 'true'], interval: 200e6, timeout: 500e6, retries: 2 }
  const id = await rig().create({ cmd: ['/stop'], healthcheck }, { binds: [`${stopper}:/stop:ro`] })
  await rig().engine.containers.start(id)
  return id
}

/** The shims of a container's execs, children of its own one. */
async function execShims(id: string): Promise<number[]> {
  const { pid } = await state(id)
  const shim = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''
  const children = readFileSync(`/proc/${shim}/task/${shim}/children`, 'utf8').trim().split(' ')
  return children.map(Number).filter((child) => child !== pid)
}

/** One that is still there a moment later: some are too quick for the guest. */
async function heldUp(id: string): Promise<number | undefined> {
  const before = await execShims(id)
  await sleep(100)
  return (await execShims(id)).find((shim) => before.includes(shim))
}

async function remove(id: string): Promise<void> {
  await rig().engine.containers.remove(id, { force: true, volumes: true, link: false })
}

test(
  'a health check that is stopped on the way to its program times out, is ended, and the next one comes',
  { skip },
  async () => {
    const id = await runStopper()
    const ill = await until('unhealthy', () => isIll(id), PATIENCE)
    // Those before may have been too quick for the guest.
    const late = [-1, 'Health check exceeded timeout (500ms)']
    assert.deepEqual(
      ill.log.slice(-2).map(({ exitCode, output }) => [exitCode, output]),
      [late, late],
    )
    await until('nothing is left of a probe', async () => (await execShims(id)).length === 0, PATIENCE)
    await rig().engine.containers.kill(id, 'USR1')
    await until('healthy', async () => (await health(id)).status === 'healthy', PATIENCE)
    await remove(id)
  },
)

test(
  'a health check that cannot be ended is not joined by others, and counts as failed',
  { skip },
  async () => {
    const id = await runStopper()
    const stuck = await until('a probe that is held up', () => heldUp(id), PATIENCE)
    // As one in a call to a dead disk: no signal ends it.
    process.kill(stuck, 'SIGSTOP')
    try {
      await until('unhealthy', async () => ((await isIll(id))?.failingStreak ?? 0) >= 3, PATIENCE)
      assert.deepEqual(await execShims(id), [stuck])
      await rig().engine.containers.kill(id, 'USR1')
    } finally {
      process.kill(stuck, 'SIGCONT')
    }
    await until('healthy', async () => (await health(id)).status === 'healthy', PATIENCE)
    await remove(id)
  },
)

test('a health check’s timeout is told as Go prints it, with what it said before', { skip }, async () => {
  const test = ['CMD-SHELL', 'echo before; sleep 99']
  const healthcheck = { test, interval: 100e6, timeout: 1.5e9, retries: 1 }
  const id = await rig().create({ cmd: ['sleep', '99'], healthcheck })
  await rig().engine.containers.start(id)
  const ill = await until('unhealthy', () => isIll(id), PATIENCE)
  assert.equal(ill.log[0]?.output, 'Health check exceeded timeout (1.5s): before\n')
  await remove(id)
})

test('a health is unhealthy while nothing is checked: paused, between runs, stopped', { skip }, async () => {
  const { containers } = rig().engine
  const healthcheck = { test: ['CMD', 'true'], interval: 100e6, timeout: 60e9 }
  const id = await rig().create({ cmd: ['sleep', '99'], healthcheck })
  assert.equal((await state(id)).health, undefined)
  await containers.start(id)
  assert.equal((await health(id)).status, 'starting')
  const isWell = async () => (await health(id)).status === 'healthy'
  await until('healthy', isWell, PATIENCE)
  const events = rig().record()
  await containers.pause(id)
  const paused = await health(id)
  assert.deepEqual([paused.status, paused.failingStreak], ['unhealthy', 0])
  await sleep(400)
  assert.deepEqual(await health(id), paused)
  await containers.unpause(id)
  await until('healthy again', isWell, PATIENCE)
  // One checker, not two.
  const before = (await health(id)).log.at(-1)?.start ?? 0
  await until('two more', async () => ((await health(id)).log.at(-2)?.start ?? 0) > before, PATIENCE)
  const starts = (await health(id)).log.map(({ start }) => start)
  assert.ok((starts.at(-1) ?? 0) - (starts.at(-2) ?? 0) >= 100, starts.join())
  await containers.stop(id, { timeout: 0 })
  events.stop()
  const changes = events.seen.filter(({ action }) => action.startsWith('health_status'))
  assert.deepEqual(
    changes.map(({ action }) => action),
    ['health_status: healthy'],
  )
  const stopped = await health(id)
  assert.deepEqual([stopped.status, stopped.failingStreak], ['unhealthy', 0])
  await containers.start(id)
  // What was found before is kept.
  const { log } = await health(id)
  assert.ok(log.some(({ start }) => start === stopped.log.at(-1)?.start))
  await remove(id)
})

test('a health of what has ended is unhealthy for the next engine, too', { skip }, async () => {
  await using house = await home()
  const healthcheck = { test: ['CMD', 'true'], interval: 30e9 }
  const ids: string[] = []
  {
    await using first = await house.open()
    await first.importBusybox()
    for (const cmd of [['true'], ['sleep', '99']]) {
      ids.push(await first.create({ cmd, healthcheck }))
      await first.engine.containers.start(ids.at(-1) ?? '')
    }
    ids.push(await first.create({ cmd: ['true'], healthcheck }))
    await first.engine.containers.pause(ids[1] ?? '')
  }
  await using next = await house.open()
  const statuses = ids.map(async (id) => (await next.engine.containers.inspect(id)).state.health?.status)
  assert.deepEqual(await Promise.all(statuses), ['unhealthy', 'unhealthy', undefined])
  await next.engine.containers.unpause(ids[1] ?? '')
  await next.engine.containers.stop(ids[1] ?? '', { timeout: 0 })
})
