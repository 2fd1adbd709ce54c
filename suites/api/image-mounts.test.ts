/**
 * Mounts of type `image` (API 1.48) through docker's own client and raw requests. No dockerd here knows them (20.10 and
 * 26): status and words are those of moby 28.5's source (api/server/router/container, volume/mounts, daemon/volumes.go).
 *
 * Seen red: looked up without RESOLVE_IN_ROOT, the parts named by links are the host's.
 */
import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { tarOf, type Member } from '../harness/oci-layout.ts'
import { mountsUnder } from '../harness/temp-folder.ts'
import { create, expectStatus, field, finish, inspect, run, skip, startLive, type Live } from './live.ts'

let live: Live
let canary = ''

const image = (more: object = {}, Source = 'tools') => ({ Type: 'image', Source, Target: '/x', ...more })
const with_ = (...Mounts: object[]) => ({ HostConfig: { Mounts, NetworkMode: 'none' } })
const part = (Subpath: string) => image({ ImageOptions: { Subpath } })
const sh = (script: string, ...mounts: object[]) =>
  finish(live.server, { Cmd: ['sh', '-c', script], ...with_(...mounts) })

const folder = (name: string): Member => ({ name, type: 'directory' })
const link = (name: string, linkname: string): Member => ({ name, type: 'symlink', linkname })

async function importImage(name: string, members: readonly Member[]): Promise<string> {
  const input = await tarOf(members)
  const made = await live.server.run(['docker', 'import', '-', name], { input, check: true })
  return made.stdout.trim()
}

