/** Bad input through the front door: a clear message and status, nothing lost, and the engine goes on. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { callApi, type ApiAnswer } from '../harness/call-api.ts'
import { command } from '../harness/command.ts'
import { tarOf, type Member } from '../harness/oci-layout.ts'
import { missing } from '../harness/requirement.ts'
import { startWorld, type EngineWorld } from './engine-world.ts'

const needs = missing('docker', 'docker-registry', 'skopeo', 'busybox', 'nft', 'ip')
const NUL = '\u0000'

/** [method, path, body, statuses that are right] */
type Row = readonly [method: string, path: string, body: unknown, status: readonly number[]]
const CREATE = '/v1.45/containers/create'
const create = (body: unknown): Row => ['POST', CREATE, body, [400]]
const host = (HostConfig: unknown): Row => create({ Image: 'busybox', HostConfig })

const ROWS: readonly Row[] = [
  create('{"Image": '),
  create('[]'),
  create('null'),
  create('"busybox"'),
  create('{"Image": "busybox"} trailing'),
  create(`{"Image": "${NUL}"}`),
  create(Buffer.from([0x7b, 0xff, 0xfe, 0x7d])),
  create({ Image: 7 }),
  create({ Image: 'busybox', Cmd: [1, 2] }),
  create({ Image: 'busybox', Cmd: [`a${NUL}b`] }),
  create({ Image: 'busybox', Env: ['A\u0000B=c'] }),
  create({ Image: 'busybox', Env: { A: 'b' } }),
  create({ Image: 'busybox', Labels: ['a'] }),
  create({ Image: 'busybox', WorkingDir: 'relative' }),
  create({ Image: 'busybox', StopSignal: 'SIGNONSENSE' }),
  create({ Image: 'busybox', Hostname: `${'a'.repeat(300)}` }),
  create({ Image: 'busybox', Hostname: 'a\nb' }),
  create({ Image: 'busybox', Healthcheck: { Interval: -1 } }),
  create({ Image: '../../etc/passwd' }),
  create({ Image: 'BUSYBOX' }),
  host({ Memory: -1 }),
  host({ Memory: 1 }),
  host({ Memory: 1e30 }),
  host({ NanoCpus: -5 }),
  host({ CpusetCpus: '0-999999' }),
  host({ CpusetCpus: '../../x' }),
  host({ CpuShares: -1 }),
  host({ PidsLimit: 'many' }),
  host({ OomScoreAdj: 5000 }),
  host({ Binds: ['/a'.repeat(3000) + ':/b'] }),
  host({ Binds: ['relative/../path:/b'] }),
  host({ Binds: ['/tmp:/a/../../..'] }),
  host({ Binds: [`/tmp${NUL}:/a`] }),
  host({ Mounts: [{ Type: 'bind', Source: '/nonexistent-dwt', Target: '/x' }] }),
  host({ Mounts: [{ Type: 'nonsense', Target: '/x' }] }),
  host({ Tmpfs: { relative: '' } }),
  host({ PortBindings: { '80/tcp': [{ HostPort: '99999' }] } }),
  host({ PortBindings: { '80/tcp': [{ HostPort: '-1' }] } }),
  host({ PortBindings: { '80/tcp': [{ HostIp: 'not an ip', HostPort: '8093' }] } }),
  host({ RestartPolicy: { Name: 'sometimes' } }),
  host({ CapAdd: ['NONSENSE'] }),
  host({ SecurityOpt: ['seccomp={"defaultAction":"NONSENSE"}'] }),
  host({ SecurityOpt: ['seccomp=not json'] }),
  host({ Ulimits: [{ Name: 'nonsense', Soft: 1, Hard: 1 }] }),
  host({ Sysctls: { 'net/../../kernel/core_pattern': '|/tmp/x' } }),
  host({ Sysctls: { 'kernel.core_pattern': '|/tmp/x' } }),
  host({ CgroupParent: '../../../..' }),
  host({ Devices: [{ PathOnHost: '/dev/null', PathInContainer: 'relative', CgroupPermissions: 'xyz' }] }),
  host({ ExtraHosts: ['no-colon'] }),
  host({ ExtraHosts: ['a:1.2.3.4\n6.6.6.6 host'] }),
  host({ Dns: ['not an address'] }),
  host({ LogConfig: { Type: 'json-file', Config: { 'max-size': 'lots' } } }),
  host({ VolumesFrom: ['no-such-container'] }),
  host({ PidMode: 'container:no-such-container' }),
  host({ IpcMode: 'container:no-such-container' }),
  ['POST', CREATE, { Image: 'busybox', HostConfig: { NetworkMode: 'container:' } }, [400, 404]],
  ['POST', `${CREATE}?name=..%2F..%2Fetc`, { Image: 'busybox' }, [400]],
  ['POST', `${CREATE}?name=a%00b`, { Image: 'busybox' }, [400]],
  ['POST', `${CREATE}?platform=nonsense/x/y/z`, { Image: 'busybox' }, [400, 404]],
  ['GET', '/v1.45/containers/..%2f..%2f..%2fetc%2fpasswd/json', undefined, [400, 404]],
  ['GET', '/v1.45/containers/../../../etc/passwd', undefined, [400, 404]],
  ['GET', '/v1.45/containers/%00/json', undefined, [400, 404]],
  ['GET', '/v1.45/containers/%ff%fe/json', undefined, [400, 404]],
  ['GET', '/v1.45/images/..%2f..%2fetc/json', undefined, [400, 404]],
  ['GET', '/v1.45/volumes/..%2f..%2fetc', undefined, [400, 404]],
  ['DELETE', '/v1.45/volumes/..', undefined, [400, 404]],
  ['DELETE', '/v1.45/volumes/..%2f..%2fcontainers', undefined, [400, 404]],
  ['POST', '/v1.45/volumes/create', { Name: '../../escape' }, [400]],
  ['POST', '/v1.45/volumes/create', { Name: 'dwtbad', Driver: 'nonsense' }, [400, 404, 500]],
  ['POST', '/v1.45/networks/create', { Name: '../x' }, [400]],
  [
    'POST',
    '/v1.45/networks/create',
    { Name: 'dwtbad', IPAM: { Config: [{ Subnet: 'not a subnet' }] } },
    [400],
  ],
  ['GET', '/v1.45/containers/json?filters=%7B', undefined, [400]],
  ['GET', '/v1.45/containers/json?filters=%5B1%5D', undefined, [400]],
  ['GET', '/v1.45/containers/json?limit=99999999999999999999', undefined, [400]],
  ['GET', '/v1.45/events?since=yesterday', undefined, [400]],
  ['GET', '/v1.45/nonsense', undefined, [404]],
  ['PUT', '/v1.45/containers/json', undefined, [404, 405]],
  ['POST', '/v1.45/images/create?fromImage=', undefined, [400]],
  ['POST', '/v1.45/images/create?fromImage=UPPER', undefined, [400]],
  ['POST', '/v1.45/images/create?fromImage=a&tag=../../b', undefined, [400]],
  ['POST', '/v1.45/images/busybox/tag?repo=..%2Fx', undefined, [400]],
  ['POST', '/v1.45/auth', '{"username": 5}', [400]],
  ['GET', '/v0/info', undefined, [400, 404]],
  ['GET', '/vNaN/info', undefined, [400, 404]],
]

