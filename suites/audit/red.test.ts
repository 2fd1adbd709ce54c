/**
 * Each probe has been seen to say LEAK: one that cannot proves nothing by saying CONTAINED. What neither an engine as
 * it comes nor an option opens, a target does that is spoilt on purpose.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openGuest } from '../../src/audit/guest.ts'
import { openJournal } from '../../src/audit/journal.ts'
import { PROBES } from '../../src/audit/probes/index.ts'
import { judge } from '../../src/audit/run.ts'
import type { Target } from '../../src/audit/target.ts'
import { dockerTarget } from '../../src/audit/targets/docker-api.ts'
import type { Result } from '../../src/audit/types.ts'
import { connect } from '../../src/client/connect.ts'
import { command } from '../harness/command.ts'
import { PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import type { Server } from '../harness/server.ts'
import { startSide } from '../harness/start-side.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { SEEN } from './seen-red.ts'
import { withOneSlowDisk } from './slow-disk.ts'
import * as weak from './weak-targets.ts'
import { weaknessesOf } from './weaknesses.ts'

const needs = missing(
  'dockerd',
  'docker',
  'docker-registry',
  'skopeo',
  'busybox',
  'runc',
  'strace',
  'mkfs.ext4',
)
const program = join(PROJECT, 'native/build/dewar-probe')

const idsOf = (where: string): string[] =>
  Object.entries(SEEN)
    .filter(([, place]) => place === where)
    .map(([id]) => id)

test('SEEN tells of each probe where it was seen red', () => {
  assert.deepEqual(Object.keys(SEEN).toSorted(), PROBES.map(({ id }) => id).toSorted())
})

test('SEEN names the ground truth for what stands there', () => {
  const caught = new Set([...weaknessesOf('dewar'), ...weaknessesOf('dockerd')].flatMap((one) => one.caught))
  assert.deepEqual(
    idsOf('ground truth').filter((id) => !caught.has(id)),
    [],
  )
})

function told(results: readonly Result[]): Record<string, string> {
  return Object.fromEntries(
    results.map(({ probe, verdict, reason }) => [
      probe,
      verdict === 'LEAK' ? verdict : `${verdict}: ${reason}`,
    ]),
  )
}

describe('red', { skip: needs, concurrency: 1 }, () => {
  const scope = new Scope()
  let journal: ReturnType<typeof openJournal>
  let shop: weak.Workshop

  before(async () => {
    const { path } = scope.use(await tempFolder('red'))
    // Users without privilege must get through to what is open.
    await chmod(path, 0o711)
    journal = openJournal('red', join(path, 'journal'))
    shop = { journal, program: readFileSync(program), scope }
  })
  after(async () => scope[Symbol.asyncDispose]())

  async function assertRed(target: Target, ids: readonly string[]): Promise<void> {
    await using own = target
    const probes = PROBES.filter(({ id }) => ids.includes(id))
    assert.equal(probes.length, ids.length)
    const options = { probes, onEvent: () => undefined, signal: AbortSignal.timeout(660_000), limit: 600_000 }
    const results = await judge({ target: own, journal, program, load: true, openGuest }, options)
    assert.deepEqual(told(results), Object.fromEntries(ids.map((id) => [id, 'LEAK'])))
  }

  for (const [name, make] of [
    ['without limits', weak.withoutLimits],
    ['without read-only mounts', weak.withoutReadOnly],
    ['that passes its environment on', weak.withOwnEnvironment],
    ['whose storage is open to all', weak.withOpenStorage],
    ['that forgets files and a namespace', weak.withLeftovers],
    ['that leaves a folder open', weak.withOpenFolder],
    ['that goes inside with a program of the host', weak.withOwnProgram],
    ['that gives its containers eight times the weight', weak.withHeavyContainers],
    ['whose containers share one limit of writing', withOneSlowDisk],
  ] as const)
    test(`a runtime ${name} is caught by ${idsOf(name).join(', ')}`, async () => {
      assert.ok(idsOf(name).length > 0)
      await assertRed(await make(shop), idsOf(name))
    })

  test('A05 does not call it harm where the neighbour writes elsewhere', async () => {
    await using target = await weak.withDisksApart(shop)
    const probes = PROBES.filter(({ id }) => id === 'A05')
    const options = { probes, onEvent: () => undefined, signal: AbortSignal.timeout(200_000), limit: 180_000 }
    const [result] = await judge({ target, journal, program, load: true, openGuest }, options)
    // On a machine that others use it may prove nothing.
    assert.match(result?.verdict ?? '', /^(CONTAINED|INCONCLUSIVE)$/, result?.reason)
  })

  for (const kind of ['dewar', 'dockerd'] as const)
    describe(kind, { concurrency: 1 }, () => {
      const side = new Scope()
      let server: Server

      before(async () => {
        server = (await startSide(kind, side)).server
      })
      after(async () => side[Symbol.asyncDispose]())

      async function target(): Promise<Target> {
        const client = await connect({ socket: server.socket })
        return dockerTarget({
          ...{ client, socket: server.socket, name: kind, level: '', runArguments: [], runBody: {} },
          ...{ kind: kind === 'dewar' ? 'dewar' : 'docker', journal, program: readFileSync(program) },
        })
      }

      test(`${kind} as it comes is caught by what its documents admit`, async () => {
        await assertRed(await target(), idsOf(`${kind} as it comes`))
      })

      if (kind === 'dockerd') {
        test('copies by paths of the host are caught by I40', async () => {
          const whole = await target()
          const [engine] = await whole.enginePids()
          const merged = async (id: string): Promise<string> => {
            const { text } = await server.api('GET', `/containers/${id}/json`)
            // Its mounts are in a namespace of its own.
            return `/proc/${engine}/root${/"MergedDir":"([^"]+)"/.exec(text)?.[1] ?? ''}`
          }
          await assertRed(weak.withNaiveCopies(whole, merged), idsOf('copies by paths of the host'))
        })

        test('a bridge that has become a hub is caught by O16', async () => {
          const hub = [
            ...server.network.enter,
            'ip',
            'link',
            'set',
            'docker0',
            'type',
            'bridge',
            'ageing_time',
            '0',
          ]
          await command(hub, { check: true })
          await assertRed(await target(), idsOf('a bridge that is a hub'))
        })

        test('packets that are left to threads of the kernel are caught by A13', async () => {
          const threaded = weak.withThreadedPackets(await target(), shop)
          await assertRed(threaded, idsOf('packets left to threads of the kernel'))
        })

        test('a socket that is open to all is caught by O18', async () => {
          for (let folder = dirname(server.socket); folder !== '/tmp'; folder = dirname(folder))
            await chmod(folder, 0o711)
          await chmod(server.socket, 0o666)
          await assertRed(await target(), idsOf('a socket open to all'))
        })
      }
    })
})
