/** Mounts that travel, on a machine where they do (`/` shared, as systemd has it), and those that must not. */
import assert from 'node:assert/strict'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parseMountinfo, type HostMount } from '../../src/base/mountinfo.ts'
import { command } from '../harness/command.ts'
import { busyboxTree } from '../harness/image-recipes.ts'
import { tarOf } from '../harness/oci-layout.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import type { Server } from '../harness/server.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'

/** All that leads to mounts, or to namespaces, of another kind. */
const WHATEVER = (source: string): readonly (readonly string[])[] => [
  ...['private', 'rslave', 'rshared'].map((how) => ['-v', `${source}:/x:${how}`]),
  ...['cgroupns', 'pid', 'ipc', 'uts', 'network'].map((kind) => [`--${kind}=host`]),
  ['--ipc=shareable', '--read-only', '--tmpfs', '/t'],
  ['--mount', `type=bind,src=${source},dst=/x,bind-recursive=disabled`, '--init', '-t'],
  ['-v', '/:/x', '-v', 'named:/v', '--mount', 'type=volume,src=named,dst=/w,volume-subpath=.'],
  ['--mount', 'type=image,src=busybox,dst=/i', '--security-opt', 'systempaths=unconfined'],
  ['--privileged', '--device', '/dev/null:/dev/nothing'],
]

const skip = missing('docker', 'busybox', 'unshare', 'nsenter', 'setpriv')

