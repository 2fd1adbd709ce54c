/** The native core carries out plans, and its shims keep their promises, with real processes. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { startCore } from '../../src/kernel/core.ts'
import type { Core, ShimOptions } from '../../src/kernel/core-api.ts'
import { encodePlan } from '../../src/kernel/encode.ts'
import { connectUnix, frame } from '../../src/kernel/frames.ts'
import type { Plan, Step } from '../../src/kernel/plan.ts'
import { PlanFailed } from '../../src/kernel/plan-failed.ts'
import { exitOf } from '../../src/kernel/shim-control.ts'
import { shimStep } from '../../src/kernel/shim.ts'

const NEW_PID = 0x2000_0000
const NEW_NS = 0x2_0000
const folder = mkdtempSync('/tmp/dwt-core-')
let core: Core
let count = 0

before(async () => {
  // asan.test.ts runs this file again with the sanitized build.
  const program = process.env['DEWAR_TEST_CORE']
  core = await startCore({ runDir: folder, ...(program === undefined ? {} : { program }) })
})
after(async () => {
  await core[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

function options(more: Partial<ShimOptions> = {}): ShimOptions {
  const runDir = join(folder, `c${++count}`)
  mkdirSync(runDir)
  return { runDir, tty: false, stdin: false, stdinOnce: false, expectAttach: 0, ...more }
}

/** A shell in PID and mount namespaces of its own, on the host's files. */
function shell(script: string, more: readonly Step[] = []): Plan {
  return {
    steps: [
      ...more,
      { actor: 'host', op: 'clone', flags: NEW_PID | NEW_NS },
      { actor: 'guest', op: 'propagation', flags: 0x4_4000 },
      { actor: 'guest', op: 'fsmount', slot: 0, type: 'proc', options: [], attrs: 0 },
      { actor: 'guest', op: 'attach-mount', slot: 0, path: '/proc', create: false },
      { actor: 'guest', op: 'exec', argv: ['sh', '-c', script], env: ['PATH=/usr/bin:/bin'], init: false },
    ],
  }
}

/** An exec's plan. */
const joining = (script: string): Plan => ({
  steps: [
    { actor: 'host', op: 'clone', flags: 0 },
    { actor: 'guest', op: 'setns', slot: 255, flags: NEW_PID | NEW_NS },
    { actor: 'guest', op: 'sibling', flags: 0 },
    { actor: 'guest', op: 'exec', argv: ['sh', '-c', script], env: ['PATH=/usr/bin:/bin'], init: false },
  ],
})

const logOf = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { log: string }).log)

test('launch runs a process, logs its output and reports its exit code', async () => {
  const path = join(folder, 'log')
  const shim = await core.launch(shell('echo one; echo two >&2; printf three; exit 7'), {
    ...options(),
    log: { path, maxSize: 0, maxFiles: 1 },
  })
  const exit = await shim.exited
  assert.equal(exit.code, 7)
  assert.deepEqual(logOf(path).sort(), ['one\n', 'three', 'two\n'])
})

test('launch gives a process no signal blocked or ignored', async () => {
  const path = join(folder, 'log-signals')
  const shim = await core.launch(shell('grep -E "^Sig(Blk|Ign)" /proc/self/status'), {
    ...options(),
    log: { path, maxSize: 0, maxFiles: 1 },
  })
  await shim.exited
  const sets = logOf(path).map((line) => line.trim().split(/\s+/))
  const none = '0000000000000000'
  assert.deepEqual(sets, [
    ['SigBlk:', none],
    ['SigIgn:', none],
  ])
})

test('launch writes the exit where a later engine finds it', async () => {
  const o = options()
  const shim = await core.launch(shell('exit 3'), o)
  await shim.exited
  assert.equal(exitOf(readFileSync(join(o.runDir, 'exit'))).code, 3)
})

test('launch tells which step failed, with its errno and path, and undoes what came before', async () => {
  const made = join(folder, 'made')
  const plan = shell('true', [
    { actor: 'after', op: 'rmdir', path: made },
    { actor: 'host', op: 'mkdir', path: made, mode: 0o700 },
    { actor: 'host', op: 'write', path: '/nowhere/at/all', data: 'x' },
  ])
  await assert.rejects(core.launch(plan, options()), (error) => {
    assert.ok(error instanceof PlanFailed)
    assert.deepEqual(
      [error.step, error.op, error.errno, error.path],
      [2, 'write', 'ENOENT', '/nowhere/at/all'],
    )
    return true
  })
  assert.equal(existsSync(made), false)
})

test('launch leaves alone what `after` steps behind the failing step would undo', async () => {
  const theirs = join(folder, 'theirs')
  mkdirSync(theirs)
  const plan = shell('true', [
    { actor: 'host', op: 'write', path: '/nowhere/at/all', data: 'x' },
    { actor: 'after', op: 'rmdir', path: theirs },
  ])
  await assert.rejects(core.launch(plan, options()), PlanFailed)
  assert.equal(existsSync(theirs), true)
})

