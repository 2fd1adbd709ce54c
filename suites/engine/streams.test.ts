import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { DewarError } from '../../src/base/errors.ts'
import { until } from '../harness/until.ts'
import { rigForAll, skip, text, unframed } from './fixture.ts'

const { rig } = rigForAll()

const attach = { stream: true, stdin: true, stdout: true, stderr: true, logs: false }

test('attach before the start misses nothing, however short the run', { skip }, async () => {
  for (let n = 0; n < 20; n += 1) {
    const id = await rig().create({ cmd: ['echo', `short ${n}`] })
    const { stream } = await rig().engine.containers.attach(id, { ...attach, stdin: false })
    await rig().engine.containers.start(id)
    assert.equal(await unframed(stream), `short ${n}\n`)
  }
})

test('attach carries input to its half-close, and several clients see the same', { skip }, async () => {
  const id = await rig().create({ cmd: ['cat'], openStdin: true, stdinOnce: true, attachStdin: true })
  const one = await rig().engine.containers.attach(id, attach)
  const two = await rig().engine.containers.attach(id, { ...attach, stdin: false })
  await rig().engine.containers.start(id)
  const big = 'x'.repeat(200_000)
  one.stream.end(`${big}\n`)
  assert.deepEqual(await Promise.all([unframed(one.stream), unframed(two.stream)]), [`${big}\n`, `${big}\n`])
})

test('a client that leaves before the start does not hold the output back', { skip }, async () => {
  const id = await rig().create({ cmd: ['echo', 'there'] })
  const { stream } = await rig().engine.containers.attach(id, attach)
  stream.destroy()
  const over = await rig().engine.containers.wait(id, 'next-exit')
  await rig().engine.containers.start(id)
  await over.result
  assert.equal(await rig().logs(id), 'there\n')
})

test('attach ends when the start fails', { skip }, async () => {
  const id = await rig().create({ cmd: ['nosuch'] })
  const { stream } = await rig().engine.containers.attach(id, attach)
  await assert.rejects(rig().engine.containers.start(id))
  assert.equal(await text(stream), '')
})

test('attach with logs replays what was written and goes on', { skip }, async () => {
  for (let n = 0; n < 10; n += 1) {
    const id = await rig().create({ cmd: ['sh', '-c', 'echo before; read x; echo after'], openStdin: true })
    await rig().engine.containers.start(id)
    await until('it wrote', async () => (await rig().logs(id)).includes('before'))
    const { stream } = await rig().engine.containers.attach(id, { ...attach, logs: true })
    stream.write('go\n')
    assert.equal(await unframed(stream), 'before\nafter\n')
  }
})

// Where the log is read up to a moment rather than up to a place, lines of that moment come twice or not at all.
test('attach with logs loses and doubles nothing while output is flowing', { skip }, async () => {
  const last = 20_000
  const loop = `i=0; while [ $i -lt ${last} ]; do i=$((i+1)); echo $i; [ $((i%5)) = 0 ] && echo $i >&2; done; read x`
  const id = await rig().create({ cmd: ['sh', '-c', loop], openStdin: true })
  const { stream: input } = await rig().engine.containers.attach(id, {
    ...attach,
    stdout: false,
    stderr: false,
  })
  await rig().engine.containers.start(id)
  const all: Promise<[string, string]>[] = []
  for (let n = 0; n < 8; n += 1) {
    const both = [true, false].map(async (stdout) => {
      const only = { ...attach, stdin: false, stdout, stderr: !stdout, logs: true }
      return unframed((await rig().engine.containers.attach(id, only)).stream)
    })
    all.push(Promise.all(both).then(([out = '', err = '']) => [out, err]))
    const seen = (await rig().logs(id)).length
    await until('more is written', async () => (await rig().logs(id)).length > seen + 500 || seen > 100_000)
  }
  input.end('go\n')
  const numbers = Array.from({ length: last }, (_, n) => n + 1)
  const out = numbers.map((n) => `${n}\n`).join('')
  const err = numbers
    .filter((n) => n % 5 === 0)
    .map((n) => `${n}\n`)
    .join('')
  for (const [stdout, stderr] of await Promise.all(all)) {
    assert.ok(stdout === out, `stdout has ${stdout.length} bytes of ${out.length}`)
    assert.ok(stderr === err, `stderr has ${stderr.length} bytes of ${err.length}`)
  }
})

