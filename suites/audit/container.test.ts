/** `dewar audit container NAME`: a container that somebody else uses is judged, on any engine, and does not notice. */
import assert from 'node:assert/strict'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after as afterAll, before as beforeAll, describe, test } from 'node:test'
import { command } from '../harness/command.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { DEWAR, PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import type { Server } from '../harness/server.ts'
import { startDockerd } from '../harness/start-dockerd.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'

interface Report {
  readonly results: readonly { readonly probe: string; readonly verdict: string }[]
}

const ASLEEP = ['asleep', 'sleep', '600']

for (const kind of ['dewar', 'dockerd'] as const)
  describe(
    `dewar audit container, on ${kind}`,
    { skip: missing('docker', 'dockerd', 'busybox', 'tar'), concurrency: 1 },
    () => {
      const scope = new Scope()
      let server: Server
      const audit = (...words: readonly string[]) =>
        command([DEWAR, '-H', `unix://${server.socket}`, 'audit', ...words], { timeout: 600_000 })
      const verdictsOf = async (name: string): Promise<Record<string, string>> => {
        const { stdout, stderr } = await audit('--json', 'container', name)
        assert.ok(stdout.startsWith('{'), stderr)
        // Its shape is checked by the tests of the report.
        const { results } = JSON.parse(stdout) as Report
        return Object.fromEntries(results.map(({ probe, verdict }) => [probe, verdict]))
      }

      beforeAll(async () => {
        const { path } = scope.use(await tempFolder(`audited-${kind}`))
        const network = scope.use(await networkNamespace(join(path, 'netns.log')))
        const folder = join(path, 'server')
        server = scope.use(
          kind === 'dewar'
            ? await startEngine({ folder, network, bridge: 'dwtd3', subnet: '172.26.3.0/24' })
            : await startDockerd({ folder, network }),
        )
        const script =
          'mkdir -p "$0/bin" && cp "$(command -v busybox)" "$0/bin/busybox" && ln -s busybox "$0/bin/sleep" && tar -C "$0" -c bin'
        const image = join(path, 'image.tar')
        await command(['sh', '-c', `(${script}) > "$1"`, join(path, 'rootfs'), image], { check: true })
        await server.docker('import', image, 'asleep')
        await importScratch(path)
      })
      afterAll(async () => scope[Symbol.asyncDispose]())

      /** An image from scratch: one static program that only waits. */
      async function importScratch(path: string): Promise<void> {
        const [rootfs, image] = [join(path, 'scratch'), join(path, 'scratch.tar')]
        await mkdir(rootfs)
        await copyFile(join(PROJECT, 'native/build/dewar-probe'), join(rootfs, 'wait'))
        await command(['tar', '-C', rootfs, '-cf', image, 'wait'], { check: true })
        await server.docker('import', image, 'scratch-like')
      }

      test('audit container tells a contained one from an open one', async () => {
        await server.docker('run', '-d', '--name', 'contained', ...ASLEEP)
        // dockerd gives no privileges on a machine where it has not all of them itself.
        const open =
          kind === 'dewar' ? ['--privileged'] : ['--ipc=host', '-v', `${server.socket}:/run/docker.sock`]
        await server.docker('run', '-d', '--name', 'open', ...open, ...ASLEEP)
        const [before, after] = [await verdictsOf('contained'), await verdictsOf('open')]
        for (const probe of kind === 'dewar' ? ['I19', 'I13', 'I15', 'I16'] : ['I34']) {
          assert.equal(before[probe], 'CONTAINED', probe)
          assert.equal(after[probe], 'LEAK', probe)
        }
        assert.equal(before['I28'], undefined, 'a joined program has no filter of the container')
        await server.docker('rm', '-f', 'contained', 'open')
      })

      test('audit container works on an image from scratch, without a shell or a file of ours', async () => {
        const id = await server.docker('run', '-d', '--name', 'bare', 'scratch-like', '/wait', 'audit-pause')
        const verdicts = await verdictsOf('bare')
        assert.equal(verdicts['I19'], 'CONTAINED')
        const proven = Object.values(verdicts).filter((verdict) => verdict !== 'INCONCLUSIVE')
        assert.ok(proven.length >= 10, JSON.stringify(verdicts))
        assert.equal(await server.docker('diff', id), '')
        await server.docker('rm', '-f', id)
      })

      test('audit container leaves the container and its engine as they were', async () => {
        const id = await server.docker('run', '-d', '--name', 'mine', '-m', '64m', ...ASLEEP)
        const since = String(Math.floor(Date.now() / 1000) - 1)
        const state = async () => [
          await server.docker('inspect', id),
          await server.docker('top', id, '-eo', 'pid,args'),
          await server.docker('diff', id),
          await server.docker('logs', id),
          // dockerd lists images of one second in any order.
          (await server.docker('images', '-aq')).split('\n').toSorted(),
          await server.docker('ps', '-aq'),
          await server.docker('network', 'inspect', 'bridge'),
          await server.docker('volume', 'ls', '-q'),
        ]
        const before = await state()
        const events = async () =>
          (await server.docker('events', '--since', since, '--until', String(Date.now() / 1000))).split('\n')
        const noise = (lines: readonly string[]) =>
          lines.filter((line) => !/ container (top|exec_)/.test(line))
        const eventsBefore = noise(await events())
        await verdictsOf('mine')
        assert.deepEqual(await state(), before)
        assert.deepEqual(noise(await events()), eventsBefore)
        assert.ok(
          !(await events()).some((line) => / exec_/.test(line)),
          'it is joined, not entered by the engine',
        )
        await server.docker('rm', '-f', id)
      })

      test('audit container says what is wrong with a name', async () => {
        await server.docker('create', '--name', 'idle', ...ASLEEP)
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
    },
  )