describe('image mounts', { skip, concurrency: 1 }, () => {
  let id = ''
  before(async () => {
    live = await startLive('image-mounts')
    canary = join(live.folder, 'canary')
    await mkdir(canary)
    await writeFile(join(canary, 'secret'), 'of the host')
    id = await importImage('tools', [
      folder('sub/deep'),
      { name: 'top', content: 'top of tools' },
      { name: 'sub/deep/file', content: 'deep', uid: 7, gid: 8 },
      { name: 'suid', content: '#!/bin/sh', mode: 0o4755 },
      { name: 'zero', type: 'character-device', devmajor: 1, devminor: 5, mode: 0o666 },
      link('inner', 'sub/deep'),
      link('rooted', '/sub/deep'),
      link('absolute', canary),
      link('relative', `${'../'.repeat(20)}${canary.slice(1)}`),
      link('file', join(canary, 'secret')),
      link('proc', '/proc/1/root'),
    ])
  })
  after(async () => live[Symbol.asyncDispose]())

  test("docker's client mounts an image read-only, with the ids of its files, nosuid and nodev", async () => {
    const { stdout, stderr } = await live.server.run(
      [
        ...['docker', 'run', '--rm', '--network', 'none', '--mount', 'type=image,source=tools,target=/x'],
        ...['busybox', 'sh', '-c'],
        'cat /x/top; echo; stat -c "%u %g" /x/top /x/sub/deep/file; grep " /x " /proc/mounts; ' +
          'echo no >/x/top; rm /x/top; mkdir /x/new; head -c1 /x/zero',
      ],
      {},
    )
    assert.match(stdout, /^top of tools\n0 0\n7 8\noverlay \/x overlay ro,nosuid,nodev,/)
    assert.doesNotMatch(stdout, new RegExp(live.folder), 'no path of the host in the table of mounts')
    assert.match(stderr, /WARNING: Image mount is an experimental feature/)
    assert.match(
      stderr,
      /top: Read-only[^]*'\/x\/top': Read-only[^]*'\/x\/new': Read-only[^]*zero: Permission denied/,
    )
  })

  test('root inside with every right cannot make it writable, and the image stays as it was', async () => {
    const powers = { CapAdd: ['ALL'], SecurityOpt: ['seccomp=unconfined'], NetworkMode: 'none' }
    for (const UsernsMode of ['', 'host']) {
      const { output } = await finish(live.server, {
        Cmd: ['sh', '-c', 'mount -o remount,rw /x; echo changed >/x/top; echo made >/x/sub/new; true'],
        HostConfig: { ...powers, UsernsMode, Mounts: [image()] },
      })
      assert.match(output, /can't create \/x\/top: Read-only/)
    }
    assert.equal((await sh('cat /x/top; ls /x/sub', image())).output, 'top of toolsdeep\n')
  })

  test('a part of it, a folder or a file, and links that stay inside', async () => {
    const client = await live.server.docker(
      ...['run', '--rm', '--network', 'none', '--mount'],
      ...['type=image,source=tools,target=/x,image-subpath=sub/deep', 'busybox', 'cat', '/x/file'],
    )
    assert.equal(client, 'deep')
    assert.equal((await sh('cat /x; stat -c %F /x', part('top'))).output, 'top of toolsregular file\n')
    for (const path of ['inner', 'rooted', './sub/../sub/deep'])
      assert.equal((await sh('cat /x/file', part(path))).output, 'deep', path)
  })

  test('a part that is named by links to the host is looked for in the image, and is not there', async () => {
    for (const path of ['absolute', 'relative', 'file', 'absolute/secret', 'proc', 'proc/etc', 'missing']) {
      const container = await create(live.server, { Cmd: ['cat', '/x/secret', '/x'], ...with_(part(path)) })
      const started = await live.server.api('POST', `/containers/${container}/start`)
      assert.notEqual(started.status, 204, path)
      const { output } = await sh('ls -R /x; cat /x/secret', part('sub'))
      assert.doesNotMatch(`${started.text}${output}`, /of the host/, path)
      await live.server.api('DELETE', `/containers/${container}?force=1`)
    }
    assert.deepEqual(await mountsUnder(live.folder), [])
  })

  test('a part outside is refused by its words', async () => {
    for (const path of ['..', '../x', 'sub/../..', '/etc', '/']) {
      const answer = await live.server.api('POST', '/containers/create', {
        Image: 'busybox',
        ...with_(part(path)),
      })
      assert.equal(answer.status, 400, path)
      const words = 'invalid mount config for type "image": subpath must be a relative path within the volume'
      assert.equal(field(answer, 400, 'message'), words)
    }
  })

  test('links of the image lead within the container', async () => {
    const { output } = await sh('cat /x/absolute/secret /x/file; cat /x/proc/etc/passwd | head -1', image())
    assert.match(output, /can't open '\/x\/absolute\/secret'[^]*can't open '\/x\/file'/)
    assert.doesNotMatch(output, /of the host/)
  })

  test('layers are stacked: what an upper one took away is not there', async () => {
    const build = ['docker', 'build', '--network', 'none', '-q', '-t', 'stacked', '-']
    const input = 'FROM busybox\nRUN echo added >/added; rm -r /etc; mkdir /etc; echo new >/etc/new\n'
    await live.server.run(build, { env: { DOCKER_BUILDKIT: '0' }, input, check: true })
    const { output } = await sh('cat /x/added; ls /x/etc; ls /x/bin/sh', image({}, 'stacked'))
    assert.equal(output, 'added\nnew\n/x/bin/sh\n')
    const etc = await sh('ls /x', image({ ImageOptions: { Subpath: 'etc' } }, 'stacked'))
    assert.equal(etc.output, 'new\n')
  })

  test('inspect shows it, and it is no volume of that name', async () => {
    expectStatus(await live.server.api('POST', '/volumes/create', { Name: 'tools' }), 201)
    const container = await create(live.server, { ...with_(image()) })
    const { Mounts, HostConfig } = await inspect(live.server, container)
    const common = { Destination: '/x', Mode: '', RW: false, Propagation: 'rprivate' }
    assert.deepEqual(Mounts, [{ Type: 'image', Name: 'tools', Source: id, ...common }])
    assert.deepEqual(Reflect.get(Object(HostConfig), 'Mounts'), [image()])
    expectStatus(await live.server.api('DELETE', '/volumes/tools'), 204)
    expectStatus(await live.server.api('DELETE', `/containers/${container}?v=1`), 204)
  })

  test('cp reads from it, running or not, and does not write to it', async () => {
    const container = await run(live.server, { Cmd: ['sleep', '999'], ...with_(image()) })
    const out = join(live.folder, 'copied')
    for (const state of ['running', 'stopped']) {
      await live.server.docker('cp', '-q', `${container}:/x/sub/deep/file`, `${out}-${state}`)
      const refused = await live.server.run(['docker', 'cp', `${out}-${state}`, `${container}:/x/new`])
      assert.match(refused.stderr, /mounted volume is marked read-only/)
      await live.server.docker('kill', container).catch(() => undefined)
    }
    const exported = await live.server.run(['sh', '-c', `docker export ${container} | tar t`])
    assert.doesNotMatch(exported.stdout, /^x\/top/m)
    await live.server.docker('rm', '-f', container)
  })

  test('the image is kept for who uses it, and the files also when it is removed by force', async () => {
    await importImage('kept', [{ name: 'file', content: 'kept' }])
    const container = await run(live.server, { Cmd: ['sleep', '999'], ...with_(image({}, 'kept')) })
    const refused = await live.server.api('DELETE', '/images/kept')
    assert.match(
      field(refused, 409, 'message'),
      /^conflict: unable to remove repository reference "kept" \(must force\) - container \w{12} is using its referenced image/,
    )
    await live.server.docker('image', 'prune', '-af')
    assert.equal((await live.server.api('GET', '/images/kept/json')).status, 200)
    await live.killed(async () => undefined)
    await live.server.docker('image', 'prune', '-af')
    expectStatus(await live.server.api('DELETE', '/images/kept?force=1'), 200)
    await live.server.docker('exec', container, 'cat', '/x/file')
    await live.server.docker('restart', '-t', '0', container)
    assert.equal(await live.server.docker('exec', container, 'cat', '/x/file'), 'kept')
    assert.equal(
      field(
        await live.server.api('POST', '/containers/create', {
          Image: 'busybox',
          ...with_(image({}, 'kept')),
        }),
        404,
        'message',
      ),
      'No such image: kept:latest',
    )
    await live.server.docker('rm', '-f', container)
  })

  test('--volumes-from takes it along, and of a part that part alone', async () => {
    expectStatus(await live.server.api('POST', '/volumes/create', { Name: 'data' }), 201)
    const volume = { Type: 'volume', Source: 'data', Target: '/v' }
    await sh('mkdir /v/given; echo given >/v/given/f; echo kept back >/v/other', volume)
    const VolumeOptions = { Subpath: 'given' }
    const from = await create(live.server, { ...with_(part('sub/deep'), { ...volume, VolumeOptions }) })
    const { output } = await finish(live.server, {
      Cmd: ['sh', '-c', 'cat /x/file /v/f; ls /x /v; touch /x/y'],
      HostConfig: { NetworkMode: 'none', VolumesFrom: [from] },
    })
    assert.match(output, /^deepgiven\n\/v:\nf\n\n\/x:\nfile\ntouch: \/x\/y: Read-only file system/)
  })

  test('what does not belong to it is refused, and older versions of the API do not have it', async () => {
    const answer = async (mount: object, version = 'v1.48') =>
      live.server.api('POST', `/${version}/containers/create`, { Image: 'busybox', ...with_(mount) })
    const refused: readonly (readonly [object, string])[] = [
      [image({ Source: '' }), 'invalid mount config for type "image": field Source must not be empty'],
      [image({ BindOptions: {} }), 'BindOptions must not be specified on mount type "image"'],
      [image({ TmpfsOptions: {} }), 'TmpfsOptions must not be specified on mount type "image"'],
      [image({ VolumeOptions: {} }), 'VolumeOptions must not be specified on mount type "image"'],
      [
        { Type: 'tmpfs', Target: '/x', ImageOptions: {} },
        'invalid mount config for type "tmpfs": field ImageOptions must not be specified',
      ],
      [
        { Type: 'volume', Target: '/x', ImageOptions: {} },
        'invalid mount config for type "volume": field ImageOptions must not be specified',
      ],
    ]
    for (const [mount, words] of refused) assert.equal(field(await answer(mount), 400, 'message'), words)
    assert.equal(
      field(await answer(image(), 'v1.47'), 400, 'message'),
      'Mount type "Image" needs API v1.48 or newer',
    )
  })
})
