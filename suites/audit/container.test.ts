/** `dewar audit container NAME`: a container that somebody else uses is judged, and does not notice. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { command } from '../harness/command.ts'
import { DEWAR } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import type { Server } from '../harness/server.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'

interface Report {
  readonly results: readonly { readonly probe: string; readonly verdict: string }[]
}

describe('dewar audit container', { skip: missing('docker', 'busybox', 'tar'), concurrency: 1 }, () => {
  const scope = new Scope()
  let server: Server
  const audit = (...words: readonly string[]) =>
    command([DEWAR, '-H', `unix://${server.socket}`, 'audit', ...words], { timeout: 120_000 })
  const verdictsOf = async (name: string): Promise<Record<string, string>> => {
    const { stdout, stderr } = await audit('--json', 'container', name)
    assert.ok(stdout.startsWith('{'), stderr)
    // Its shape is checked by the tests of the report.
    const { results } = JSON.parse(stdout) as Report
    return Object.fromEntries(results.map(({ probe, verdict }) => [probe, verdict]))
  }

  before(async () => {
    const { path } = scope.use(await tempFolder('audited'))
    server = scope.use(await startEngine({ folder: path, bridge: 'dwtd3', subnet: '172.26.3.0/24' }))
    const script =
      'mkdir -p "$0/bin" && cp "$(command -v busybox)" "$0/bin/busybox" && ln -s busybox "$0/bin/sleep" && tar -C "$0" -c bin'
    const image = join(path, 'image.tar')
    await command(['sh', '-c', `(${script}) > "$1"`, join(path, 'rootfs'), image], { check: true })
    await server.docker('import', image, 'asleep')
  })
  after(async () => scope[Symbol.asyncDispose]())

  test('audit container tells a contained one from an open one', async () => {
    await server.docker('run', '-d', '--name', 'contained', 'asleep', 'sleep', '600')
    await server.docker('run', '-d', '--name', 'open', '--privileged', 'asleep', 'sleep', '600')
    const [contained, open] = [await verdictsOf('contained'), await verdictsOf('open')]
    for (const probe of ['I19', 'I13', 'I15', 'I16']) {
      assert.equal(contained[probe], 'CONTAINED', probe)
      assert.equal(open[probe], 'LEAK', probe)
    }
    assert.equal(contained['I28'], undefined, 'a joined program has no filter of the container')
    await server.docker('rm', '-f', 'contained', 'open')
  })

  test('audit container leaves the container and its engine as they were', async () => {
    const id = await server.docker('run', '-d', '--name', 'mine', '-m', '64m', 'asleep', 'sleep', '600')
    const state = async () => [
      await server.docker('inspect', id),
      await server.docker('top', id, '-eo', 'pid,args'),
      await server.docker('diff', id),
      await server.docker('images', '-aq'),
      await server.docker('ps', '-aq'),
    ]
    const before = await state()
    await verdictsOf('mine')
    assert.deepEqual(await state(), before)
    await server.docker('rm', '-f', id)
  })

  test('audit container says what is wrong with a name', async () => {
    await server.docker('create', '--name', 'idle', 'asleep', 'sleep', '600')
    for (const [words, message] of [
      [['container', 'nosuch'], /no engine here has it.*looked in/s],
      [['container', 'idle'], /it does not run.*start it/s],
      [['container'], /give one name/],
      [['container', 'idle', 'docker'], /give its socket/],
    ] as const) {
      const { code, stderr } = await audit(...words)
      assert.equal(code, 2, stderr)
      assert.match(stderr, message)
    }
    await server.docker('rm', 'idle')
  })
})
