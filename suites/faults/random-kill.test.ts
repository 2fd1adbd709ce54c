/**
 * kill -9 of the engine at random points of create, start, pull, rm and the like. After each the next engine must
 * start, tell the truth, and have nothing left over once all is removed.
 *
 * DEWAR_FAULT_SEED repeats a run, DEWAR_FAULT_KILLS sets how many kills (200).
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { missing } from '../harness/requirement.ts'
import { removeAllContainers } from '../harness/server.ts'
import { REGISTRY, startWorld, type EngineWorld } from './engine-world.ts'

const needs = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'nft', 'ip')
const seed = Number(process.env['DEWAR_FAULT_SEED'] ?? Date.now() % 1_000_000)
const kills = Number(process.env['DEWAR_FAULT_KILLS'] ?? 200)

interface Operation {
  readonly name: string
  /** The engine is killed within this many milliseconds of the request; about as long as it takes. */
  readonly span: number
  /** What must be there before. */
  prepare?(world: EngineWorld): Promise<void>
  act(world: EngineWorld): Promise<{ readonly status: number; readonly text: string }>
  /** What must be true when it was answered with success before the kill. */
  promised(world: EngineWorld): Promise<void>
}

const BODY = {
  Image: 'busybox',
  Cmd: ['sleep', '3600'],
  Volumes: { '/v': {} },
  HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '8092' }] }, Memory: 64e6 },
}
const api = (world: EngineWorld, method: string, path: string, body?: unknown) =>
  world.server.api(method, path, body)
const made = async (world: EngineWorld) =>
  void (await api(world, 'POST', '/containers/create?name=one', BODY))
const running = async (world: EngineWorld) => {
  await made(world)
  await api(world, 'POST', '/containers/one/start')
}
const pull = (world: EngineWorld, image: string) =>
  api(world, 'POST', `/images/create?fromImage=${encodeURIComponent(`${REGISTRY}/${image}`)}&tag=latest`)
const stateOf = async (world: EngineWorld) => {
  const answer = await api(world, 'GET', '/containers/one/json')
  const json = answer.json as { readonly State?: { readonly Status: string } }
  return answer.status === 404 ? 'none' : json.State?.Status
}
const hasImage = async (world: EngineWorld, image: string) =>
  (await api(world, 'GET', `/images/${REGISTRY}/${image}/json`)).status === 200

const OPERATIONS: readonly Operation[] = [
  {
    name: 'create',
    span: 25,
    act: (world) => api(world, 'POST', '/containers/create?name=one', BODY),
    promised: async (world) => assert.equal(await stateOf(world), 'created'),
  },
  {
    name: 'start',
    span: 50,
    prepare: made,
    act: (world) => api(world, 'POST', '/containers/one/start'),
    promised: async (world) => assert.equal(await stateOf(world), 'running'),
  },
  {
    name: 'rm',
    span: 60,
    prepare: running,
    act: (world) => api(world, 'DELETE', '/containers/one?force=1&v=1'),
    promised: async (world) => assert.equal(await stateOf(world), 'none'),
  },
  {
    name: 'stop',
    span: 50,
    prepare: running,
    act: (world) => api(world, 'POST', '/containers/one/stop?t=0'),
    promised: async (world) => assert.equal(await stateOf(world), 'exited'),
  },
  {
    name: 'restart',
    span: 80,
    prepare: running,
    act: (world) => api(world, 'POST', '/containers/one/restart?t=0'),
    promised: async (world) => assert.equal(await stateOf(world), 'running'),
  },
  {
    name: 'pull of 100 MB',
    span: 1500,
    act: (world) => pull(world, 'layers3'),
    promised: async (world) => assert.equal(await hasImage(world, 'layers3'), true),
  },
  {
    name: 'pull',
    span: 150,
    act: (world) => pull(world, 'layered'),
    promised: async (world) => assert.equal(await hasImage(world, 'layered'), true),
  },
  {
    name: 'rmi',
    span: 60,
    prepare: async (world) => void (await pull(world, 'layered')),
    act: (world) => api(world, 'DELETE', `/images/${REGISTRY}/layered`),
    promised: async (world) => assert.equal(await hasImage(world, 'layered'), false),
  },
]

