import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { describe } from '../harness/command.ts'
import { until } from '../harness/until.ts'
import type { Compose } from './compose-project.ts'

/** A project's life from `up` to `down -v`, as its user sees it. The steps build on one another. */
export async function composeScenario(t: TestContext, compose: Compose): Promise<void> {
  const { server, project } = compose
  await t.test('up -d waits for the health of what is depended on', async () => {
    await compose.run('up', '-d')
    const ps = await server.docker('ps', '--format', '{{.Label "com.docker.compose.service"}} {{.Status}}')
    assert.deepEqual(
      ps
        .split('\n')
        .map((line) => line.replace(/Up .*? ?(\(healthy\))?$/, 'Up $1'))
        .sort(),
      ['cache Up ', 'db Up (healthy)', 'web Up '],
    )
  })
  await t.test('ps lists the services', () => listsServices(compose))
  await t.test('a published port serves the page', () => servesPage(compose))
  await t.test('services find one another by name and alias', () => findsNeighbours(compose))
  await t.test('options of the file reach the containers', () => keepsOptions(compose))
  await t.test('up again leaves what is unchanged as it is', async () => {
    const before = await compose.run('ps', '-q')
    await compose.run('up', '-d')
    assert.deepEqual((await compose.run('ps', '-q')).split('\n').sort(), before.split('\n').sort())
  })
  await t.test('one service is scaled to three, found under one name', () => scales(compose))
  await t.test('logs of one service and of all', () => showsLogs(compose))
  await t.test('a volume keeps its data when its container is recreated', () => keepsData(compose))
  await t.test('run gives a command its own container, and its exit code back', () => runsOnce(compose))
  // v1 links such a container to its own service.
  await t.test('run of a service that runs already reaches it by name', async () => {
    const query = ['db', '-h', 'db', '-U', 'postgres', '-Atc', 'SELECT 40 + 2']
    const asked = await compose.attempt('run', '--rm', '-T', '--entrypoint', 'psql', ...query)
    assert.deepEqual([asked.code, asked.stdout.trim()], [0, '42'], describe(query, asked))
  })
  await t.test('stop, start, restart, pause and kill', () => stopsAndStarts(compose))
  await t.test('down -v leaves nothing', async () => {
    await compose.run('down', '-v', '-t', '2')
    const label = `label=com.docker.compose.project=${project}`
    assert.equal(await server.docker('ps', '-aq', '--filter', label), '')
    assert.equal(await server.docker('network', 'ls', '-q', '--filter', label), '')
    assert.equal(await server.docker('volume', 'ls', '-q', '--filter', label), '')
  })
}

async function listsServices(compose: Compose): Promise<void> {
  const names = (await compose.run('ps', '--services')).split('\n').sort()
  // v1 names all of the file, v2 those that run.
  assert.deepEqual(
    names.filter((name) => name !== 'job'),
    ['cache', 'db', 'web'],
  )
  assert.match(await compose.run('ps'), /healthy/)
  assert.equal((await compose.run('ps', '-q', 'web')).split('\n').length, 1)
  assert.match(await compose.run('top', 'cache'), /redis-server/)
  assert.match(await compose.run('images'), /127\.0\.0\.1:5000\/web/)
}

async function servesPage(compose: Compose): Promise<void> {
  const address = await compose.run('port', 'web', '80')
  assert.match(address, /^0\.0\.0\.0:\d+$/)
  const url = `http://127.0.0.1:${address.split(':')[1]}/`
  const page = await compose.server.run(['curl', '-sS', '-m', '60', url], { check: true })
  assert.equal(page.stdout, 'the web service\n')
}

async function findsNeighbours(compose: Compose): Promise<void> {
  assert.equal(await compose.exec('web', 'wget', '-qO-', 'http://web/'), 'the web service')
  for (const name of ['cache', 'store'])
    assert.match(
      await compose.exec('web', 'sh', '-c', `printf 'PING\\r\\nQUIT\\r\\n' | nc ${name} 6379`),
      /\+PONG/,
    )
  assert.equal(await compose.exec('cache', 'redis-cli', '-h', 'store', 'ping'), 'PONG')
  assert.match(await compose.exec('web', 'nslookup', 'db'), /Name:\s+db/)
}

