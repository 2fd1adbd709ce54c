/** Volumes through the raw API: driver options, parts of volumes, bind options, prune, events. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { until } from '../harness/until.ts'
import { create, expectStatus, finish, inspect, run, skip, startLive, type Live } from './live.ts'

let live: Live

const api = (method: string, path: string, body?: object) => live.server.api(method, path, body)
const volume = (Name: string, DriverOpts: object = {}, Labels: object = {}) =>
  api('POST', '/volumes/create', { Name, Driver: 'local', DriverOpts, Labels })
const mounts = (...Mounts: object[]) => ({ HostConfig: { Mounts, NetworkMode: 'none' } })
const folderOf = (name: string) => join(live.folder, 'root/volumes', name, '_data')
const isMounted = async (name: string): Promise<boolean> =>
  (await readFile('/proc/self/mountinfo', 'utf8')).includes(` ${folderOf(name)} `)

describe('volumes', { skip, concurrency: 1 }, () => {
  before(async () => {
    live = await startLive('volumes')
  })
  after(async () => live[Symbol.asyncDispose]())

  test('a volume of type tmpfs is shared while it is used, has its size, and is empty afterwards', async () => {
    expectStatus(await volume('mem', { type: 'tmpfs', device: 'tmpfs', o: 'size=4m,uid=7,mode=750' }), 201)
    assert.equal(await isMounted('mem'), false)
    const mount = { Type: 'volume', Source: 'mem', Target: '/m' }
    const holder = await run(live.server, { Cmd: ['sleep', '999'], ...mounts(mount) })
    const one = await finish(live.server, {
      Cmd: ['sh', '-c', 'df -k /m | tail -1; stat -c "%a %u" /m; echo hi >/m/f'],
      ...mounts(mount),
    })
    assert.match(one.output, / 4096 [^]*\n750 7\n$/)
    assert.equal((await finish(live.server, { Cmd: ['cat', '/m/f'], ...mounts(mount) })).output, 'hi\n')
    assert.equal(await isMounted('mem'), true)
    expectStatus(await api('POST', `/containers/${holder}/kill`), 204)
    await until('it is unmounted', async () => !(await isMounted('mem')))
    assert.notEqual((await finish(live.server, { Cmd: ['cat', '/m/f'], ...mounts(mount) })).code, 0)
  })

  test('a volume with o=bind is a folder of the host, read-only where it says so', async () => {
    const folder = join(live.folder, 'host-folder')
    await mkdir(folder)
    await writeFile(join(folder, 'f'), 'of the host')
    expectStatus(await volume('bound', { type: 'none', o: 'bind', device: folder }), 201)
    expectStatus(await volume('bound-ro', { type: 'none', o: 'bind,ro', device: folder }), 201)
    const bound = { Type: 'volume', Source: 'bound', Target: '/b' }
    const readOnly = { Type: 'volume', Source: 'bound-ro', Target: '/r' }
    const { output } = await finish(live.server, {
      Cmd: ['sh', '-c', 'cat /r/f; echo in >/b/g; echo x >/r/h'],
      ...mounts(bound, readOnly),
    })
    assert.match(output, /^of the host.*can't create \/r\/h: Read-only file system/s)
    assert.equal(await readFile(join(folder, 'g'), 'utf8'), 'in\n')
    expectStatus(await api('DELETE', '/volumes/bound?force=1'), 409)
  })

  test('a volume that cannot be mounted is an error of the start, and leaves nothing', async () => {
    expectStatus(await volume('gone', { type: 'none', o: 'bind', device: '/nosuch-folder' }), 201)
    const made = await api('POST', '/containers/create', {
      Image: 'busybox',
      ...mounts({ Type: 'volume', Source: 'gone', Target: '/g', VolumeOptions: { NoCopy: true } }),
    })
    const id = String(Reflect.get(Object(expectStatus(made, 201).json), 'Id'))
    const started = await api('POST', `/containers/${id}/start`)
    assert.equal(started.status, 500)
    assert.match(started.text, /error while mounting volume .*failed to mount local volume/)
    assert.equal(await isMounted('gone'), false)
    expectStatus(await api('DELETE', `/containers/${id}`), 204)
    expectStatus(await api('DELETE', '/volumes/gone'), 204)
  })

  test('driver options that cannot be are refused in dockerd’s words', async () => {
    const cases: [object, RegExp][] = [
      [{ bogus: '1' }, /invalid option: \\"bogus\\"/],
      [{ type: 'tmpfs' }, /missing required option: \\"device\\"/],
      [{ device: '/x' }, /missing required option: \\"type\\"/],
      [{ o: 'bind' }, /missing required option: \\"device\\"/],
      [{ size: '1g' }, /quota size requested but no quota support/],
    ]
    for (const [options, words] of cases) {
      const answer = await volume('never', options)
      assert.match(answer.text, words)
      assert.equal(answer.status, 400)
    }
    assert.equal((await api('GET', '/volumes/never')).status, 404)
  })

  test('a mount is unmounted also when the engine was killed meanwhile', async () => {
    const mount = { Type: 'volume', Source: 'mem', Target: '/m' }
    const id = await run(live.server, { Cmd: ['sleep', '999'], ...mounts(mount) })
    const { Pid } = (await inspect(live.server, id))['State'] as { readonly Pid: number }
    assert.equal(await isMounted('mem'), true)
    await live.killed(async () => {
      process.kill(Pid, 'SIGKILL')
      await until('its end', () => !existsSync(`/proc/${Pid}`))
      assert.equal(await isMounted('mem'), true)
    })
    assert.equal(await isMounted('mem'), false)
  })

  test('a part of a volume is looked up inside it, whatever links are there', async () => {
    const canary = join(live.folder, 'canary')
    await mkdir(canary)
    await writeFile(join(canary, 'secret'), 'of the host')
    const all = { Type: 'volume', Source: 'parts', Target: '/v' }
    await finish(live.server, {
      Cmd: ['sh', '-c', 'mkdir -p /v/a/b; echo part >/v/a/b/f; ln -s a/b /v/inside'],
      ...mounts(all),
    })
    await symlink(canary, join(folderOf('parts'), 'outside'))
    await symlink('../../../../../../../../../../../..', join(folderOf('parts'), 'up'))
    const part = (Subpath: string) => ({
      Type: 'volume',
      Source: 'parts',
      Target: '/p',
      VolumeOptions: { Subpath },
    })
    const read = (Subpath: string) =>
      finish(live.server, { Cmd: ['sh', '-c', 'cat /p/f; ls /p'], ...mounts(part(Subpath)) })
    assert.equal((await read('a/b')).output, 'part\nf\n')
    assert.equal((await read('inside')).output, 'part\nf\n')
    for (const bad of ['outside', `up${canary}`, 'absent']) {
      const id = await create(live.server, { Cmd: ['cat', '/p/secret'], ...mounts(part(bad)) })
      const started = await api('POST', `/containers/${id}/start`)
      assert.equal(started.status, 500, `${bad}: ${started.text}`)
    }
    for (const bad of ['../x', '/abs', 'a/../../x']) {
      const { status, text } = await api('POST', '/containers/create', {
        Image: 'busybox',
        ...mounts(part(bad)),
      })
      assert.match(text, /subpath must be a relative path within the volume/)
      assert.equal(status, 400)
    }
    const anonymous = { ...part('a'), Source: '' }
    assert.match(
      (await api('POST', '/containers/create', { Image: 'busybox', ...mounts(anonymous) })).text,
      /must not set Subpath when using anonymous/,
    )
  })

  test('bind options: a made mount point, read-only below or on top alone', async () => {
    const source = join(live.folder, 'made/deep')
    const make = { Type: 'bind', Source: source, Target: '/b', BindOptions: { CreateMountpoint: true } }
    assert.equal(
      (await finish(live.server, { Cmd: ['sh', '-c', 'echo x >/b/f && cat /b/f'], ...mounts(make) })).output,
      'x\n',
    )
    const below = async (BindOptions: object): Promise<string> => {
      const bind = {
        Type: 'bind',
        Source: join(live.folder, 'tree'),
        Target: '/t',
        ReadOnly: true,
        BindOptions,
      }
      const cmd = 'touch /t/top 2>&1; touch /t/sub/below 2>&1 && echo below'
      return (await finish(live.server, { Cmd: ['sh', '-c', cmd], ...mounts(bind) })).output
    }
    await mkdir(join(live.folder, 'tree/sub'), { recursive: true })
    const { server } = live
    await server.run(['mount', '-t', 'tmpfs', 'tmpfs', join(live.folder, 'tree/sub')], { check: true })
    try {
      const both = /\/t\/top: Read-only file system\n.*\/t\/sub\/below: Read-only file system/s
      assert.match(await below({}), both)
      assert.match(await below({ ReadOnlyForceRecursive: true }), both)
      assert.match(await below({ ReadOnlyNonRecursive: true }), /\/t\/top: Read-only file system\nbelow\n/)
    } finally {
      await server.run(['umount', join(live.folder, 'tree/sub')], { check: true })
    }
  })

  test('prune takes anonymous volumes, all with all=1, and respects labels; events tell of mounts', async () => {
    const since = Math.floor(Date.now() / 1000)
    expectStatus(await volume('keep', {}, { keep: '1' }), 201)
    expectStatus(await volume('drop', {}, {}), 201)
    const { id } = await finish(live.server, {
      Cmd: ['true'],
      Volumes: { '/anon': {} },
      HostConfig: { Binds: ['keep:/k'], NetworkMode: 'none' },
    })
    const events = await api(
      'GET',
      `/events?since=${since}&until=${Math.floor(Date.now() / 1000) + 1}&filters=${encodeURIComponent('{"type":["volume"],"volume":["keep"]}')}`,
    )
    const seen = events.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly Action: string; readonly Actor: object })
    assert.deepEqual(
      seen.map(({ Action }) => Action),
      ['create', 'mount', 'unmount'],
    )
    const attributes = {
      container: id,
      driver: 'local',
      destination: '/k',
      propagation: '',
      'read/write': 'true',
    }
    assert.deepEqual(Reflect.get(seen[1]?.Actor ?? {}, 'Attributes'), attributes)
    expectStatus(await api('DELETE', `/containers/${id}`), 204)
    const prune = async (filters: object): Promise<string[]> => {
      const { json } = expectStatus(
        await api('POST', `/v1.50/volumes/prune?filters=${encodeURIComponent(JSON.stringify(filters))}`),
        200,
      )
      return ((Reflect.get(Object(json), 'VolumesDeleted') ?? []) as string[]).toSorted()
    }
    const first = await prune({})
    assert.equal(first.length, 1)
    assert.match(first[0] ?? '', /^[0-9a-f]{64}$/)
    const left = await prune({ all: ['true'], 'label!': ['keep'] })
    assert.ok(left.includes('drop') && !left.includes('keep'), left.join())
    assert.deepEqual(await prune({ all: ['1'] }), ['keep'])
  })
})
