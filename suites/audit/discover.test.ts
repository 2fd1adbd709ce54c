/** The discoverer must find what everybody knows, untold, and leave out what another machine says too. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { discoverIn, type Discovered } from '../../src/audit/discover/discover.ts'
import { parseReference, recordReference, type Reference } from '../../src/audit/discover/reference.ts'
import { openGuest } from '../../src/audit/guest.ts'
import { processOfChild } from '../../src/audit/guest-process.ts'
import type { Discovery, Report } from '../../src/audit/types.ts'
import { command, describe as told } from '../harness/command.ts'
import { machineKernel } from '../harness/emulated-machine.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { DEWAR, PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { startDockerd } from '../harness/start-dockerd.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { recordInMachine, thisKernel } from './reference-machine.ts'

const PROGRAM = join(PROJECT, 'native', 'build', 'dewar-probe')
/** Channels of the literature (ContainerLeaks, DSN 2017), which the discoverer is not told. */
const MOVING = ['/proc/stat', '/proc/meminfo', '/proc/vmstat', '/proc/uptime']
const BOOT_ID = '/proc/sys/kernel/random/boot_id'

/** In plain namespaces, in which /proc and /sys are the host's. */
async function discoverInNamespaces(folder: string, reference?: Reference): Promise<Discovered> {
  const namespaces = ['--pid', '--fork', '--mount-proc', '--net', '--ipc', '--uts', '--kill-child']
  const child = spawn('unshare', [...namespaces, PROGRAM, 'audit-guest'])
  await using guest = await openGuest(processOfChild(child))
  const signal = AbortSignal.timeout(900_000)
  const options = { program: PROGRAM, folder, signal }
  return await discoverIn(guest, 'namespaces', reference === undefined ? options : { ...options, reference })
}

function byPath(found: readonly Discovery[]): ReadonlyMap<string, Discovery> {
  return new Map(found.map((one) => [one.path, one]))
}

function assertFindsMoving(paths: ReadonlyMap<string, Discovery>): void {
  for (const path of MOVING)
    assert.notEqual(paths.get(path)?.kind ?? 'equal-value', 'equal-value', `${path} moves with the host`)
}

test(
  'discover finds the well-known channels without being told, and others',
  { skip: missing('unshare', 'ip') },
  async () => {
    await using folder = await tempFolder('discover')
    const { discoveries, survey } = await discoverInNamespaces(folder.path)
    assert.ok(survey.compared > 500 && survey.compared <= survey.files && !survey.cut, JSON.stringify(survey))
    const paths = byPath(discoveries)
    assertFindsMoving(paths)
    assert.notEqual(paths.get('/proc/sys/fs/file-nr')?.kind ?? 'equal-value', 'equal-value')
    assert.equal(paths.get(BOOT_ID)?.kind, 'equal-value')
    assert.deepEqual(paths.get('/proc/stat')?.known, ['I08'])
    assert.ok(
      discoveries.some(({ known }) => known.length === 0),
      'channels that no list has',
    )
    const nothing = ['filesystems', 'sys/kernel/pid_max', 'self/status', 'sys/kernel/random/uuid']
    for (const path of nothing.map((name) => `/proc/${name}`))
      assert.equal(paths.has(path), false, `${path} carries nothing of the host`)
  },
)

