/** Attach and exec on a real engine, as programs use them: by hijacking and by WebSocket. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import WebSocket from 'ws'
import { Unframe } from '../../src/api/unframe.ts'
import { until } from '../harness/until.ts'
import { create, expectStatus, field, hijack, inspect, run, skip, startLive, type Live } from './live.ts'

let live: Live
before(async () => {
  if (!skip) live = await startLive('attach')
})
after(async () => {
  if (!skip) await live[Symbol.asyncDispose]()
})

const ALL = 'stream=1&stdin=1&stdout=1&stderr=1'
const start = (id: string) => live.server.api('POST', `/containers/${id}/start`)

function webSocket(
  id: string,
  query: string,
): { socket: WebSocket; text: () => string; closed: Promise<number> } {
  const socket = new WebSocket(`ws+unix://${live.server.socket}:/v1.45/containers/${id}/attach/ws?${query}`)
  let text = ''
  socket.on('message', (data: Buffer, binary: boolean) => {
    assert.equal(binary, true, 'dockerd sends binary messages since API 1.28')
    text += data.toString()
  })
  const closed = new Promise<number>((resolve, reject) => {
    socket.once('close', (code) => resolve(code))
    socket.once('error', reject)
  })
  closed.catch(() => undefined)
  return { socket, text: () => text, closed }
}

test(
  'attach/ws carries input and both outputs without frames, and ends with the container',
  { skip },
  async () => {
    const cmd = ['sh', '-c', 'echo out; echo err >&2; read x; echo "got $x"']
    const id = await create(live.server, { Cmd: cmd, OpenStdin: true })
    const { socket, text, closed } = webSocket(id, ALL)
    await new Promise((resolve) => socket.once('open', resolve))
    await start(id)
    await until('both lines', () => text().includes('out\n') && text().includes('err\n'))
    socket.send('hello\n')
    await closed
    assert.match(text(), /^(out\nerr\n|err\nout\n)got hello\n$/)
  },
)

test('attach/ws with logs replays, on a terminal too, and the detach keys end it', { skip }, async () => {
  const id = await run(live.server, {
    Cmd: ['sh', '-c', 'stty -echo; echo first; cat'],
    Tty: true,
    OpenStdin: true,
  })
  await until('it wrote', async () => (await live.server.docker('logs', id)).includes('first'))
  const { socket, text, closed } = webSocket(id, `${ALL}&logs=1&detachKeys=ctrl-a,d`)
  await until('the replay', () => text() === 'first\r\n')
  socket.send('more\n')
  await until('the answer', () => text() === 'first\r\nmore\r\n')
  socket.send(Buffer.from('\x01d'))
  await closed
  assert.equal(Reflect.get(Object((await inspect(live.server, id))['State']), 'Running'), true)
})

test(
  'attach/ws refuses what is no handshake, and who is not there, before anything is attached',
  { skip },
  async () => {
    const plain = await live.server.api('GET', `/containers/nosuch/attach/ws?${ALL}`)
    assert.equal(plain.status, 400)
    const refused = webSocket('nosuch', ALL)
    await assert.rejects(refused.closed, /Unexpected server response: 404/)
  },
)

test('attach/ws survives clients that vanish and messages that are too big', { skip }, async () => {
  const id = await run(live.server, { Cmd: ['cat'], OpenStdin: true })
  const rude = webSocket(id, ALL)
  await new Promise((resolve) => rude.socket.once('open', resolve))
  rude.socket.terminate()
  const big = webSocket(id, ALL)
  await new Promise((resolve) => big.socket.once('open', resolve))
  big.socket.send(Buffer.alloc(2 * 1024 * 1024, 'x'))
  assert.equal(await big.closed, 1009)
  const polite = webSocket(id, ALL)
  await new Promise((resolve) => polite.socket.once('open', resolve))
  polite.socket.send('still\n')
  await until('the echo', () => polite.text() === 'still\n')
  polite.socket.close()
  await polite.closed
})

// The shim closes a stream whose process has ended; a write that meets that must not take unread output along.
// More than the buffers up to the client hold, less than they and the shim's: it ends while the last part is unread.
const LAST = 65_000

test('attach loses no output to input that nobody reads any more', { skip }, async () => {
  const lines = Array.from({ length: LAST }, (_, n) => `${n + 1}\n`).join('')
  for (let round = 0; round < 4; round += 1) {
    const id = await create(live.server, {
      Cmd: ['seq', '1', String(LAST)],
      OpenStdin: true,
      StdinOnce: true,
    })
    const socket = await hijack(live.server, `/containers/${id}/attach?${ALL}`)
    socket.on('error', () => undefined)
    await start(id)
    const flood = (async () => {
      for (let n = 0; n < 2000 && !socket.destroyed && !socket.readableEnded; n += 1) {
        if (!socket.write(Buffer.alloc(16_384, 'y'))) await sleep(1)
      }
    })()
    await until(
      'it ended',
      async () => Reflect.get(Object((await inspect(live.server, id))['State']), 'Status') === 'exited',
    )
    const out = await buffer(socket.pipe(new Unframe()))
    await flood
    assert.equal(out.length, lines.length, `round ${round}`)
    assert.equal(digest(out), digest(Buffer.from(lines)))
    socket.destroy()
  }
})

test(
  'attach carries a half-close to the end of standard input, with the answer still to come',
  { skip },
  async () => {
    const id = await create(live.server, { Cmd: ['md5sum'], OpenStdin: true, StdinOnce: true })
    const socket = await hijack(live.server, `/containers/${id}/attach?${ALL}`)
    await start(id)
    socket.end(Buffer.alloc(3_000_000, 'z'))
    const out = await buffer(socket.pipe(new Unframe()))
    assert.equal(
      out.toString().slice(0, 32),
      createHash('md5').update(Buffer.alloc(3_000_000, 'z')).digest('hex'),
    )
  },
)

test('exec has all of its options', { skip }, async () => {
  const { server } = live
  const id = await run(server, { Cmd: ['sleep', '999'], Env: ['OWN=1', 'GONE=2'] })
  const exec = async (config: object, body: object = {}): Promise<{ out: string; id: string }> => {
    const made = await server.api('POST', `/containers/${id}/exec`, {
      AttachStdout: true,
      AttachStderr: true,
      ...config,
    })
    const exec = field(made, 201, 'Id')
    const tty = Reflect.get(config, 'Tty') === true
    const socket = await hijack(server, `/exec/${exec}/start`, { Detach: false, Tty: tty, ...body })
    socket.end()
    return { out: (await buffer(tty ? socket : socket.pipe(new Unframe()))).toString(), id: exec }
  }
  const env = await exec({
    Cmd: ['sh', '-c', 'echo $OWN $MORE; pwd; id -u'],
    Env: ['MORE=3'],
    WorkingDir: '/tmp',
    User: '7:8',
  })
  assert.equal(env.out, '1 3\n/tmp\n7\n')
  const size = await exec({ Cmd: ['stty', 'size'], Tty: true, ConsoleSize: [41, 87] })
  assert.equal(size.out, '41 87\r\n')
  const sized = await exec({ Cmd: ['stty', 'size'], Tty: true }, { ConsoleSize: [42, 88] })
  assert.equal(sized.out, '42 88\r\n')
  const powers = async (Privileged: boolean) =>
    (await exec({ Cmd: ['grep', 'CapEff', '/proc/self/status'], Privileged })).out
  assert.notEqual(await powers(true), await powers(false))
  const keys = field(
    await server.api('POST', `/containers/${id}/exec`, {
      Cmd: ['cat'],
      Tty: true,
      AttachStdin: true,
      AttachStdout: true,
      DetachKeys: 'ctrl-x,x',
    }),
    201,
    'Id',
  )
  const socket = await hijack(server, `/exec/${keys}/start`, { Tty: true })
  expectStatus(await server.api('POST', `/exec/${keys}/resize?h=30&w=90`), 200)
  socket.write('\x18x')
  assert.ok(!(await buffer(socket)).includes('\x18'))
  const seen = expectStatus(await server.api('GET', `/exec/${keys}/json`), 200).json
  assert.deepEqual(
    [Reflect.get(Object(seen), 'Running'), Reflect.get(Object(seen), 'DetachKeys')],
    [true, 'GHg='],
  )
  const bad = await server.api('POST', `/containers/${id}/exec`, { Cmd: ['cat'], DetachKeys: 'ctrl-nope' })
  assert.equal(bad.status, 400)
})

function digest(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}
