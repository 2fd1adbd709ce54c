/** The engine's disk is full: a clear error, nothing is damaged, and it works again when there is room. */
import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { command } from '../harness/command.ts'
import { missing } from '../harness/requirement.ts'
import { Scope } from '../harness/scope.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { REGISTRY, startWorld, type EngineWorld } from './engine-world.ts'

const needs = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'mkfs.ext4', 'mount')
const FULL = /no space left on device/i

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

  test('create, run, import, cp, tag and volume fail clearly, and nothing of them is left', async () => {
    await docker('run', '-d', '--name', 'runs', 'busybox', 'sleep', '600')
    await fill()
    const containers = await docker('ps', '-aq')
    const images = await docker('images', '-q')
    for (const argv of [
      ['create', 'busybox', 'true'],
      ['run', '--rm', 'busybox', 'true'],
      ['pull', `${REGISTRY}/layered`],
      ['import', '/bin/busybox'],
    ]) {
      const result = await attempt(...argv)
      assert.equal(result.timedOut, false, argv.join(' '))
      assert.notEqual(result.code, 0, `${argv.join(' ')} succeeded on a full disk`)
      if (argv[0] !== 'import') assert.match(result.stderr, FULL, argv.join(' '))
    }
    assert.equal(await docker('ps', '-aq'), containers)
    assert.equal(await docker('images', '-q'), images)
    assert.equal(await docker('exec', 'runs', 'echo', 'still'), 'still', 'what runs goes on')
    await empty()
    assert.equal(await docker('run', '--rm', 'busybox', 'echo', 'again'), 'again')
    await docker('rm', '-f', 'runs')
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

  test('a log that fills the disk does not stop the container nor damage the log', async () => {
    await docker(
      'run',
      '-d',
      '--name',
      'chatter',
      'busybox',
      'sh',
      '-c',
      'yes 0123456789 | head -c 100000000; echo the-end; sleep 600',
    )
    await new Promise((resolve) => setTimeout(resolve, 3000))
    assert.equal(await docker('inspect', '-f', '{{.State.Running}}', 'chatter'), 'true')
    const log = await attempt('logs', '--tail', '3', 'chatter')
    assert.equal(log.code, 0, log.stderr)
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