describe('discover with a reference', { skip: missing('unshare', 'ip'), concurrency: 1 }, () => {
  test('a reference of another machine takes constants away and leaves the well-known channels', async (t) => {
    const kernel = await machineKernel()
    if (typeof kernel === 'string') return t.skip(kernel)
    await using folder = await tempFolder('discover')
    const reference = await parseReference(await recordInMachine(kernel), 'reference.json')
    assert.notEqual(reference.kernel, thisKernel(), 'another kernel')
    const plain = byPath((await discoverInNamespaces(folder.path)).discoveries)
    const { discoveries, survey } = await discoverInNamespaces(folder.path, reference)
    const rest = byPath(discoveries)
    // A default of the kernel, in which the digits look like much.
    const constant = '/proc/sys/kernel/sem'
    assert.equal(plain.get(constant)?.kind, 'equal-value')
    assert.equal(rest.has(constant), false)
    assert.ok((survey.constant ?? 0) >= 1 && survey.reference === reference.kernel, JSON.stringify(survey))
    assertFindsMoving(rest)
    assert.equal(rest.get(BOOT_ID)?.kind, 'equal-value')
  })

  test('a reference of this machine, or what is none, is refused with the remedy', async () => {
    const own = JSON.stringify(await recordReference(PROGRAM, AbortSignal.timeout(600_000)))
    await assert.rejects(
      parseReference(own, 'own.json'),
      /own\.json: it was recorded on this machine.*another machine/s,
    )
    await assert.rejects(parseReference('{"schema":"x"}', 'a.json'), /a\.json: it is no reference/)
    await assert.rejects(parseReference('nothing', 'b.json'), /b\.json: it is no JSON/)
  })
})

describe('dewar audit --discover', { skip: missing('dockerd', 'runc', 'unshare') }, () => {
  const scope = new Scope()
  let folder = ''
  let words: readonly string[] = []

  before(async () => {
    folder = scope.use(await tempFolder('discovered')).path
    const network = scope.use(await networkNamespace(join(folder, 'netns.log')))
    const [own, theirs] = [join(folder, 'dewar'), join(folder, 'dockerd')]
    const dewar = scope.use(
      await startEngine({ folder: own, network, bridge: 'dwtd6', subnet: '172.26.6.0/24' }),
    )
    const dockerd = scope.use(await startDockerd({ folder: theirs, network }))
    words = [`dewar=${dewar.socket}`, `docker=${dockerd.socket}`, 'runc']
  })
  after(async () => scope[Symbol.asyncDispose]())

  test('audit --discover tells dewar, dockerd and runc apart', async () => {
    const argv = [DEWAR, 'audit', '--json', '--probe', 'I01', '--discover', ...words]
    const result = await command(argv, { timeout: 900_000 })
    assert.equal(result.code, 0, told(argv, result))
    // Its shape is checked by the tests of the report.
    const { discoveries, surveys = [] } = JSON.parse(result.stdout) as Report
    for (const name of ['dewar', 'docker', 'runc']) {
      const mine = discoveries.filter(({ target }) => target === name)
      const survey = surveys.find(({ target }) => target === name)
      assert.equal(survey?.failure, undefined)
      assert.ok((survey?.compared ?? 0) > 100 && survey?.cut === false, JSON.stringify(survey))
      assertFindsMoving(byPath(mine))
      // Dewar gives each container an id of its own.
      assert.equal(byPath(mine).get(BOOT_ID)?.kind, name === 'dewar' ? undefined : 'equal-value', name)
      assert.ok(
        mine.some(({ known }) => known.length === 0),
        `${name}: channels that no list has`,
      )
    }
    const count = (name: string): number => discoveries.filter(({ target }) => target === name).length
    assert.ok(count('dewar') < count('docker'), `${count('dewar')} on dewar, ${count('docker')} on docker`)
  })

  test('audit refuses a reference without --discover and one that is not there', async () => {
    await writeFile(join(folder, 'odd.json'), '{}')
    for (const [more, message] of [
      [['--reference', join(folder, 'odd.json')], /add --discover/],
      [['--discover', '--reference', '/nowhere/r.json'], /reading \/nowhere\/r.json failed: ENOENT/],
      [['--discover', '--reference', join(folder, 'odd.json')], /it is no reference.*dewar audit reference/s],
    ] as const) {
      const { code, stderr } = await command([DEWAR, 'audit', '--probe', 'I01', ...more, 'runc'])
      assert.equal(code, 2, stderr)
      assert.match(stderr, message)
    }
  })
})