test(
  'attach with logs shows the line that has no end yet, with a terminal and without',
  { skip },
  async () => {
    for (const tty of [true, false]) {
      const cmd = ['sh', '-c', 'stty -echo 2>/dev/null; echo first; printf "name> "; read x; echo "hello $x"']
      const id = await rig().create({ cmd, tty, openStdin: true })
      const early = await rig().engine.containers.attach(id, { ...attach, stdin: false })
      let seen = ''
      early.stream.on('data', (chunk: Buffer) => (seen += chunk.toString()))
      await rig().engine.containers.start(id)
      await until('it asks', () => seen.includes('name> '))
      const { stream } = await rig().engine.containers.attach(id, { ...attach, logs: true })
      stream.write('you\n')
      const end = tty ? '\r\n' : '\n'
      assert.equal(await (tty ? text : unframed)(stream), `first${end}name> hello you${end}`)
    }
  },
)

test('attach with logs before a second start tells the first run and then the second', { skip }, async () => {
  const id = await rig().create({ cmd: ['sh', '-c', 'echo run'] })
  for (let runs = 1; runs <= 3; runs += 1) {
    const { stream } = await rig().engine.containers.attach(id, { ...attach, stdin: false, logs: true })
    await rig().engine.containers.start(id)
    assert.equal(await unframed(stream), 'run\n'.repeat(runs))
  }
  const only = { ...attach, stdin: false, stream: false, logs: true }
  assert.equal(await unframed((await rig().engine.containers.attach(id, only)).stream), 'run\n'.repeat(3))
})

test('attach with logs goes over rotated files', { skip }, async () => {
  const rotate = { logConfig: { type: 'json-file', config: { 'max-size': '4k', 'max-file': '90' } } }
  const id = await rig().create(
    { cmd: ['sh', '-c', 'seq 1 1000; read x; seq 1001 2000'], openStdin: true },
    rotate,
  )
  await rig().engine.containers.start(id)
  await until('it wrote', async () => (await rig().logs(id)).includes('1000\n'))
  const { stream } = await rig().engine.containers.attach(id, { ...attach, logs: true })
  stream.write('go\n')
  // All of the second half is written, and rotated, before the first byte is read.
  await until('it ended', async () => (await rig().engine.containers.inspect(id)).state.status === 'exited')
  assert.equal(await unframed(stream), Array.from({ length: 2000 }, (_, n) => `${n + 1}\n`).join(''))
})

test('a terminal has its size, echoes, and the detach keys leave it running', { skip }, async () => {
  const id = await rig().create({ cmd: ['sh'], tty: true, openStdin: true })
  await rig().engine.containers.start(id)
  await rig().engine.containers.resize(id, 33, 99)
  const { stream, tty } = await rig().engine.containers.attach(id, { ...attach, detachKeys: 'ctrl-a,d' })
  assert.equal(tty, true)
  let seen = ''
  stream.on('data', (chunk: Buffer) => (seen += chunk.toString()))
  stream.write('stty size\n')
  await until('the size', () => seen.includes('33 99'))
  const ended = new Promise((resolve) => stream.once('end', resolve))
  stream.write('\x01d')
  await ended
  assert.equal((await rig().engine.containers.inspect(id)).state.status, 'running')
  const again = await rig().engine.containers.attach(id, attach)
  let more = ''
  again.stream.on('data', (chunk: Buffer) => (more += chunk.toString()))
  const done = new Promise((resolve) => again.stream.once('end', resolve))
  again.stream.write('echo still; exit 4\n')
  await done
  assert.match(more, /still\r\n/)
  await until('it ended', async () => (await rig().engine.containers.inspect(id)).state.exitCode === 4)
})