test('launch of a command that does not exist fails with ENOENT, of a folder with EACCES', async () => {
  const exec = (command: string): Plan => ({
    steps: [
      { actor: 'host', op: 'clone', flags: NEW_PID },
      { actor: 'guest', op: 'exec', argv: [command], env: ['PATH=/usr/bin:/bin'], init: false },
    ],
  })
  const errno = (name: string) => (error: unknown) => error instanceof PlanFailed && error.errno === name
  await assert.rejects(core.launch(exec('no-such-command'), options()), errno('ENOENT'))
  await assert.rejects(core.launch(exec('/tmp'), options()), errno('EACCES'))
})

test('attach carries input in and output out, and half-closing ends the input', async () => {
  const shim = await core.launch(
    shell('tr a-z A-Z'),
    options({ stdin: true, stdinOnce: true, expectAttach: 1 }),
  )
  const stream = await shim.attach()
  stream.end('hello\n')
  const out = Buffer.from(await text(stream), 'latin1')
  assert.deepEqual(out, Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, 0, 6]), Buffer.from('HELLO\n')]))
  assert.equal((await shim.exited).code, 0)
})

test('attach loses nothing of what a process writes, however slowly it is read', async () => {
  const shim = await core.launch(shell('head -c 3000000 /dev/zero'), options({ expectAttach: 1 }))
  const stream = await shim.attach({ stdin: false })
  let bytes = 0
  for await (const chunk of stream) bytes += (chunk as Buffer).length
  const frames = (bytes - 3_000_000) / 8
  assert.ok(Number.isInteger(frames) && frames > 0, `${bytes} bytes`)
  assert.equal((await shim.exited).code, 0)
})

test('signal reaches the first process and the exit code says which', async () => {
  const shim = await core.launch(shell('sleep 60'), options())
  await shim.signal(9)
  assert.equal((await shim.exited).code, 137)
})

test('exec joins the namespaces, has its own exit code and streams', async () => {
  const shim = await core.launch(shell('sleep 60'), options())
  const process = await shim.exec(joining('cat /proc/1/comm; exit 4'), {
    tty: false,
    stdin: false,
    expectAttach: 1,
  })
  const stream = await process.attach()
  stream.end()
  assert.match(await text(stream), /sh|sleep/)
  assert.equal((await process.exited).code, 4)
  await shim.signal(9)
  await shim.exited
})

test('exec leaves no descriptor behind in the shim when it has ended', async () => {
  const shim = await core.launch(shell('sleep 60'), options())
  const open = () => readdirSync(`/proc/${shim.shimPid}/fd`).length
  await shim.signal(0) // answered when all that the start alone needed is closed
  const before = open()
  for (let i = 0; i < 5; i++) {
    const process = await shim.exec(joining('true'), { tty: false, stdin: false, expectAttach: 0 })
    await process.exited
  }
  await until(() => open() === before)
  await Promise.all([shim.signal(9), shim.exited])
})

test('attach gets what a process said that ended before anyone was attached', async () => {
  const shim = await core.launch(shell('echo early'), options({ expectAttach: 1 }))
  await until(() => stateOf(shim.pid) === 'Z' || stateOf(shim.pid) === undefined)
  const stream = await shim.attach()
  assert.match(await text(stream), /early/)
  assert.equal((await shim.exited).code, 0)
})

test('a process whose attacher never comes ends all the same when its engine goes', async () => {
  const o = options({ expectAttach: 1 })
  const shim = await core.launch(shell('echo unheard; exit 6'), o)
  shim.close()
  await until(() => existsSync(join(o.runDir, 'exit')))
  assert.match(readFileSync(join(o.runDir, 'exit'), 'utf8'), /"code":6/)
})

test('reconnect finds a running shim again, and none where there is none', async () => {
  const o = options()
  const shim = await core.launch(shell('sleep 60'), o)
  shim.close()
  const again = await core.reconnect(o.runDir)
  assert.equal(again?.pid, shim.pid)
  await again?.signal(15 + 0)
  await again?.signal(9)
  assert.equal((await again?.exited)?.code, 137)
  assert.equal(await core.reconnect(join(folder, 'nobody')), undefined)
})

test('a killed shim takes its container with it', async () => {
  const shim = await core.launch(shell('sleep 60'), options())
  process.kill(shim.shimPid, 'SIGKILL')
  await assert.rejects(shim.exited)
  // The kernel sends the parent-death signal on the way out; the zombie is init's to reap.
  await until(() => stateOf(shim.pid) === undefined || stateOf(shim.pid) === 'Z')
})

