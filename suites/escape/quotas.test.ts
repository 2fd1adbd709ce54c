/**
 * What the kernel counts per user (inotify instances and watches, namespaces, processes) it charges to the user inside and
 * also to the owner of the user namespace, on the host. Owned by the host's root, as they are when root makes them, all
 * containers and the host share one account, which any of them can use up.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { command } from '../harness/command.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { startSide, type RunningSide } from '../harness/start-side.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { until } from '../harness/until.ts'
import { parseAnswer, probe, probeImage } from './probe.ts'

const LIMIT = Number(readFileSync('/proc/sys/fs/inotify/max_user_instances', 'utf8'))
/** NS_GET_OWNER_UID of ioctl_nsfs(2). */
const OWNER_OF =
  'open F, "/proc/$ARGV[0]/ns/user"; $u = "\\0" x 4; ioctl(F, 0xb704, $u) or die; print unpack "L", $u'

const needs = missing('musl-gcc', 'docker', 'docker-registry', 'skopeo', 'busybox', 'perl')
describe('quotas', { skip: needs, concurrency: 1 }, () => {
  const scope = new Scope()
  let side: RunningSide | undefined
  const server = () => {
    assert.ok(side)
    return side.server
  }

  before(async () => {
    side = await startSide('dewar', scope)
    await side.registry.push(await probeImage(scope.use(await tempFolder('quotas')).path))
    await server().docker('pull', '--quiet', '127.0.0.1:5000/probe')
    await server().docker('tag', '127.0.0.1:5000/probe', 'probe')
  })
  after(async () => scope[Symbol.asyncDispose]())

  const pidOf = async (name: string) => await server().docker('inspect', '-f', '{{.State.Pid}}', name)
  const ownerOf = async (pid: string) =>
    Number((await command(['perl', '-e', OWNER_OF, pid], { check: true })).stdout)

  test('a container that holds all inotify instances it can get takes none from others', async () => {
    await server().docker('run', '-d', '--name', 'hog', 'probe', '/probe', 'inotify', String(LIMIT + 1), '60')
    try {
      await until('the instances to be made', async () =>
        (await server().docker('logs', 'hog')).includes('made'),
      )
      assert.deepEqual(
        [...parseAnswer(await server().docker('logs', 'hog'))],
        [
          ['last', 'EMFILE'],
          ['made', String(LIMIT)],
        ],
      )
      const again = parseAnswer(await server().docker('exec', 'hog', '/probe', 'inotify', '1', '0'))
      assert.equal(again.get('last'), 'EMFILE', 'the same probe sees a quota that is used up')
      assert.equal((await probe(server(), [], ['inotify', '1', '0'])).get('last'), 'OK', 'another container')
      const watch = "require('node:fs').watch('/').close()"
      await command([process.execPath, '-e', watch], { check: true })
    } finally {
      await server().docker('rm', '-f', 'hog')
    }
  })

  test('a container’s user namespace is owned by its own root, and the host’s by the host’s', async () => {
    const flags = { own: [], host: ['--userns', 'host'] }
    for (const [name, more] of Object.entries(flags)) {
      await server().docker('run', '-d', '--name', name, ...more, 'probe', 'sleep', '60')
    }
    const [own, host] = [await pidOf('own'), await pidOf('host')]
    const [, outer] = readFileSync(`/proc/${own}/uid_map`, 'utf8').trim().split(/\s+/).map(Number)
    assert.ok(outer !== undefined && outer >= 65536)
    assert.equal(await ownerOf(own), outer)
    assert.equal(await ownerOf(host), await ownerOf('self'))
    await server().docker('rm', '-f', 'own', 'host')
  })
})
