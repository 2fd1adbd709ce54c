/** kill -9 of the engine with twenty containers running: nobody notices, and the next engine has them all. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { missing } from '../harness/requirement.ts'
import { removeAllContainers } from '../harness/server.ts'
import { until } from '../harness/until.ts'
import { startWorld, type EngineWorld } from './engine-world.ts'

const needs = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'nft', 'ip', 'script', 'curl')
/** About a thousand numbered lines a second. */
const COUNT = 'BEGIN { while (1) { for (k = 0; k < 50; k++) print i++; fflush(); system("usleep 48000") } }'

describe('an engine that is killed', { skip: needs, concurrency: 1 }, () => {
  let world: EngineWorld
  let empty: ReadonlySet<string>

  before(async () => {
    world = await startWorld('crash')
    empty = await world.settled()
  })
  after(async () => world[Symbol.asyncDispose]())

  const docker = (...args: string[]) => world.server.docker(...args)
  const inspect = (name: string, field: string) => docker('inspect', '-f', `{{.${field}}}`, name)

  test('leaves twenty containers as they were, and the next one shows and controls them all', async () => {
    await docker('run', '-d', '--name', 'counter', 'busybox', 'awk', COUNT)
    await docker(
      'run',
      '-d',
      '--name',
      'web',
      '-p',
      '8090:80',
      'busybox',
      'sh',
      '-c',
      'echo page >/index.html; httpd -f -h /',
    )
    await docker('run', '-dit', '--name', 'shell', 'busybox', 'sh')
    for (let number = 0; number < 15; number++)
      await docker('run', '-d', '--name', `many${number}`, '-m', '64m', 'busybox', 'sleep', '3600')
    await using session = openExec(world, 'many0')
    await until('the exec to run', async () => (await docker('top', 'many0')).includes('sleep 3601'))
    const lasting = (await docker('ps', '--format', '{{.Names}}')).split('\n')
    const pids = new Map<string, string>()
    for (const name of lasting) pids.set(name, await inspect(name, 'State.Pid'))
    const sizeBefore = (await docker('logs', 'counter')).length
    // These two end while there is no engine.
    await docker('run', '-d', '--name', 'ends', 'busybox', 'sh', '-c', 'sleep 3; exit 7')
    await docker('run', '-d', '--name', 'again', '--restart', 'always', 'busybox', 'sh', '-c', 'sleep 3')
    assert.equal(lasting.length, 18)

    await world.server.crash()
    await sleep(4000)
    for (const [name, pid] of pids) assert.ok(existsSync(`/proc/${pid}`), `${name} has gone with the engine`)
    const page = await world.server.run(['curl', '-s', '-m', '60', '127.0.0.1:8090'])
    assert.equal(page.stdout.trim(), 'page', 'the published port serves without an engine')
    await world.restart()

    for (const [name, pid] of pids) assert.equal(await inspect(name, 'State.Pid'), pid, name)
    // On a slow machine the next engine may see it end.
    await until('its end', async () => (await inspect('ends', 'State.Status')) === 'exited')
    assert.equal(await inspect('ends', 'State.ExitCode'), '7')
    await until(
      'the container with --restart always',
      async () => Number(await inspect('again', 'RestartCount')) >= 1,
    )
    for (const name of lasting) assert.equal(await docker('exec', name, 'echo', name), name)
    assert.ok((await docker('top', 'many0')).includes('sleep 3601'), 'the process of the exec goes on')
    assert.equal(session.running(), false, 'its client has lost its connection')

    const log = await docker('logs', 'counter')
    assert.ok(log.length > sizeBefore)
    assertConsecutive(log)
    await controlAll()
    await removeAllContainers(world.server)
    assert.deepEqual(await world.difference(empty), [])
  })

  /** Each command once on containers of the engine before. */
  async function controlAll(): Promise<void> {
    await docker('pause', 'many1')
    assert.equal(await inspect('many1', 'State.Status'), 'paused')
    await docker('unpause', 'many1')
    await docker('stop', '-t', '1', 'many2')
    assert.equal(await inspect('many2', 'State.ExitCode'), '137')
    await docker('kill', 'many3')
    assert.equal(await docker('wait', 'many3'), '137')
    await docker('restart', '-t', '0', 'many4')
    assert.equal(await inspect('many4', 'State.Status'), 'running')
    await docker('rename', 'many5', 'renamed')
    await docker('update', '-m', '32m', '--memory-swap', '64m', 'renamed')
    await docker('rm', '-f', 'renamed')
    assert.match(
      await docker('stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}}', 'many6'),
      /^many6 1$/,
    )
    assert.equal(await docker('port', 'web', '80').then((text) => text.split('\n')[0]), '0.0.0.0:8090')
    const typed = await world.server.run(
      [
        'sh',
        '-c',
        '(sleep 0.5; echo "echo typed-$((40+2))"; echo exit) | script -qec "docker attach shell" /dev/null',
      ],
      { timeout: 60_000 },
    )
    assert.match(typed.stdout, /typed-42/)
    const follow = await world.server.run(['sh', '-c', 'docker logs -f --tail 5 counter | head -300'], {
      timeout: 60_000,
    })
    const followed = follow.stdout.trim()
    assert.equal(followed.split('\n').length, 300)
    assertConsecutive(followed, Number(followed.split('\n')[0]))
    await docker('stop', '-t', '0', 'again')
  }

  test('five times in a row loses no line of the log', async () => {
    await docker('run', '-d', '--name', 'counter', 'busybox', 'awk', COUNT)
    for (let times = 0; times < 5; times++) {
      await sleep(300)
      await world.crashAndRestart()
    }
    await docker('kill', 'counter')
    await docker('wait', 'counter')
    assertConsecutive(await docker('logs', 'counter'))
    await docker('rm', 'counter')
    assert.deepEqual(await world.difference(empty), [])
  })

  test('the order of the numbers would show a gap or a line told twice', () => {
    assert.throws(() => assertConsecutive('0\n1\n3'))
    assert.throws(() => assertConsecutive('0\n1\n1\n2'))
    assert.throws(() => assertConsecutive('0\n\n1'))
  })

  test('the order of the numbers would show that the beginning is lost, or all of it', () => {
    assert.throws(() => assertConsecutive('1\n2\n3'))
    assert.throws(() => assertConsecutive(''))
    assert.doesNotThrow(() => assertConsecutive('0'))
    assert.doesNotThrow(() => assertConsecutive('7\n8', 7))
  })
})

function assertConsecutive(log: string, first = 0): void {
  const lines = log.split('\n')
  const wrong = lines.findIndex((line, index) => line !== String(first + index))
  assert.equal(wrong, -1, `line ${wrong}: ${lines.slice(Math.max(0, wrong - 2), wrong + 3).join(' ')}`)
}

/** `docker exec -it NAME sleep 3601` on a terminal of its own. */
function openExec(world: EngineWorld, name: string) {
  const argv = [
    ...world.server.network.enter,
    'script',
    '-qec',
    `docker exec -it ${name} sleep 3601`,
    '/dev/null',
  ]
  const [program = '', ...args] = argv
  const env = { ...process.env, DOCKER_HOST: `unix://${world.server.socket}` }
  const child = spawn(program, args, { env, stdio: ['pipe', 'ignore', 'ignore'] })
  return {
    running: () => child.exitCode === null && child.signalCode === null,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
    },
  }
}