test('a killed spawner is started anew, and its shims live on', async () => {
  const shim = await core.launch(shell('sleep 60'), options())
  const spawner = readdirSync('/proc').find(
    (pid) => commandLine(pid).includes(join(folder, 'spawner.sock')) && /spawner/.test(statusName(pid)),
  )
  assert.ok(spawner !== undefined)
  process.kill(Number(spawner), 'SIGKILL')
  await until(() => !existsSync(`/proc/${spawner}`) || stateOf(Number(spawner)) === 'Z')
  const second = await core.launch(shell('exit 5'), options())
  assert.equal((await second.exited).code, 5)
  await shim.signal(9)
  assert.equal((await shim.exited).code, 137)
})

test(
  'exec ends when its process ends, though who inherited its output writes for ever',
  { timeout: 120_000 },
  async () => {
    const shim = await core.launch(shell('sleep 60'), options())
    const process = await shim.exec(joining('yes & sleep 0.1; exit 3'), {
      tty: false,
      stdin: false,
      expectAttach: 1,
    })
    const stream = await process.attach()
    stream.resume()
    assert.equal((await process.exited).code, 3)
    await shim.signal(9)
    assert.equal((await shim.exited).code, 137)
  },
)

test(
  'attach of a client that vanishes with output unread ends the input all the same',
  { timeout: 120_000 },
  async () => {
    const o = options({ stdin: true, stdinOnce: true, expectAttach: 1 })
    const shim = await core.launch(shell('head -c 30000 /dev/zero; cat; exit 9'), o)
    const stream = await shim.attach()
    await new Promise((resolve) => stream.once('readable', resolve))
    stream.destroy()
    assert.equal((await shim.exited).code, 9)
  },
)

test(
  'attach takes input as fast as the process does, and loses nothing of it',
  { timeout: 120_000 },
  async () => {
    const shim = await core.launch(
      shell('sleep 0.2; wc -c'),
      options({ stdin: true, stdinOnce: true, expectAttach: 1 }),
    )
    const stream = await shim.attach()
    stream.end(Buffer.alloc(3_000_000, 'x'))
    assert.match(await text(stream), /3000000/)
    assert.equal((await shim.exited).code, 0)
  },
)

test(
  'exec that hangs on its way holds up neither the shim nor other execs',
  { timeout: 120_000 },
  async () => {
    const shim = await core.launch(shell('sleep 60'), options())
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    const [clone, enter, inside, exec] = joining('exit 2').steps as [Step, Step, Step, Step]
    const plan: Plan = {
      steps: [clone, enter, inside, { actor: 'guest', op: 'open', path: fifo, slot: 0, flags: 0 }, exec],
    }
    const hanging = shim.exec(plan, { tty: false, stdin: false, expectAttach: 0 })
    const other = await shim.exec(joining('exit 4'), { tty: false, stdin: false, expectAttach: 0 })
    assert.equal((await other.exited).code, 4)
    await writeFile(fifo, '') // waits for the reader, which then goes on
    assert.equal((await (await hanging).exited).code, 2)
    await shim.signal(9)
    await shim.exited
  },
)

test('exec in the PID namespace of others ends with the container', { timeout: 120_000 }, async () => {
  const first: Plan = {
    steps: [
      { actor: 'host', op: 'clone', flags: NEW_NS },
      { actor: 'guest', op: 'exec', argv: ['sleep', '60'], env: ['PATH=/usr/bin:/bin'], init: false },
    ],
  }
  const exec: Plan = {
    steps: [
      { actor: 'host', op: 'clone', flags: 0 },
      { actor: 'guest', op: 'exec', argv: ['sleep', '60'], env: ['PATH=/usr/bin:/bin'], init: false },
    ],
  }
  for (const victim of ['container', 'shim'] as const) {
    const shim = await core.launch(first, options())
    const process_ = await shim.exec(exec, { tty: false, stdin: false, expectAttach: 0 })
    if (victim === 'shim') process.kill(shim.shimPid, 'SIGKILL')
    else await shim.signal(9)
    assert.equal((await process_.exited).code, 137)
    await shim.exited.catch(() => undefined)
  }
})

test('exec that fails leaves no descriptor in the shim', async () => {
  const shim = await core.launch(shell('sleep 60'), options())
  const open = (): number => readdirSync(`/proc/${shim.shimPid}/fd`).length
  const before = open()
  const failing: Plan = {
    steps: [
      { actor: 'host', op: 'clone', flags: 0 },
      { actor: 'parent', op: 'write', path: '/nowhere/at/all', data: 'x' },
      ...joining('true').steps.slice(1),
    ],
  }
  for (let i = 0; i < 5; i++) {
    await assert.rejects(shim.exec(failing, { tty: false, stdin: true, expectAttach: 0 }), PlanFailed)
  }
  // The connections of the requests that failed are closed by the engine, which the shim sees a moment later.
  await until(() => open() <= before)
  await shim.signal(9)
  await shim.exited
})

