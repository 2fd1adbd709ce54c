/** Containers through the raw API: what lists, logs and inspects show that is easy to get wrong. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { command } from '../harness/command.ts'
import { removeAllContainers } from '../harness/server.ts'
import { until } from '../harness/until.ts'
import { create, expectStatus, finish, inspect, run, skip, startLive, type Live } from './live.ts'

let live: Live

const state = async (id: string): Promise<Record<string, unknown>> =>
  (await inspect(live.server, id))['State'] as Record<string, unknown>
const get = (path: string) => live.server.api('GET', path)
const filters = (map: object) => `filters=${encodeURIComponent(JSON.stringify(map))}`

async function listed(map: object): Promise<string[]> {
  const { json } = expectStatus(await get(`/containers/json?all=1&${filters(map)}`), 200)
  assert.ok(Array.isArray(json))
  return json.map((row) => String(Reflect.get(Object(row), 'Names')).slice(1)).toSorted()
}

describe('containers', { skip, concurrency: 1 }, () => {
  before(async () => {
    live = await startLive('containers')
  })
  after(async () => live[Symbol.asyncDispose]())

  test('logs with details puts the attributes of the log options before each line', async () => {
    const LogConfig = { Type: 'json-file', Config: { labels: 'k', env: 'A', tag: '{{.Name}}' } }
    const { id } = await finish(live.server, {
      Cmd: ['sh', '-c', 'echo out; echo "a \\"quoted\\" one"'],
      Labels: { k: 'v w', unasked: '1' },
      Env: ['A=1'],
      HostConfig: { LogConfig },
    })
    const { Name } = await inspect(live.server, id)
    const attributes = `A=1,k=v+w,tag=${String(Name).slice(1)}`
    const shown = await live.server.docker('logs', '--details', id)
    assert.equal(shown, `${attributes} out\n${attributes} a "quoted" one`)
    const stamped = await live.server.docker('logs', '--details', '-t', '-n', '1', id)
    assert.match(stamped, new RegExp(`^\\d{4}-[^ ]+Z ${attributes.replaceAll('+', '\\+')} a `))
    const plain = await finish(live.server, { Cmd: ['echo', 'x'] })
    assert.equal((await live.server.run(['docker', 'logs', '--details', plain.id])).stdout, ' x\n')
  })

  test('a container has /.dockerenv and /etc/mtab, which are no change of its own', async () => {
    const { output, id } = await finish(live.server, {
      Cmd: ['sh', '-c', 'ls -A /.dockerenv; readlink /etc/mtab; head -n1 /etc/mtab | cut -d" " -f2'],
    })
    assert.equal(output, '/.dockerenv\n/proc/mounts\n/\n')
    assert.equal((await get(`/containers/${id}/changes`)).text, 'null\n')
  })

  test('a tmpfs keeps the mode of the folder it covers', async () => {
    const { output } = await finish(live.server, {
      Cmd: ['stat', '-c', '%a', '/root', '/etc', '/new', '/given'],
      HostConfig: { Tmpfs: { '/root': '', '/etc': '', '/new': '', '/given': 'mode=750' } },
    })
    const before = await finish(live.server, { Cmd: ['stat', '-c', '%a', '/root', '/etc'] })
    assert.equal(output, `${before.output}1777\n750\n`)
  })

  test('inspect lists a tmpfs of Mounts, and none of Tmpfs', async () => {
    const id = await create(live.server, {
      HostConfig: { Mounts: [{ Type: 'tmpfs', Target: '/m' }], Tmpfs: { '/t': '' } },
    })
    const shown = (await inspect(live.server, id))['Mounts']
    const entry = { Type: 'tmpfs', Source: '', Destination: '/m', Mode: '', RW: true, Propagation: '' }
    assert.deepEqual(shown, [entry])
  })

  test('inspect keeps the end of the last run while the next one goes on', async () => {
    const { id } = await finish(live.server, { Cmd: ['sh', '-c', 'test -e /f && sleep 99; touch /f'] })
    const ended = (await state(id))['FinishedAt']
    expectStatus(await live.server.api('POST', `/containers/${id}/start`), 204)
    assert.deepEqual([(await state(id))['Running'], (await state(id))['FinishedAt']], [true, ended])
  })

  test('an empty command is a command that is not found', async () => {
    const run = await live.server.run(['docker', 'run', '--rm', 'busybox', ''])
    assert.equal(run.code, 127)
    assert.match(run.stderr, /exec: "": executable file not found in \$PATH/)
  })

  test('list has every filter', async () => {
    const { server } = live
    await removeAllContainers(server)
    const one = await server.docker(
      'create',
      '--name',
      'f-one',
      '-l',
      'k=1',
      '--expose',
      '81',
      '-v',
      'fvol:/data',
      'busybox',
      'true',
    )
    const two = await server.docker(
      'run',
      '-d',
      '--name',
      'f-two',
      '-l',
      'k=2',
      '-p',
      '8182:82',
      '--network',
      'bridge',
      'busybox',
      'sleep',
      '99',
    )
    const three = await server.docker(
      'run',
      '--name',
      'f-three',
      '--network',
      'none',
      '--health-cmd',
      'true',
      '-d',
      'busybox',
      'sh',
      '-c',
      'exit 7',
    )
    expectStatus(await server.api('POST', `/containers/${three}/wait`), 200)
    assert.deepEqual(await listed({ ancestor: ['busybox'] }), ['f-one', 'f-three', 'f-two'])
    assert.deepEqual(await listed({ ancestor: ['nosuch'] }), [])
    assert.deepEqual(await listed({ before: ['f-two'] }), ['f-one'])
    assert.deepEqual(await listed({ since: [two] }), ['f-three'])
    assert.deepEqual(await listed({ expose: ['81/tcp'] }), ['f-one'])
    assert.deepEqual(await listed({ publish: ['8182'] }), ['f-two'])
    assert.deepEqual(await listed({ exited: ['7'] }), ['f-three'])
    assert.deepEqual(await listed({ id: [one.slice(0, 8)] }), ['f-one'])
    assert.deepEqual(await listed({ 'is-task': ['true'] }), [])
    assert.deepEqual(await listed({ label: ['k'] }), ['f-one', 'f-two'])
    assert.deepEqual(await listed({ label: ['k=2'] }), ['f-two'])
    assert.deepEqual(await listed({ name: ['^/f-(one|two)$'] }), ['f-one', 'f-two'])
    assert.deepEqual(await listed({ name: ['^(f+)+$x'] }), [])
    assert.deepEqual(await listed({ network: ['none'] }), ['f-three'])
    assert.deepEqual(await listed({ status: ['created', 'running'] }), ['f-one', 'f-two'])
    assert.deepEqual(await listed({ volume: ['fvol'] }), ['f-one'])
    assert.deepEqual(await listed({ volume: ['/data'] }), ['f-one'])
    assert.deepEqual(await listed({ health: ['none'] }), ['f-one', 'f-two'])
    for (const bad of [
      { nosuch: ['1'] },
      { status: ['x'] },
      { exited: ['x'] },
      { health: ['x'] },
      { publish: ['x'] },
      { before: ['x'] },
      { 'is-task': ['x'] },
    ]) {
      const { status, text } = await get(`/containers/json?all=1&${filters(bad)}`)
      assert.ok(status === 400 || status === 404, `${JSON.stringify(bad)}: ${status} ${text}`)
    }
    const limited = expectStatus(await get('/containers/json?limit=2&size=1'), 200).json
    assert.ok(Array.isArray(limited) && limited.length === 2)
    assert.ok(Reflect.get(Object(limited[0]), 'SizeRootFs') > 1000)
  })

  test('restart waits 100 ms and twice as long each time; a stop ends it', async () => {
    const since = Math.floor(Date.now() / 1000)
    const id = await run(live.server, {
      Cmd: ['false'],
      HostConfig: { RestartPolicy: { Name: 'always' }, NetworkMode: 'none' },
    })
    await until('five restarts', async () => Number((await inspect(live.server, id))['RestartCount']) >= 5)
    expectStatus(await live.server.api('POST', `/containers/${id}/stop?t=0`), 204)
    const { Status, Restarting } = await state(id)
    assert.deepEqual([Status, Restarting], ['exited', false])
    const { text } = await get(
      `/events?since=${since}&until=${Math.floor(Date.now() / 1000) + 1}&${filters({ container: [id], event: ['start', 'die'] })}`,
    )
    const events = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly Action: string; readonly timeNano: number })
    const waits = events.flatMap((event, n) => {
      const before = events[n - 1]
      return event.Action === 'start' && before?.Action === 'die'
        ? [(event.timeNano - before.timeNano) / 1e6]
        : []
    })
    for (const [n, wait] of waits.entries())
      assert.ok(wait >= 100 * 2 ** n - 5, `wait ${n} was ${wait} ms of ${waits.join(', ')}`)
    assert.ok(waits.length >= 5)
  })

  test('events have the actions and attributes of dockerd', async () => {
    const since = Math.floor(Date.now() / 1000)
    const { server } = live
    const id = await run(server, {
      Cmd: ['cat'],
      Tty: true,
      OpenStdin: true,
      HostConfig: { NetworkMode: 'none' },
    })
    const post = (action: string) => server.api('POST', `/containers/${id}/${action}`)
    expectStatus(await post('resize?h=11&w=22'), 200)
    expectStatus(await get(`/containers/${id}/top`), 200)
    for (const action of ['pause', 'unpause', 'rename?name=ev-new']) expectStatus(await post(action), 204)
    expectStatus(await get(`/containers/${id}/archive?path=/etc/passwd`), 200)
    expectStatus(await get(`/containers/${id}/export`), 200)
    expectStatus(await server.api('POST', `/containers/${id}/update`, { PidsLimit: 9 }), 200)
    expectStatus(await post('kill'), 204)
    expectStatus(await server.api('DELETE', `/containers/${id}`), 204)
    const until = Math.floor(Date.now() / 1000) + 1
    const { text } = await get(`/events?since=${since}&until=${until}&${filters({ type: ['container'] })}`)
    const events = text
      .trim()
      .split('\n')
      .map(
        (line) =>
          JSON.parse(line) as {
            readonly Action: string
            readonly Actor: { readonly ID: string; readonly Attributes: object }
          },
      )
      .filter(({ Actor }) => Actor.ID === id)
    const actions = [
      'create',
      'start',
      'resize',
      'top',
      'pause',
      'unpause',
      'rename',
      'archive-path',
      'export',
      'update',
      'kill',
      'die',
      'destroy',
    ]
    assert.deepEqual(
      events.map(({ Action }) => Action),
      actions,
    )
    const attributes = (action: string) =>
      events.find(({ Action }) => Action === action)?.Actor.Attributes ?? {}
    assert.equal(Reflect.get(attributes('create'), 'image'), 'busybox')
    assert.deepEqual(
      [Reflect.get(attributes('resize'), 'height'), Reflect.get(attributes('resize'), 'width')],
      ['11', '22'],
    )
    assert.match(String(Reflect.get(attributes('rename'), 'oldName')), /^\/\w+$/)
    assert.deepEqual(
      [Reflect.get(attributes('kill'), 'signal'), Reflect.get(attributes('die'), 'exitCode')],
      ['9', '137'],
    )
  })

  test('control groups that were made inside go with the end of the container', async () => {
    const { id, output, code } = await finish(live.server, {
      Cmd: ['sh', '-c', 'mkdir /sys/fs/cgroup/pids/inner 2>&1 || mkdir /sys/fs/cgroup/inner'],
      HostConfig: { Privileged: true },
    })
    assert.deepEqual([code, output], [0, ''])
    await until('the groups to be gone', async () => {
      const { stdout } = await command(['find', '/sys/fs/cgroup', '-type', 'd', '-path', `*${id}*`])
      return stdout === ''
    })
  })
})
