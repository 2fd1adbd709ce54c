/** The audit of a live engine: what it says, that each verdict has its controls, and that nothing of it stays. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { callApi } from '../harness/call-api.ts'
import { command } from '../harness/command.ts'
import { DEWAR } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import type { Server } from '../harness/server.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { until } from '../harness/until.ts'
import { ownLeftovers } from './own-leftovers.ts'

interface Result {
  readonly target: string
  readonly probe: string
  readonly verdict: string
  readonly reason: string
  readonly evidence: readonly { readonly text: string }[]
  readonly controls: readonly { readonly what: string; readonly held: boolean }[]
}

interface Report {
  readonly targets: readonly {
    readonly name: string
    readonly missing?: { readonly reason: string; readonly remedy: string }
  }[]
  readonly results: readonly Result[]
  readonly leftovers: readonly string[]
}

const JOURNALS = '/var/tmp/dewar-audit'
const needs = missing('unshare', 'nsenter', 'setpriv')

function auditArguments(server: Server, ...words: readonly string[]): string[] {
  return ['-H', `unix://${server.socket}`, 'audit', '--json', ...words]
}

async function audit(server: Server, ...words: readonly string[]): Promise<Report> {
  const { stdout, stderr } = await command([DEWAR, ...auditArguments(server, ...words)], { timeout: 600_000 })
  assert.ok(stdout.startsWith('{'), stderr)
  // Its shape is checked by the tests of the report.
  return JSON.parse(stdout) as Report
}

function verdicts({ results }: Report): Record<string, string> {
  return Object.fromEntries(results.map(({ probe, verdict }) => [probe, verdict]))
}

const probes = (...ids: readonly string[]): string[] => ids.flatMap((id) => ['--probe', id])

async function namesOf(server: Server): Promise<string> {
  const containers = await server.api('GET', '/containers/json?all=1')
  const images = await server.api('GET', '/images/json?all=1')
  return containers.text + images.text
}

describe('dewar audit', { skip: needs, concurrency: 1 }, () => {
  const scope = new Scope()
  let server: Server

  before(async () => {
    const { path } = scope.use(await tempFolder('audit'))
    server = scope.use(await startEngine({ folder: path, bridge: 'dwtd1', subnet: '172.26.1.0/24' }))
  })
  after(async () => scope[Symbol.asyncDispose]())

  test('audit sees what is open on namespaces, from the host', async () => {
    const report = await audit(server, ...probes('O01', 'O03', 'O04', 'O05', 'O06', 'O07', 'O10', 'O13'))
    const found = verdicts(report)
    assert.deepEqual(new Set(Object.values(found)), new Set(['LEAK']), JSON.stringify(found))
    for (const { probe, evidence } of report.results)
      assert.ok(evidence.length > 0, `${probe} shows evidence`)
    assert.deepEqual(ownLeftovers(report.leftovers, server.socket), [])
  })

  test('audit says CONTAINED where it is, and only with controls that held', async () => {
    const report = await audit(server, ...probes('O17', 'O18', 'A21', 'A31', 'O31', 'O32'))
    const found = verdicts(report)
    assert.deepEqual(new Set(Object.values(found)), new Set(['CONTAINED']), JSON.stringify(report.results))
    for (const { probe, controls } of report.results) {
      assert.ok(controls.length > 0 && controls.every(({ held }) => held), `${probe} has controls that held`)
    }
  })

  test('audit finds what --run-args open', async () => {
    const open = verdicts(await audit(server, ...probes('A31'), '--run-args', '--pid=host --userns=host'))
    assert.equal(open['A31'], 'LEAK')
  })

  test('audit names a target that is not there, with the remedy', async () => {
    const report = await audit(server, ...probes('O05'), 'docker=unix:///nowhere/docker.sock')
    assert.deepEqual(report.results, [])
    assert.match(report.targets[0]?.missing?.remedy ?? '', /install/)
  })

  test('audit does not judge one engine under the name of another', async () => {
    const report = await audit(server, ...probes('O05'), `docker=${server.socket}`)
    assert.deepEqual(report.results, [])
    assert.equal(report.targets[0]?.missing?.reason, `dewar answers at ${server.socket}`)
    // As our documents advise for the docker client.
    const named = await command([DEWAR, 'audit', '--json', ...probes('O05'), 'docker', 'dewar'], {
      env: { DOCKER_HOST: `unix://${server.socket}` },
      timeout: 120_000,
    })
    // Its shape is checked by the tests of the report.
    const { results } = JSON.parse(named.stdout) as Report
    assert.ok(results.some(({ target }) => target === 'dewar'))
    assert.ok(!(await namesOf(server)).includes('dewar-audit-'))
  })

  test('audit names an engine that runs no container once, and not in each probe', async () => {
    const report = await audit(server, ...probes('O05', 'O01'), '--run-args', '--network nosuch')
    assert.deepEqual(report.results, [])
    assert.match(report.targets[0]?.missing?.reason ?? '', /it does not run containers: .*nosuch/)
    assert.deepEqual(ownLeftovers(report.leftovers, server.socket), [])
  })

  test('audit leaves nothing in the engine and no journal', async () => {
    assert.doesNotMatch(await namesOf(server), /dewar-audit-/)
  })

  test('audit cleans up after a run that was killed', async () => {
    const child = spawn(DEWAR, auditArguments(server, ...probes('A01', 'A05')), { stdio: 'ignore' })
    const containers = () => callApi(server.socket, 'GET', '/containers/json')
    const named = await until('a container of the audit', async () => {
      return /dewar-audit-([0-9a-f]{10})/.exec((await containers()).text)?.[1]
    })
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('close', resolve))
    assert.ok(existsSync(join(JOURNALS, `${named}.jsonl`)), 'the killed run left its journal')
    assert.match(await namesOf(server), new RegExp(named))
    await audit(server, ...probes('O05'))
    assert.doesNotMatch(await namesOf(server), new RegExp(named))
    assert.deepEqual(
      readdirSync(JOURNALS).filter((name) => name.startsWith(named)),
      [],
    )
  })

  test('audit reports an interrupted run and cleans up', async () => {
    const child = spawn(DEWAR, auditArguments(server, ...probes('A01', 'A05')), { stdio: 'ignore' })
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    await until('a container of the audit', async () => /dewar-audit-/.test(await namesOf(server)))
    child.kill('SIGINT')
    assert.equal(await ended, 130)
    assert.doesNotMatch(await namesOf(server), /dewar-audit-/)
  })
})

const disks = missing('mkfs.ext4', 'mount', 'filefrag', 'dd')

for (const [options, verdict] of [
  ['loop', 'LEAK'],
  ['loop,discard', 'CONTAINED'],
] as const) {
  describe(`dewar audit of storage on a disk mounted with ${options}`, { skip: disks }, () => {
    const scope = new Scope()
    let server: Server

    before(async () => {
      const { path } = scope.use(await tempFolder('audit-disk'))
      const disk = join(path, 'disk')
      await mkdir(disk)
      await command(['truncate', '-s', '320M', join(path, 'image')], { check: true })
      await command(['mkfs.ext4', '-q', '-m', '0', join(path, 'image')], { check: true })
      await command(['mount', '-o', options, join(path, 'image'), disk], { check: true })
      scope.defer(() => command(['umount', disk]))
      const root = join(disk, 'root')
      const bridge = verdict === 'LEAK' ? 'dwtd2' : 'dwtd3'
      const subnet = verdict === 'LEAK' ? '172.26.2.0/24' : '172.26.3.0/24'
      server = scope.use(await startEngine({ folder: join(path, 'engine'), bridge, subnet, root }))
    })
    after(async () => scope[Symbol.asyncDispose]())

    test('audit reads live, deleted and removed data from the disk where they are', async () => {
      const report = await audit(server, ...probes('O22', 'O23', 'O24'))
      const found = verdicts(report)
      for (const id of ['O22', ...(verdict === 'LEAK' ? ['O23'] : [])])
        assert.equal(found[id], 'LEAK', JSON.stringify(report.results))
      assert.equal(found['O24'], verdict, JSON.stringify(report.results))
    })

    test('audit sees that containers take room from one disk, where nobody else writes', async () => {
      const report = await audit(server, ...probes('A07', 'A08'))
      assert.deepEqual(verdicts(report), { A07: 'LEAK', A08: 'LEAK' }, JSON.stringify(report.results))
    })
  })
}