test(
  'exec runs as the user asked for, with its own environment, and hands back the exit code',
  { skip },
  async () => {
    const id = await rig().run(['sleep', '100'])
    const { code, output } = await rig().exec(
      id,
      ['sh', '-c', 'id -u; echo $B $HOME; readlink /proc/self/cwd; echo err >&2; exit 6'],
      {
        user: 'web',
        env: ['B=c'],
        workingDir: '/tmp',
      },
    )
    assert.equal(code, 6)
    assert.equal(output, '33\nc /srv\n/tmp\nerr\n')
  },
)

test('exec sees a user that the container made after its start', { skip }, async () => {
  const id = await rig().run(['sleep', '100'])
  await assert.rejects(rig().exec(id, ['id', '-u'], { user: 'late' }), /unable to find user late/)
  await rig().exec(id, ['sh', '-c', 'echo late:x:77:77::/:/bin/sh >>/etc/passwd'])
  assert.equal((await rig().exec(id, ['id', '-u'], { user: 'late' })).output, '77\n')
})

test('exec refuses what cannot be, in dockerd’s words', { skip }, async () => {
  const id = await rig().run(['sleep', '100'])
  await assert.rejects(rig().exec(id, ['nosuch']), (error: DewarError) => {
    assert.equal(error.code, 'command-not-found')
    assert.match(
      error.message,
      /^OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in \$PATH: unknown/,
    )
    return true
  })
  await rig().engine.containers.stop(id, { timeout: 0 })
  await assert.rejects(rig().exec(id, ['true']), /container [0-9a-f]{64} is not running/)
  await assert.rejects(rig().engine.execs.inspect('nope'), /No such exec instance: nope/)
})

test('exec shows the right code when it is detached, and 137 when its container ends', { skip }, async () => {
  const id = await rig().run(['sleep', '100'])
  const config = {
    attachStdin: false,
    attachStdout: false,
    attachStderr: false,
    tty: false,
    env: null,
    privileged: false,
    user: '',
    workingDir: '',
  }
  const quick = await rig().engine.execs.create(id, { ...config, cmd: ['sh', '-c', 'exit 9'] })
  assert.equal((await rig().engine.execs.start(quick, { detach: true, tty: false })).stream, undefined)
  assert.equal(await rig().execCode(quick), 9)
  const long = await rig().engine.execs.create(id, { ...config, cmd: ['sleep', '100'] })
  await rig().engine.execs.start(long, { detach: true, tty: false })
  assert.deepEqual((await rig().engine.containers.inspect(id)).execIds, [long])
  await rig().engine.containers.kill(id, 'KILL')
  assert.equal(await rig().execCode(long), 137)
})

test('a container ends though the client of an exec in it reads nothing', { skip }, async () => {
  const id = await rig().run(['sleep', '100'])
  const config = {
    ...{ attachStdin: false, attachStdout: true, attachStderr: true, tty: false, env: null },
    ...{ privileged: false, user: '', workingDir: '' },
  }
  const exec = await rig().engine.execs.create(id, { ...config, cmd: ['seq', '1', '10000000'] })
  const { stream } = await rig().engine.execs.start(exec, { detach: false, tty: false })
  const { pid } = await rig().engine.execs.inspect(exec)
  const isBlocked = (): boolean => /pipe_write/.test(readFileSync(`/proc/${pid}/wchan`, 'utf8'))
  await until('its output to be full', () => isBlocked())
  const over = await rig().engine.containers.wait(id, 'not-running')
  await rig().engine.containers.kill(id, 'KILL')
  // As ctrl-s in a terminal does. What has ended waits in the namespace until it is reaped, and the first process for it.
  const code = await Promise.race([
    over.result.then((end) => end.code),
    new Promise<string>((resolve) => setTimeout(() => resolve('it did not end'), 20_000).unref()),
  ])
  stream?.destroy()
  assert.equal(code, 137)
})

test('logs follows to the end of the container', { skip }, async () => {
  const id = await rig().run([
    'sh',
    '-c',
    'for i in $(seq 1 200); do echo line $i; done; sleep 0.2; echo last',
  ])
  const output = await rig().logs(id, true)
  assert.equal(output.split('\n').length, 202)
  assert.ok(output.endsWith('line 200\nlast\n'))
})

