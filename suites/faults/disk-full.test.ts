/** The engine's disk is full: a clear error, nothing is damaged, and it works again when there is room. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { command } from '../harness/command.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { removeAllContainers } from '../harness/server.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { until } from '../harness/until.ts'
import { REGISTRY, startWorld, type EngineWorld } from './engine-world.ts'

const needs = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'mkfs.ext4', 'mount', 'curl')
const SERVE = 'echo page >/index.html; httpd -f -h /'
const FULL = /no space left on device/i
/** Of the container's own group, on cgroup v1 and v2. */
const LIMITS = '/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max'

describe('a full disk', { skip: needs, concurrency: 1 }, () => {
  const scope = new Scope()
  let world: EngineWorld
  let disk = ''

  before(async () => {
    const { path } = scope.use(await tempFolder('disk'))
    disk = join(path, 'small')
    await mkdir(disk)
    await command(['truncate', '-s', '64M', join(path, 'image')], { check: true })
    await command(['mkfs.ext4', '-q', '-m', '0', join(path, 'image')], { check: true })
    await command(['mount', '-o', 'loop', join(path, 'image'), disk], { check: true })
    scope.defer(() => command(['umount', disk]))
    world = scope.use(await startWorld('full', { root: join(disk, 'root') }))
  })
  after(async () => scope[Symbol.asyncDispose]())

  const docker = (...args: string[]) => world.server.docker(...args)
  const attempt = (...args: string[]) => world.server.run(['docker', ...args], { timeout: 60_000 })
  const fill = async () => {
    await command([
      'sh',
      '-c',
      `dd if=/dev/zero of='${disk}/filler' bs=64k 2>/dev/null; dd if=/dev/zero of='${disk}/filler2' bs=1k 2>/dev/null`,
    ])
  }
  const empty = async () => {
    await rm(`${disk}/filler`, { force: true })
    await rm(`${disk}/filler2`, { force: true })
  }

  // One test's dead engine or full disk is not to be the next one's failure.
  beforeEach(async () => {
    await empty()
    if (!world.server.process.running()) await world.restart()
  })

  test('a pull that does not fit fails clearly and leaves no half image', async () => {
    const before = await docker('images', '-q')
    const result = await attempt('pull', `${REGISTRY}/layers3`)
    assert.notEqual(result.code, 0)
    assert.match(result.stderr, FULL)
    assert.equal(await docker('images', '-q'), before)
    assert.equal(await docker('run', '--rm', 'busybox', 'echo', 'works'), 'works')
  })

  /** What a client sees of all there is, and what is inside `runs`. */
  const state = async () => {
    const shown =
      '{{.Name}} {{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}} {{json .NetworkSettings.Networks}}'
    const ids = (await docker('ps', '-aq')).split('\n')
    return {
      containers: (await docker('inspect', '-f', shown, ...ids)).split('\n').toSorted(),
      listed: (await docker('ps', '-a', '--format', '{{.Names}} {{.State}}')).split('\n').toSorted(),
      images: (await docker('images', '--format', '{{.Repository}}:{{.Tag}} {{.ID}}')).split('\n').toSorted(),
      networks: (await docker('network', 'ls', '--format', '{{.Name}}')).split('\n').toSorted(),
      members: await docker(
        'network',
        'inspect',
        '-f',
        '{{.Name}} {{json .Containers}}',
        'bridge',
        'nx',
        'ny',
      ),
      bridges: (await world.server.run(['ip', '-o', 'link', 'show', 'type', 'bridge'])).stdout.split('\n')
        .length,
      volumes: await docker('volume', 'ls', '-q'),
      published: (await world.server.run(['curl', '-s', '-m', '20', '127.0.0.1:8091'])).stdout,
      limit: await docker('exec', 'runs', 'sh', '-c', `cat ${LIMITS} 2>/dev/null`).catch(() => ''),
      inside: await docker(
        'exec',
        'runs',
        'sh',
        '-c',
        'ip -o -4 addr; ip route; cat /etc/hosts /etc/resolv.conf',
      ),
    }
  }

  test('what changes anything fails clearly on a full disk, changes nothing, and works when there is room', async () => {
    await docker('pull', '--quiet', `${REGISTRY}/configured`)
    await docker('save', '-o', join(world.folder, 'saved.tar'), `${REGISTRY}/configured`)
    await docker('rmi', `${REGISTRY}/configured`)
    await writeFile(join(world.folder, 'big'), randomBytes(3 << 20))
    await command(['tar', '-cf', join(world.folder, 'root.tar'), '-C', world.folder, 'big'], { check: true })
    for (const name of ['nx', 'ny']) await docker('network', 'create', name)
    await docker('run', '-d', '--name', 'runs', '-p', '8091:80', 'busybox', 'sh', '-c', SERVE)
    await docker('network', 'connect', 'ny', 'runs')
    await docker('create', '--name', 'fresh', 'busybox', 'sleep', '600')
    await docker('run', '--name', 'stopped', 'busybox', 'true')
    // What was begun for a next start is gone by then.
    await sleep(11_000)
    const changes: readonly (readonly string[])[] = [
      ['update', '-m', '64m', '--memory-swap', '64m', '--restart', 'always', 'runs'],
      ['update', '--restart', 'always', 'fresh'],
      ['network', 'connect', '--gw-priority', '10', 'nx', 'runs'],
      ['network', 'connect', 'nx', 'stopped'],
      ['network', 'disconnect', 'ny', 'runs'],
      ['network', 'disconnect', 'bridge', 'runs'],
      ['network', 'disconnect', 'bridge', 'stopped'],
      ['network', 'create', 'nz'],
      ['volume', 'create', 'v1'],
      ['tag', 'busybox', 'tagged'],
      ['commit', 'runs', 'committed'],
      ['load', '-i', join(world.folder, 'saved.tar')],
      ['import', join(world.folder, 'root.tar'), 'imported'],
      ['pull', `${REGISTRY}/layered`],
      ['cp', join(world.folder, 'big'), 'fresh:/big'],
      ['cp', join(world.folder, 'big'), 'stopped:/big'],
      ['cp', join(world.folder, 'big'), 'runs:/big'],
      ['create', '--name', 'made', 'busybox', 'true'],
      ['create', '--name', 'with-volume', '-v', '/data', 'busybox', 'true'],
      ['run', '--name', 'ran', 'busybox', 'true'],
      ['rename', 'fresh', 'other'],
      ['rename', 'runs', 'runner'],
    ]
    const before = await state()
    assert.equal(before.published, 'page\n')
    await fill()
    for (const argv of changes) {
      const result = await attempt(...argv)
      assert.equal(result.timedOut, false, argv.join(' '))
      assert.notEqual(result.code, 0, `${argv.join(' ')} succeeded on a full disk`)
      assert.match(result.stderr, FULL, argv.join(' '))
      assert.deepEqual(await state(), before, argv.join(' '))
    }
    const renamed = await world.server.api('POST', '/containers/fresh/rename?name=other')
    assert.deepEqual([renamed.status, FULL.test(renamed.text)], [500, true])
    await world.crashAndRestart()
    assert.deepEqual(await state(), before, 'nor does the next engine see anything')
    await empty()
    for (const argv of changes) await docker(...argv)
    assert.equal(
      await docker('inspect', '-f', '{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}', 'runner'),
      '67108864 always',
    )
    const links = await docker(
      'exec',
      'runner',
      'sh',
      '-c',
      'ip -o -4 addr | wc -l; ip route | grep -c default',
    )
    assert.equal(links, '2\n1', 'lo and the interface on nx, with a default route')
    // The names are free again, and nobody but those that are there has them.
    await docker('create', '--name', 'runs', 'busybox', 'true')
    await removeAllContainers(world.server)
    for (const name of ['nx', 'ny', 'nz']) await docker('network', 'rm', name)
    await docker('volume', 'rm', 'v1')
    await docker('rmi', 'tagged', 'committed', 'imported', `${REGISTRY}/layered`, `${REGISTRY}/configured`)
  })

  test('a container never starts that could write nothing, and starts when there is room', async () => {
    const writes = ['busybox', 'sh', '-c', 'echo x >/written; cat /written; sleep 600']
    await docker('create', '--name', 'never', ...writes)
    await docker('run', '-d', '--name', 'before', ...writes)
    await docker('stop', '-t', '0', 'before')
    // What was begun for a next start is gone by then.
    await sleep(11_000)
    // Overlayfs makes it anew at each mount, and might get the room of the last one.
    const id = await docker('inspect', '-f', '{{.Id}}', 'before')
    await rm(join(disk, 'root/containers', id, 'work/work'), { recursive: true })
    await fill()
    for (const name of ['never', 'before']) {
      const result = await attempt('start', name)
      const root = await attempt('exec', name, 'grep', ' / overlay ', '/proc/mounts')
      assert.notEqual(result.code, 0, `${name} has started with ${root.stdout}`)
      assert.match(result.stderr, FULL)
    }
    await empty()
    for (const name of ['never', 'before']) {
      await docker('start', name)
      assert.equal(await docker('exec', name, 'cat', '/written'), 'x')
    }
    await docker('rm', '-f', 'never', 'before')
  })

  test('images can be untagged and removed where that is what makes room', async () => {
    await docker('pull', '--quiet', `${REGISTRY}/layered`)
    await docker('tag', `${REGISTRY}/layered`, 'second')
    await fill()
    await docker('rmi', 'second')
    await fill()
    assert.match(await docker('image', 'prune', '-af'), /deleted: sha256/)
    assert.equal(await docker('images', '-q'), '')
    await world.crashAndRestart()
    assert.equal(await docker('images', '-q'), '')
    await empty()
    await docker('pull', '--quiet', `${REGISTRY}/busybox`)
    await docker('tag', `${REGISTRY}/busybox`, 'busybox')
  })

  test('a container that ends on a full disk is shown as ended, by the next engine too', async () => {
    await docker('run', '-d', '--name', 'ends', 'busybox', 'sh', '-c', 'sleep 1; exit 9')
    await fill()
    assert.equal(await docker('wait', 'ends'), '9')
    await world.crashAndRestart()
    assert.equal(await docker('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'ends'), 'exited 9')
    await empty()
    await world.crashAndRestart()
    assert.equal(await docker('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'ends'), 'exited 9')
    await docker('rm', 'ends')
  })

  test('a container that fills the disk gets the error itself and can be removed', async () => {
    const result = await attempt(
      'run',
      '--name',
      'fills',
      'busybox',
      'sh',
      '-c',
      'dd if=/dev/zero of=/f bs=64k; echo ended',
    )
    assert.match(result.stderr, FULL)
    assert.match(result.stdout, /ended/)
    const gone = await attempt('rm', '-f', 'fills')
    assert.equal(gone.code, 0, gone.stderr)
    assert.equal(await docker('run', '--rm', 'busybox', 'echo', 'again'), 'again')
  })

  test('a log that fills the disk does not stop the container nor damage the log, and goes on when there is room', async () => {
    await command(['dd', 'if=/dev/zero', `of=${disk}/filler`, 'bs=1M', 'count=8'], { check: true })
    const script =
      'yes 0123456789 | head -c 22000000; i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo tick $i; sleep 0.1; done'
    await docker('run', '-d', '--name', 'chatter', 'busybox', 'sh', '-c', script)
    const log = await docker('inspect', '-f', '{{.LogPath}}', 'chatter')
    const read = async () => {
      const lines = (await readFile(log, 'utf8')).split('\n')
      assert.equal(lines.pop(), '', 'the last line is whole')
      return lines.map((line) => z.object({ log: z.string() }).parse(JSON.parse(line)).log)
    }
    await until('the log to fill the disk', async () => {
      const { bavail, bsize } = await statfs(disk)
      return bavail * bsize < 64 * 1024
    })
    await sleep(1000)
    assert.equal(await docker('inspect', '-f', '{{.State.Running}}', 'chatter'), 'true')
    assert.equal((await attempt('logs', '--tail', '3', 'chatter')).code, 0)
    await empty()
    await until('the log to go on', async () =>
      (await docker('logs', '--tail', '1', 'chatter')).startsWith('tick'),
    )
    const lines = await read()
    assert.deepEqual(
      lines.filter((line) => !/^(0123456789|tick \d+)\n$/.test(line)),
      [],
    )
    await docker('rm', '-f', 'chatter')
    assert.equal(await docker('run', '--rm', 'busybox', 'echo', 'again'), 'again')
  })

  test('an engine can start, list and remove on a full disk', async () => {
    await docker('create', '--name', 'old', 'busybox', 'true')
    await fill()
    await world.crashAndRestart()
    assert.match(await docker('ps', '-a', '--format', '{{.Names}}'), /old/)
    const removed = await attempt('rm', 'old')
    assert.equal(removed.code, 0, removed.stderr)
    await empty()
    assert.equal(await docker('run', '--rm', 'busybox', 'echo', 'again'), 'again')
  })

  test('the disk was full indeed', async () => {
    await fill()
    await assert.rejects(writeFile(join(disk, 'more'), Buffer.alloc(1 << 20)), /ENOSPC/)
    await empty()
  })
})