describe('an engine that is killed at random points', { skip: needs, concurrency: 1 }, () => {
  let world: EngineWorld
  let empty: ReadonlySet<string>
  const random = generator(seed)
  const cutOff: string[] = []

  before(async () => {
    world = await startWorld('random')
    empty = await world.settled()
  })
  after(async () => world[Symbol.asyncDispose]())

  test(`${kills} times is followed by one that tells the truth and has nothing left over`, async (t) => {
    t.diagnostic(`seed ${seed}: DEWAR_FAULT_SEED=${seed} repeats this`)
    const answered = new Map<string, number>()
    const problems: string[] = []
    for (let number = 0; number < kills; number++) {
      const operation = OPERATIONS[number % OPERATIONS.length]
      assert.ok(operation)
      const delay = random() * operation.span
      const where = `kill ${number}, ${delay.toFixed(1)} ms after the request to ${operation.name}, seed ${seed}`
      await operation.prepare?.(world)
      const answer = operation.act(world).catch(() => undefined)
      await sleep(delay)
      await world
        .crashAndRestart()
        .catch((error: unknown) => assert.fail(`${where}: no next engine: ${String(error)}`))
      const result = await answer
      const succeeded = result !== undefined && result.status < 300 && !result.text.includes('"error"')
      if (succeeded) {
        answered.set(operation.name, (answered.get(operation.name) ?? 0) + 1)
        await operation
          .promised(world)
          .catch((error: unknown) => assert.fail(`${where}: answered, but ${String(error)}`))
      }
      if (operation.name.startsWith('pull')) cutOff.push(operation.name === 'pull' ? 'layered' : 'layers3')
      await assertTruth(where)
      if (number % 5 === 0) await assertWorks(where)
      await removeAll()
      const left = await world.difference(empty)
      // One trace is told once; the run goes on so that one seed shows all there is to see.
      if (left.length > 0) {
        process.stderr.write(`${where}:\n  ${left.join('\n  ')}\n`)
        problems.push(`${where}:\n  ${left.join('\n  ')}`)
        empty = await world.traces()
      }
    }
    t.diagnostic(
      `answered before the kill: ${[...answered].map(([name, count]) => `${name} ${count}`).join(', ')}`,
    )
    assert.ok(problems.length === 0, problems.join('\n'))
  })

  /** What the engine says is running runs; what it does not say is not there. */
  async function assertTruth(where: string): Promise<void> {
    const list = await api(world, 'GET', '/containers/json?all=1')
    assert.equal(list.status, 200, where)
    for (const { Id } of list.json as readonly { readonly Id: string }[]) {
      const { status, json } = await api(world, 'GET', `/containers/${Id}/json`)
      assert.equal(status, 200, where)
      const { State } = json as { readonly State: { readonly Running: boolean; readonly Pid: number } }
      assert.equal(
        State.Running,
        State.Pid > 0 && existsSync(`/proc/${State.Pid}`),
        `${where}: ${JSON.stringify(State)}`,
      )
    }
  }

  async function assertWorks(where: string): Promise<void> {
    const used = await world.server.run([
      'docker',
      'run',
      '--rm',
      '--network',
      'none',
      'busybox',
      'echo',
      'works',
    ])
    assert.equal(used.stdout, 'works\n', `${where}: ${used.stderr}`)
  }

  async function removeAll(): Promise<void> {
    await removeAllContainers(world.server)
    const volumes = (await api(world, 'GET', '/volumes')).json as {
      readonly Volumes: readonly { Name: string }[] | null
    }
    for (const { Name } of volumes.Volumes ?? []) await api(world, 'DELETE', `/volumes/${Name}`)
    // What a pull that was cut off has fetched waits for the next one, which takes it up; then it goes with the image.
    for (const image of cutOff.splice(0)) await pull(world, image)
    for (const image of ['layers3', 'layered'])
      if (await hasImage(world, image)) await api(world, 'DELETE', `/images/${REGISTRY}/${image}`)
    // An rmi that was cut off may have taken the name only.
    await api(world, 'POST', '/images/prune')
  }
})

/** Mulberry32: small, good enough, and the same everywhere. */
function generator(start: number): () => number {
  let state = start >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296
  }
}