async function keepsOptions(compose: Compose): Promise<void> {
  assert.equal(await compose.exec('web', 'sh', '-c', 'echo $GREETING'), 'hello from the shop')
  assert.match(await compose.exec('web', 'cat', '/etc/hosts'), /^10\.9\.8\.7\s+legacy\.example$/m)
  const limits = 'ulimit -n; cat /proc/sys/net/core/somaxconn; grep CapEff /proc/self/status'
  const [files, backlog, capabilities] = (await compose.exec('cache', 'sh', '-c', limits)).split('\n')
  assert.deepEqual(
    [files, backlog, capabilities?.replace(/\s+/, ' ')],
    ['2048', '777', 'CapEff: 0000000000000000'],
  )
  const refused = await compose.attempt('exec', '-T', 'cache', 'touch', '/etc/no')
  // v1 prints both streams of a command on its standard output.
  assert.match(refused.stdout + refused.stderr, /Read-only file system/)
  await compose.exec('cache', 'touch', '/data/yes')
  const id = await compose.run('ps', '-q', 'cache')
  const format =
    '{{.HostConfig.Memory}} {{.Config.Labels.kind}} {{index .HostConfig.LogConfig.Config "max-size"}}'
  assert.equal(await compose.server.docker('inspect', '-f', format, id), '67108864 cache 1m')
}

async function scales(compose: Compose): Promise<void> {
  await compose.run('up', '-d', '--scale', 'web=3', '--no-recreate')
  const ids = (await compose.run('ps', '-q', 'web')).split('\n')
  assert.equal(ids.length, 3)
  const addresses = (await compose.exec('db', 'sh', '-c', "nslookup web | sed -n '/^Name/,$p'"))
    .split('\n')
    .filter((line) => line.startsWith('Address'))
  assert.equal(new Set(addresses).size, 3, addresses.join(', '))
  const hosts = ids.map((id) => id.slice(0, 12))
  for (const index of ['1', '2', '3']) {
    const host = await compose.run('exec', '-T', '--index', index, 'web', 'hostname')
    assert.ok(hosts.includes(host), `${host} is one of ${hosts.join(' ')}`)
  }
  await compose.run('up', '-d', '--scale', 'web=1', '--no-recreate', '-t', '2')
  assert.equal((await compose.run('ps', '-q', 'web')).split('\n').length, 1)
}

async function showsLogs(compose: Compose): Promise<void> {
  const db = await compose.run('logs', '--no-color', 'db')
  assert.match(db, /database system is ready to accept connections/)
  assert.doesNotMatch(db, /Ready to accept connections tcp|cache/)
  const all = await compose.run('logs', '--no-color', '--timestamps')
  assert.match(all, /^db.*\| \d{4}-\d\d-\d\dT\S+Z .*database system is ready/m)
  assert.match(all, /^cache.*\| .*Ready to accept connections/m)
  const tail = await compose.run('logs', '--no-color', '--tail', '1', 'cache')
  assert.equal(tail.split('\n').filter((line) => line.startsWith('cache')).length, 1)
}

async function keepsData(compose: Compose): Promise<void> {
  const sql = (text: string) => compose.exec('db', 'psql', '-h', '127.0.0.1', '-U', 'postgres', '-Atc', text)
  await sql("CREATE TABLE kept AS SELECT 'still here' AS word")
  const before = await compose.run('ps', '-q', 'db')
  await compose.run('up', '-d', '--force-recreate', '--no-deps', 'db')
  assert.notEqual(await compose.run('ps', '-q', 'db'), before)
  await until('the database to be healthy', async () => {
    const id = await compose.run('ps', '-q', 'db')
    return (await compose.server.docker('inspect', '-f', '{{.State.Health.Status}}', id)) === 'healthy'
  })
  assert.equal(await sql('SELECT word FROM kept'), 'still here')
}

async function runsOnce(compose: Compose): Promise<void> {
  // v1 tells of its pull there, too.
  assert.match(await compose.run('run', '--rm', '-T', 'job'), /^read from the host$/m)
  const failed = await compose.attempt('run', '--rm', '-T', '--no-deps', 'job', 'sh', '-c', 'exit 7')
  assert.equal(failed.code, 7)
  const label = 'label=com.docker.compose.oneoff=True'
  assert.equal(await compose.server.docker('ps', '-aq', '--filter', label), '')
}

async function stopsAndStarts(compose: Compose): Promise<void> {
  const state = async () => {
    const id = await compose.run('ps', '-a', '-q', 'cache').catch(() => compose.run('ps', '-q', 'cache'))
    return compose.server.docker('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', id)
  }
  await compose.run('pause', 'cache')
  assert.equal(await state(), 'paused 0')
  await compose.run('unpause', 'cache')
  await compose.run('stop', '-t', '60', 'cache')
  assert.equal(await state(), 'exited 0')
  await compose.run('start', 'cache')
  assert.equal(await state(), 'running 0')
  await compose.run('restart', '-t', '60', 'cache')
  assert.equal(await compose.exec('cache', 'redis-cli', 'ping'), 'PONG')
  await compose.run('kill', 'cache')
  await until('the cache to be gone', async () => (await state()) === 'exited 137')
  await compose.run('rm', '-f', 'cache')
  assert.equal(await compose.run('ps', '-q', 'cache'), '')
  await compose.run('up', '-d', '--no-deps', 'cache')
}