describe('bad input', { skip: needs, concurrency: 1 }, () => {
  let world: EngineWorld
  let empty: ReadonlySet<string>

  before(async () => {
    world = await startWorld('bad')
    empty = await world.settled()
  })
  after(async () => world[Symbol.asyncDispose]())
  // A test that ended the engine has failed for that already; the others get a new one.
  beforeEach(async () => {
    if (!world.server.process.running()) await world.restart()
  })
  afterEach(() =>
    assert.ok(world.server.process.running(), `the engine has ended:\n${world.server.process.log()}`),
  )

  /** What is found is told once, not by every test after it. */
  async function assertNothingLeft(): Promise<void> {
    const left = await world.difference(empty)
    if (left.length > 0) empty = await world.traces()
    assert.deepEqual(left, [])
  }

  for (const [method, path, body, statuses] of ROWS)
    test(`${method} ${path.slice(0, 60)} ${title(body)} is refused`, async () => {
      const first = await callApi(world.server.socket, method, path, body, { timeout: 60_000 })
      // As with dockerd, some things are only seen to be wrong at the start.
      const answer = first.status === 201 && path.startsWith(CREATE) ? await startAndRemove(first) : first
      assert.ok(
        answer === first ? statuses.includes(answer.status) : answer.status >= 400,
        `status ${answer.status}: ${answer.text.slice(0, 300)}`,
      )
      const message = (answer.json as { readonly message?: unknown } | undefined)?.message
      assert.equal(typeof message, 'string', `no message: ${answer.text.slice(0, 300)}`)
      assert.notEqual(message, '')
      assert.doesNotMatch(String(message), /\bat .*\.js:\d+|undefined|\[object|ZodError|TypeError/)
    })

  async function startAndRemove({ json }: ApiAnswer): Promise<ApiAnswer> {
    const { Id } = json as { readonly Id: string }
    const started = await world.server.api('POST', `/containers/${Id}/start`)
    await world.server.api('DELETE', `/containers/${Id}?force=1&v=1`)
    return started
  }

  test('none of it has left anything', async () => {
    await assertNothingLeft()
  })

  test('a body of 200 MB is refused or dropped without taking the engine’s memory', async () => {
    const pid = world.server.process.pid
    const before = await rss(pid)
    const result = await world.server.run(
      [
        'sh',
        '-c',
        `(printf '{"Image":"'; head -c 200000000 /dev/zero | tr '\\0' a; printf '"}') | curl -s -m 60 --unix-socket '${world.server.socket}' -H 'Content-Type: application/json' -X POST --data-binary @- http://d${CREATE} -w '\\n%{http_code}\\n' -o /dev/null`,
      ],
      { timeout: 90_000 },
    )
    assert.match(result.stdout.trim(), /^(400|413|000)$/)
    const grown = (await rss(pid)) - before
    assert.ok(grown < 150_000, `the engine grew by ${grown} kB`)
  })

  test('JSON that is nested a million deep is refused', async () => {
    const depth = 1_000_000
    const body = `{"Image":"busybox","Labels":${'['.repeat(depth)}${']'.repeat(depth)}}`
    const answer = await callApi(world.server.socket, 'POST', CREATE, body)
    assert.ok([400, 413].includes(answer.status), String(answer.status))
  })

  for (const [name, bytes] of [
    ['garbage', '\u0016\u0003\u0001garbage\r\n\r\n'],
    ['a request line without end', `GET /${'a'.repeat(200_000)}`],
    ['endless headers', `GET /_ping HTTP/1.1\r\nHost: d\r\n${'X-A: b\r\n'.repeat(20_000)}\r\n`],
    [
      'two lengths',
      'POST /_ping HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nabcde',
    ],
    [
      'a length and chunks',
      `POST ${CREATE} HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      'a bad chunk',
      `POST ${CREATE} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n`,
    ],
    [
      'an upgrade to nonsense',
      'POST /v1.45/containers/x/attach HTTP/1.1\r\nHost: d\r\nUpgrade: nonsense\r\nConnection: Upgrade\r\n\r\n',
    ],
    ['half a request, then nothing', `POST ${CREATE} HTTP/1.1\r\nHost: d\r\nContent-Length: 100\r\n\r\n{`],
  ] as const)
    test(`${name} on the socket does no harm`, async () => {
      await sendRaw(world.server.socket, bytes)
      const ping = await callApi(world.server.socket, 'GET', '/_ping', undefined, { timeout: 60_000 })
      assert.equal(ping.status, 200)
    })

  test('a thousand idle connections do not keep others out', async () => {
    const idle = Array.from({ length: 1000 }, () => connect(world.server.socket))
    for (const socket of idle) socket.on('error', () => undefined)
    assert.equal(
      (await callApi(world.server.socket, 'GET', '/_ping', undefined, { timeout: 60_000 })).status,
      200,
    )
    for (const socket of idle) socket.destroy()
  })

  test('a create that is refused after its volumes were made leaves none of them, and each that has a name', async () => {
    const before = await world.server.docker('volume', 'ls', '-q')
    const volumes = [
      { Type: 'volume', Target: '/a' },
      { Type: 'volume', Source: 'named', Target: '/b' },
    ]
    const bind = { Type: 'bind', Source: '/nonexistent-dwt', Target: '/x' }
    const body = { Image: 'busybox', HostConfig: { Mounts: [...volumes, bind] } }
    assert.equal((await callApi(world.server.socket, 'POST', CREATE, body)).status, 400)
    await world.server.docker('volume', 'rm', 'named')
    assert.equal(await world.server.docker('volume', 'ls', '-q'), before)
  })

  test('clients that go away in the middle of run, logs, events and pull do no harm', async () => {
    await world.server.docker(
      'run',
      '-d',
      '--name',
      'stays',
      'busybox',
      'sh',
      '-c',
      'while :; do echo x; done',
    )
    for (const argv of [
      ['logs', '-f', 'stays'],
      ['attach', 'stays'],
      ['exec', 'stays', 'sleep', '30'],
      ['events'],
      ['stats', 'stays'],
      ['pull', '127.0.0.1:5000/layers3'],
    ])
      await world.server.run(['timeout', '-s', 'KILL', '0.4', 'docker', ...argv], { timeout: 60_000 })
    const script =
      'docker run --name cut busybox sleep 30 & until docker inspect cut >/dev/null; do sleep 0.05; done; kill -9 $!; wait'
    await world.server.run(['sh', '-c', script], { timeout: 60_000 })
    assert.equal(await world.server.docker('exec', 'stays', 'echo', 'fine'), 'fine')
    await world.server.docker('rm', '-f', 'stays', 'cut')
    await world.server.run(['docker', 'pull', '-q', '127.0.0.1:5000/layers3'])
    await world.server.docker('rmi', '127.0.0.1:5000/layers3')
    await assertNothingLeft()
  })

  for (const [name, members] of hostileLayers('/tmp/dwt-canary'))
    test(`an import with ${name} touches nothing outside`, async () => {
      const canary = join(world.folder, 'canary')
      await command(['sh', '-c', `rm -rf '${canary}'; mkdir '${canary}'; echo untouched >'${canary}/file'`], {
        check: true,
      })
      const real = members.map(
        (member) => JSON.parse(JSON.stringify(member).replaceAll('/tmp/dwt-canary', canary)) as Member,
      )
      const result = await world.server.run(['sh', '-c', 'docker import - bad:1'], {
        input: await tarOf(real),
        timeout: 20_000,
      })
      assert.equal(result.timedOut, false)
      assert.equal(await readFile(join(canary, 'file'), 'utf8'), 'untouched\n')
      if (result.code !== 0) assert.match(result.stderr, /\w{4,}/)
      else await world.server.docker('rmi', 'bad:1')
      await command(['rm', '-rf', canary])
      await assertNothingLeft()
    })

  for (const [name, bytes] of [
    [
      'cut',
      async () =>
        gzipSync(await tarOf([{ name: 'a', content: Buffer.alloc(100_000, 'abcdefg') }])).subarray(0, 150),
    ],
    [
      'damaged',
      async () => gzipSync(await tarOf([{ name: 'a', content: 'x'.repeat(9999) }])).fill(7, 40, 60),
    ],
    ['empty', async () => Buffer.alloc(0)],
  ] as const)
    test(`an import that is ${name} is refused and leaves nothing`, async () => {
      const result = await world.server.run(['docker', 'import', '-', 'bad:2'], {
        input: await bytes(),
        timeout: 20_000,
      })
      if (name !== 'empty') assert.notEqual(result.code, 0)
      if (result.code === 0) await world.server.docker('rmi', 'bad:2')
      await assertNothingLeft()
    })
})

function title(body: unknown): string {
  if (body === undefined) return ''
  const text =
    typeof body === 'string' ? body : Buffer.isBuffer(body) ? body.toString('latin1') : JSON.stringify(body)
  return JSON.stringify(text).slice(0, 90)
}

async function rss(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1])
}

/** Writes bytes and waits a moment for an answer or the end; what comes is not judged. */
async function sendRaw(path: string, bytes: string): Promise<void> {
  const socket = connect(path)
  await new Promise<void>((resolve) => {
    socket.on('error', () => resolve())
    socket.on('close', () => resolve())
    socket.on('data', () => resolve())
    socket.setTimeout(1500, () => resolve())
    socket.write(bytes)
  })
  socket.destroy()
}

function hostileLayers(canary: string): readonly (readonly [string, readonly Member[]])[] {
  const up = '../'.repeat(20)
  const link = (name: string, linkname: string): Member => ({ name, type: 'symlink', linkname })
  return [
    ['..', [{ name: `${up}${canary.slice(1)}/file`, content: 'changed' }]],
    ['.. in the middle', [{ name: `a/${up}${canary.slice(1)}/file`, content: 'changed' }]],
    ['an absolute name', [{ name: `${canary}/file`, content: 'changed' }]],
    ['a symlink and a file through it', [link('out', canary), { name: 'out/file', content: 'changed' }]],
    [
      'a relative symlink and a file through it',
      [link('out', `${up}${canary.slice(1)}`), { name: 'out/file', content: 'changed' }],
    ],
    [
      'a chain of symlinks',
      [link('a', '..'), link('b', 'a/..'), { name: `b/${up}${canary.slice(1)}/file`, content: 'changed' }],
    ],
    [
      'a hard link to the host',
      [
        { name: 'h', type: 'link', linkname: `${canary}/file` },
        { name: 'h', content: 'changed' },
      ],
    ],
    [
      'a hard link through a symlink',
      [
        link('out', canary),
        { name: 'h', type: 'link', linkname: 'out/file' },
        { name: 'h', content: 'changed' },
      ],
    ],
    [
      'a whiteout of a parent',
      [
        { name: '.wh..', content: '' },
        { name: 'a/.wh...', content: '' },
      ],
    ],
    ['a whiteout through a symlink', [link('out', canary), { name: 'out/.wh.file', content: '' }]],
    ['an opaque marker through a symlink', [link('out', canary), { name: 'out/.wh..wh..opq', content: '' }]],
    [
      'a symlink replaced by a folder',
      [
        link('out', canary),
        { name: 'out/', type: 'directory', mode: 0o777 },
        { name: 'out/file', content: 'changed' },
      ],
    ],
    [
      'a device and a write to it',
      [
        { name: 'd', type: 'block-device', devmajor: 254, devminor: 0 },
        { name: 'd', content: 'changed' },
      ],
    ],
    [
      'a FIFO and a write to it',
      [
        { name: 'p', type: 'fifo' },
        { name: 'p', content: 'changed' },
      ],
    ],
    ['the root as a symlink', [link('.', canary), { name: 'file', content: 'changed' }]],
    ['a name with a line break', [{ name: 'a\nb', content: 'x' }]],
    ['a very deep path', [{ name: `${'d/'.repeat(3000)}f`, content: 'x' }]],
    ['a component that is too long', [{ name: 'x'.repeat(300), content: 'x' }]],
  ]
}