test('logs of a container without a log driver is refused in dockerd’s words', { skip }, async () => {
  const id = await rig().run(['true'], { logConfig: { type: 'none', config: {} } })
  await assert.rejects(rig().logs(id), /configured logging driver does not support reading/)
})

test('logs reads over rotated files', { skip }, async () => {
  const rotate = { logConfig: { type: 'json-file', config: { 'max-size': '4k', 'max-file': '50' } } }
  const { output } = await rig().finish({ cmd: ['seq', '1', '1000'] }, rotate)
  assert.equal(output, Array.from({ length: 1000 }, (_, n) => `${n + 1}\n`).join(''))
})

test('containers.create refuses log options that dockerd refuses at the start', { skip }, async () => {
  for (const [config, said] of [
    [{ 'max-size': '-1', 'max-file': '2' }, "invalid size: '-1'"],
    [{ 'max-size': '1k', 'max-file': '0' }, 'max-file cannot be less than 1'],
  ] as const)
    await assert.rejects(rig().create({ cmd: ['true'] }, { logConfig: { type: 'json-file', config } }), {
      message: said,
    })
})

test('containers.create refuses log attributes that make lines too long to be read', { skip }, async () => {
  const logConfig = (tag: string) => ({ logConfig: { type: 'json-file', config: { labels: 'l', tag } } })
  // Each of these is six in the log.
  const labels = (count: number) => ({ labels: { l: '\u0001'.repeat(count) } })
  await assert.rejects(rig().create({ cmd: ['true'], ...labels(800_000) }, logConfig('x')), {
    code: 'invalid-argument',
    message: /^the attributes of each log line would be 48\d+ bytes, more than 1048576 /,
  })
  const most = { cmd: ['echo', 'said'], ...labels(174_000) }
  assert.equal((await rig().finish(most, logConfig('x'))).output, 'said\n')
  // A name that grows before the start is in the tag as it is then.
  const id = await rig().create({ cmd: ['echo', 'said'] }, logConfig('{{.Name}}'.repeat(10_000)))
  await rig().engine.containers.rename(id, 'n'.repeat(200))
  await assert.rejects(rig().engine.containers.start(id), { code: 'invalid-argument' })
})

test('a health check turns unhealthy and healthy again, and says so', { skip }, async () => {
  const events = rig().record()
  const healthcheck = {
    test: ['CMD-SHELL', 'echo probe; test -f /ok'],
    interval: 30e6,
    timeout: 60e9,
    retries: 2,
  }
  const id = await rig().create({ cmd: ['sleep', '100'], healthcheck })
  await rig().engine.containers.start(id)
  const health = async () => (await rig().engine.containers.inspect(id)).state.health
  await until('unhealthy', async () => (await health())?.status === 'unhealthy')
  assert.equal((await health())?.log.at(-1)?.output, 'probe\n')
  await rig().exec(id, ['touch', '/ok'])
  await until('healthy', async () => (await health())?.status === 'healthy')
  events.stop()
  const changes = events.seen
    .map((event) => event.action)
    .filter((action) => action.startsWith('health_status'))
  assert.deepEqual(changes, ['health_status: unhealthy', 'health_status: healthy'])
})

test('clients that vanish, with a terminal or without, harm nobody', { skip }, async () => {
  for (const tty of [true, false]) {
    const id = await rig().create({ cmd: ['cat'], tty, openStdin: true })
    const early = await rig().engine.containers.attach(id, attach)
    await rig().engine.containers.start(id)
    const late = await rig().engine.containers.attach(id, { ...attach, logs: true })
    const exec = {
      attachStdin: true,
      attachStdout: true,
      attachStderr: true,
      tty,
      env: null,
      privileged: false,
    }
    const made = await rig().engine.execs.create(id, { ...exec, user: '', workingDir: '', cmd: ['cat'] })
    const { stream } = await rig().engine.execs.start(made, { detach: false, tty })
    for (const one of [early.stream, late.stream, stream]) {
      one?.write('x')
      one?.destroy()
    }
    assert.equal((await rig().exec(id, ['echo', 'alive'])).output, 'alive\n')
  }
})