test('netlink does not take an answer that an earlier step left for its own', async () => {
  const ENODEV = 19
  const getLink = (flags: number, index: number): Buffer => {
    const message = Buffer.alloc(32)
    message.writeUInt32LE(32, 0)
    message.writeUInt16LE(18, 4) // RTM_GETLINK
    message.writeUInt16LE(1 | flags, 6) // NLM_F_REQUEST
    message.writeInt32LE(index, 20)
    return message
  }
  const ACK = 4
  const netlink = (data: Buffer, ignore: number[] = []): Step => ({
    actor: 'host',
    op: 'netlink',
    protocol: 0,
    data,
    ignore,
    why: 'ask for links that are not there',
  })
  // One answer is awaited, two come: errors are told also of messages that ask for no acknowledgement.
  const twoAnswers = Buffer.concat([getLink(0, 0x7fff_ff00), getLink(ACK, 1)])
  const plan: Plan = { steps: [netlink(twoAnswers, [ENODEV]), netlink(getLink(ACK, 0x7fff_ff00))] }
  await assert.rejects(core.run(plan), (error) => {
    assert.ok(error instanceof PlanFailed)
    assert.deepEqual([error.step, error.errno], [1, 'ENODEV'])
    return true
  })
})

const sanitized =
  process.env['DEWAR_TEST_CORE'] === undefined ? false : 'sanitizers cannot write their reports as nobody'
test('init that cannot start its command says so and exits with 126', { skip: sanitized }, async () => {
  const path = join(folder, 'init-log')
  const plan: Plan = {
    steps: [
      { actor: 'host', op: 'clone', flags: NEW_PID | NEW_NS },
      { actor: 'guest', op: 'rlimit', resource: 6, soft: 0n, hard: 0n }, // RLIMIT_NPROC, which root does not feel
      { actor: 'guest', op: 'user', uid: 65_534, gid: 65_534, groups: [] },
      {
        actor: 'guest',
        op: 'caps',
        bounding: 0n,
        held: 0n,
      },
      { actor: 'guest', op: 'exec', argv: ['true'], env: ['PATH=/bin'], init: true },
    ],
  }
  const shim = await core.launch(plan, { ...options(), log: { path, maxSize: 0, maxFiles: 1 } })
  assert.equal((await shim.exited).code, 126)
  assert.match(logOf(path).join(''), /starting true failed/)
})

test(
  'a signal sent to a container with init before that is ready is not lost',
  { timeout: 120_000 },
  async () => {
    const { steps } = shell('sleep 60')
    const last = steps.at(-1)
    assert.ok(last?.op === 'exec')
    const plan: Plan = { steps: [...steps.slice(0, -1), { ...last, init: true }] }
    for (let i = 0; i < 20; i++) {
      const shim = await core.launch(plan, options())
      await shim.signal(15)
      assert.equal((await shim.exited).code, 143)
    }
  },
)

test(
  'launch starts nothing for an engine that went before the shim had a socket',
  { timeout: 120_000 },
  async () => {
    const o = { ...options(), log: { path: join(folder, 'log-fifo'), maxSize: 0, maxFiles: 1 } }
    execFileSync('mkfifo', [o.log.path]) // the shim waits here for a reader
    const marker = join(folder, 'marker')
    const plan = shell('true', [{ actor: 'host', op: 'mkdir', path: marker, mode: 0o700 }])
    const engine = await connectUnix(join(folder, 'spawner.sock'))
    engine.write(frame('P', encodePlan(plan, shimStep(o, o))))
    await until(() => existsSync(join(o.runDir, 'shim.sock')))
    engine.destroy()
    await new Promise((resolve) => engine.once('close', resolve))
    assert.equal(readFileSync(o.log.path, 'utf8'), '') // to the end: the shim has gone
    assert.equal(existsSync(marker), false)
  },
)

test('the core runs from a sealed copy in memory that nobody can write', async () => {
  const shim = await core.launch(shell('sleep 60'), options())
  const child = spawn('sh', ['-c', `readlink /proc/${shim.shimPid}/exe; echo x > /proc/${shim.shimPid}/exe`])
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  assert.match(out, /memfd:dewar-core/)
  assert.match(err, /not permitted|busy/i)
  await shim.signal(9)
  await shim.exited
})

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition did not come true within a minute')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function stateOf(pid: number): string | undefined {
  try {
    return /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]
  } catch {
    return undefined
  }
}

function commandLine(pid: string): string {
  try {
    return /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : ''
  } catch {
    return ''
  }
}

function statusName(pid: string): string {
  return /^Name:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''
}