describe('mounts that travel', { skip, concurrency: 1 }, () => {
  const scope = new Scope()
  let engine: Server
  /** A mount of its own, shared. */
  let given: string
  /** A mount of its own, private. */
  let kept: string

  const onHost = async (...argv: readonly string[]): Promise<string> => {
    const enter = ['nsenter', `--mount=/proc/${engine.process.pid}/ns/mnt`, '--']
    return (await command([...enter, ...argv], { check: true })).stdout
  }
  const hostMounts = async (): Promise<HostMount[]> =>
    parseMountinfo(await onHost('cat', '/proc/self/mountinfo'))
  const run = (...args: readonly string[]) => engine.run(['docker', 'run', '--rm', ...args])
  const propagationInside = async (...args: readonly string[]): Promise<HostMount['propagation']> => {
    const { code, stdout, stderr } = await run(...args, 'busybox', 'cat', '/proc/self/mountinfo')
    assert.equal(code, 0, stderr)
    const mounts = parseMountinfo(stdout)
    for (const path of ['/', '/proc', '/dev', '/sys', '/etc/hosts'])
      assert.deepEqual(mounts.find((mount) => mount.path === path)?.propagation, [], path)
    return mounts.find((mount) => mount.path === '/x')?.propagation ?? assert.fail('/x is no mount')
  }

  before(async () => {
    const folder = scope.use(await tempFolder('travel')).path
    given = join(folder, 'given')
    kept = join(folder, 'kept')
    for (const path of [given, kept, join(folder, 'e')]) await mkdir(path)
    engine = scope.use(
      await startEngine({
        folder: join(folder, 'e'),
        bridge: 'dwttrv0',
        subnet: '10.207.9.0/24',
        sharedMounts: true,
      }),
    )
    for (const path of [given, kept]) await onHost('mount', '-t', 'tmpfs', 'here', path)
    await onHost('mount', '--make-shared', given)
    await onHost('mount', '--make-private', kept)
    const archive = join(folder, 'busybox.tar')
    await writeFile(archive, await tarOf(busyboxTree()))
    await engine.docker('import', archive, 'busybox')
  })
  after(() => scope[Symbol.asyncDispose]())

  for (const userns of [[], ['--userns=host']]) {
    const whose = userns.length === 0 ? 'with ids of its own' : 'with the host’s ids'

    test(`a container changes nothing of the host's mounts, whatever was asked for, ${whose}`, async () => {
      const before = await hostMounts()
      for (const how of WHATEVER(given)) {
        const id = await engine.docker('run', '-d', ...userns, ...how, 'busybox', 'sleep', '600')
        const inside = parseMountinfo(await engine.docker('exec', id, 'cat', '/proc/self/mountinfo'))
        const travels = inside.filter(
          ({ path, propagation }) => propagation.length > 0 && !/^[/]x\b/.test(path),
        )
        assert.deepEqual(travels, [], how.join(' '))
        await engine.docker('cp', `${id}:/bin/busybox`, join(engine.folder, 'copy'))
        // Refused where the root is read-only.
        await engine.run(['docker', 'cp', join(engine.folder, 'copy'), `${id}:/copy`])
        assert.deepEqual(await hostMounts(), before, how.join(' '))
        await engine.docker('rm', '-f', id)
        assert.deepEqual(await hostMounts(), before, `${how.join(' ')}, removed`)
      }
    })

    test(`a bind takes part as was asked and nothing else does, ${whose}`, async () => {
      const seen = async (how: string) => propagationInside(...userns, '-v', `${given}:/x${how}`)
      assert.deepEqual(await seen(''), [])
      for (const how of ['private', 'rprivate']) assert.deepEqual(await seen(`:${how}`), [], how)
      for (const how of ['slave', 'rslave']) assert.deepEqual(await seen(`:${how}`), ['master'], how)
      for (const how of ['shared', 'rshared']) assert.deepEqual(await seen(`:${how}`), ['shared'], how)
    })

    test(`what the host mounts later is seen by slaves and shared ones alone, ${whose}`, async () => {
      const later = join(given, 'later')
      await onHost('mkdir', '-p', later)
      const ids = new Map<string, string>()
      for (const how of ['rprivate', 'rslave', 'rshared'])
        ids.set(
          how,
          await engine.docker('run', '-d', ...userns, '-v', `${given}:/x:${how}`, 'busybox', 'sleep', '600'),
        )
      await onHost('mount', '-t', 'tmpfs', 'later', later)
      await onHost('touch', join(later, 'file'))
      for (const [how, id] of ids) {
        const wanted = how === 'rprivate' ? '' : 'file'
        assert.equal(await engine.docker('exec', id, 'ls', '/x/later'), wanted, how)
      }
      await onHost('umount', later)
      for (const [how, id] of ids) {
        assert.equal(await engine.docker('exec', id, 'ls', '/x/later'), '', how)
        await engine.docker('rm', '-f', id)
      }
    })

    test(`what a container mounts reaches the host by a shared bind alone, ${whose}`, async () => {
      const mounts = ['sh', '-c', 'mkdir -p /x/made && mount -t tmpfs made /x/made && touch /x/made/file']
      for (const how of ['rprivate', 'rslave', 'rshared']) {
        const result = await run(
          ...userns,
          '--cap-add',
          'SYS_ADMIN',
          '-v',
          `${given}:/x:${how}`,
          'busybox',
          ...mounts,
        )
        assert.equal(result.code, 0, result.stderr)
        const made = (await hostMounts()).filter(({ path }) => path === join(given, 'made'))
        assert.equal(made.length, how === 'rshared' ? 1 : 0, how)
        if (how !== 'rshared') continue
        assert.equal(await onHost('ls', join(given, 'made')), 'file\n')
        await onHost('umount', join(given, 'made'))
      }
    })
  }

  test('a source that gives no mounts away is refused, by name', async () => {
    const refused = async (how: string, why: string) => {
      const { code, stderr } = await run('-v', `${kept}:/x:${how}`, 'busybox', 'true')
      assert.equal(code, 125)
      assert.match(stderr, new RegExp(`path ${kept} is mounted on ${kept} but it is not a ${why} mount`))
    }
    await refused('rshared', 'shared')
    await refused('slave', 'shared or slave')
    assert.equal((await run('-v', `${kept}:/x:private`, 'busybox', 'true')).code, 0)
  })

  test('what holds the engine’s folder is a slave unless told, and nothing less', async () => {
    const root = join(engine.folder, 'root')
    const link = join(engine.folder, 'link')
    await symlink(root, link)
    for (const source of ['/', root, `${root}/`, link]) {
      assert.deepEqual(await propagationInside('-v', `${source}:/x:ro`), ['master'], source)
      const id = await engine.docker('create', '--mount', `type=bind,src=${source},dst=/x`, 'busybox', 'true')
      assert.equal(await engine.docker('inspect', '-f', '{{(index .Mounts 0).Propagation}}', id), 'rslave')
      await engine.docker('rm', id)
      const { code, stderr } = await run('-v', `${source}:/x:rprivate`, 'busybox', 'true')
      assert.equal(code, 125)
      assert.match(
        stderr,
        /must use either propagation mode "rslave" or "rshared" when mount source is within/,
      )
    }
  })
})
