/** What a shim keeps to when its clients or its container are against it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startCore } from '../../src/kernel/core.ts'
import type { Shim, ShimOptions } from '../../src/kernel/core-api.ts'
import { connectUnix } from '../../src/kernel/frames.ts'
import type { Plan, Step } from '../../src/kernel/plan.ts'
import { PROJECT } from '../harness/project.ts'
import { missing } from '../harness/requirement.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { until } from '../harness/until.ts'

const skip = missing('sh', 'setpriv', 'mkfifo')
const CORE = join(PROJECT, 'native/build/dewar-core')
const [NEW_PID, NEW_USER, NEW_MOUNTS, PRIVATE] = [0x2000_0000, 0x1000_0000, 0x2_0000, 0x4_4000]
const LOOPBACK = Uint8Array.from([127, 0, 0, 1])
let count = 0

function options(folder: string, more: Partial<ShimOptions> = {}): ShimOptions {
  const runDir = join(folder, `c${++count}`)
  mkdirSync(runDir)
  return { runDir, tty: false, stdin: false, stdinOnce: false, expectAttach: 0, ...more }
}

const run = (script: string): Step => ({
  actor: 'guest',
  op: 'exec',
  argv: ['sh', '-c', script],
  env: ['PATH=/usr/bin:/bin'],
  init: false,
})

const shell = (script: string): Plan => ({
  steps: [{ actor: 'host', op: 'clone', flags: NEW_PID }, run(script)],
})

/** With a root of its own, as containers have it: the host's once more. */
const rooted = (folder: string, script: string): Plan => ({
  steps: [
    { actor: 'host', op: 'clone', flags: NEW_PID | NEW_MOUNTS },
    { actor: 'guest', op: 'propagation', flags: PRIVATE },
    { actor: 'guest', op: 'clone-mount', path: '/', slot: 1, recursive: true },
    { actor: 'guest', op: 'attach-mount', path: folder, slot: 1, create: false },
    { actor: 'guest', op: 'pivot', slot: 1 },
    run(script),
  ],
})

/** The core, started by another program. */
function startedBy(folder: string, words: string): string {
  const path = join(folder, 'starter')
  writeFileSync(path, `#!/bin/sh\n${words} ${CORE} "$@"\n`, { mode: 0o755 })
  return path
}

function stateOf(pid: number): string | undefined {
  try {
    return /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]
  } catch {
    return undefined
  }
}

test(
  'a pid is nobody else’s until the engine is told of the end, however long a client holds that up',
  { skip },
  async () => {
    await using folder = await tempFolder('shim')
    await using core = await startCore({ runDir: folder.path })
    // Of its own PID namespace, or in the host's.
    for (const flags of [NEW_PID, 0]) {
      // Its output waits for a client that has yet to come.
      const plan: Plan = { steps: [{ actor: 'host', op: 'clone', flags }, run('exit 3')] }
      const shim = await core.launch(plan, options(folder.path, { expectAttach: 1 }))
      await until('the end of the process', () => !['R', 'S', 'D'].includes(stateOf(shim.pid) ?? ''))
      // The engine still takes it for running, and opens namespaces by this number for a copy or another container.
      assert.equal(stateOf(shim.pid), 'Z', `flags ${flags}`)
      const client = await shim.attach({ stdin: false })
      client.destroy()
      assert.equal((await shim.exited).code, 3)
      await shim.gone
      assert.equal(stateOf(shim.pid), undefined)
    }
  },
)

test(
  'a pid is nobody else’s either until all who were told of the end have let go of it',
  { skip },
  async () => {
    await using folder = await tempFolder('shim')
    await using core = await startCore({ runDir: folder.path })
    const shim = await core.launch(shell('sleep 60'), options(folder.path))
    let release = (): void => undefined
    const busy = shim.whilePid(() => new Promise<void>((resolve) => (release = resolve)))
    await shim.signal(9)
    assert.equal((await shim.exited).code, 137)
    // What began before the end goes on by the number; nothing begins any more.
    await assert.rejects(
      shim.whilePid(() => Promise.resolve()),
      { code: 'conflict' },
    )
    shim.letGo()
    for (let turn = 0; turn < 10; turn++) {
      assert.equal(stateOf(shim.pid), 'Z')
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    release()
    await busy
    await shim.gone
    assert.equal(stateOf(shim.pid), undefined)
  },
)

test(
  'a shim whose engine goes by the pid for ever ends after a moment all the same, at once when that is released',
  { skip },
  async () => {
    await using folder = await tempFolder('shim')
    await using core = await startCore({ runDir: folder.path })
    const never = new Promise<void>(() => undefined)
    for (const kind of ['kept', 'released'] as const) {
      const shim = await core.launch(shell('sleep 60'), options(folder.path))
      let released = (): void => undefined
      void shim.whilePid((_, release) => {
        released = release
        return never
      })
      await shim.signal(9)
      await shim.exited
      if (kind === 'released') {
        shim.letGo()
        released()
      }
      const gone = await Promise.race([shim.gone.then(() => 'gone'), sleep(20_000, 'held', { ref: false })])
      assert.equal(gone, 'gone', kind)
    }
  },
)

test(
  'a client that comes when the end has been told is not kept waiting for the shim to let go',
  { skip },
  async () => {
    await using folder = await tempFolder('shim')
    await using core = await startCore({ runDir: folder.path })
    const ask: Readonly<Record<string, (shim: Shim) => Promise<unknown>>> = {
      input: (shim) => shim.attach({ stdout: false, stderr: false }),
      output: (shim) => shim.attach({ stdin: false }),
      exec: (shim) => shim.exec(shell('true'), { tty: false, stdin: false, expectAttach: 0 }),
    }
    const launch = () => core.launch(rooted(folder.path, 'sleep 60'), options(folder.path))
    for (const [what, asked] of Object.entries(ask)) {
      // The other one ends first, and is let go of when its moment is over.
      const [other, shim] = [await core.launch(shell('sleep 60'), options(folder.path)), await launch()]
      const order: string[] = []
      const gone = other.gone.then(() => order.push('moment'))
      for (const ending of [other, shim]) {
        await ending.signal(9)
        await ending.exited
      }
      await assert.rejects(asked(shim), /gone|ECONNRESET/, what)
      order.push('answer')
      await gone
      assert.deepEqual(order, ['answer', 'moment'], what)
    }
  },
)

test(
  'control groups that were made inside go with the container’s own, deepest first',
  { skip },
  async () => {
    await using folder = await tempFolder('shim')
    await using core = await startCore({ runDir: folder.path })
    const tree = existsSync('/sys/fs/cgroup/pids') ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup'
    const group = `${tree}/dwt-inner-${process.pid}`
    const inner = ['/a', '/a/b', '/a/b/c', '/d'].map((name) => `${group}${name}`)
    const shim = await core.launch(
      {
        steps: [
          { actor: 'after', op: 'rmdir', path: group },
          { actor: 'host', op: 'mkdir', path: group, mode: 0o755 },
          // Not in a PID namespace of its own: who hides in the deepest one does not end with the first process.
          { actor: 'host', op: 'clone', flags: 0 },
          run(
            `mkdir ${inner.join(' ')}; (echo 0 >${group}/a/b/c/cgroup.procs; exec sleep 600) </dev/null >/dev/null 2>&1 & until grep -q . ${group}/a/b/c/cgroup.procs; do sleep 0.01; done`,
          ),
        ],
      },
      options(folder.path),
    )
    assert.equal((await shim.exited).code, 0)
    assert.equal(existsSync(group), false)
  },
)

test('control groups too deep to hold a descriptor for each are left to the engine', { skip }, async () => {
  await using folder = await tempFolder('shim')
  await using core = await startCore({ runDir: folder.path })
  const tree = existsSync('/sys/fs/cgroup/pids') ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup'
  const group = `${tree}/dwt-deep-${process.pid}`
  const groups = Array.from({ length: 80 }, (_, depth) => `${group}${'/d'.repeat(depth)}`)
  for (const path of groups) mkdirSync(path)
  try {
    const { steps } = shell('true')
    const shim = await core.launch(
      { steps: [{ actor: 'after', op: 'rmdir', path: group }, ...steps] },
      options(folder.path),
    )
    assert.equal((await shim.exited).code, 0)
    assert.equal(existsSync(groups[79] ?? ''), true)
  } finally {
    for (const path of groups.toReversed()) if (existsSync(path)) rmdirSync(path)
  }
})

test('a process that is being made holds no descriptor of its shim', { skip }, async () => {
  await using folder = await tempFolder('shim')
  await using core = await startCore({ runDir: folder.path })
  const fifo = join(folder.path, 'fifo')
  execFileSync('mkfifo', [fifo])
  // Nobody writes to it: the process stays at this step of its own, as it would at a stranger's files.
  const stay: Step = { actor: 'guest', op: 'open', path: fifo, slot: 0, flags: 0 }
  const o = options(folder.path)
  const launched = core.launch(
    { steps: [{ actor: 'host', op: 'clone', flags: NEW_PID }, stay, run('true')] },
    o,
  )
  launched.catch(() => undefined)
  const [child, shim] = await until('the child to be at its step', () => {
    const both = workingIn(o.runDir)
    const pid = both.find((one) => both.includes(parentOf(one)))
    if (pid === undefined || !/^(fifo_)?wait_for_partner/.test(waitsIn(pid))) return undefined
    return [pid, parentOf(pid)] as const
  })
  const held = readdirSync(`/proc/${child}/fdinfo`).map((fd) =>
    Number(/^Pid:\s(\d+)/m.exec(readFileSync(`/proc/${child}/fdinfo/${fd}`, 'utf8'))?.[1]),
  )
  process.kill(child, 'SIGKILL')
  await assert.rejects(launched)
  assert.equal(held.includes(shim), false)
})

test(
  'a shim without descriptors for more clients sleeps, and takes them when there are some again',
  { skip },
  async () => {
    await using folder = await tempFolder('shim')
    await using core = await startCore({
      runDir: folder.path,
      program: startedBy(folder.path, 'ulimit -n 64; exec'),
    })
    const port: Step = { actor: 'host', op: 'reserve-port', protocol: 'tcp', address: LOOPBACK, port: 0 }
    // Where ports take the descriptors they run out (EMFILE); without, poll(2) takes no more than 64 (EINVAL).
    for (const ports of [0, 40]) {
      const o = options(folder.path)
      const { steps } = shell('sleep 60')
      const shim = await core.launch({ steps: [...Array<Step>(ports).fill(port), ...steps] }, o)
      const held = (): number => readdirSync(`/proc/${shim.shimPid}/fd`).length
      const before = held()
      const clients = await Promise.all(
        Array.from({ length: 70 }, () => connectUnix(join(o.runDir, 'shim.sock'))),
      )
      await until('clients to be accepted', () => held() > before + 10)
      await until('it to sleep', () => stateOf(shim.shimPid) === 'S' && held() > before + 10)
      for (const client of clients) client.destroy()
      const late = await core.reconnect(o.runDir)
      await late?.signal(9)
      assert.equal((await shim.exited).code, 137)
    }
  },
)

/** The kernel's function that it sleeps in. */
const waitsIn = (pid: number): string => readFileSync(`/proc/${pid}/wchan`, 'utf8')

/** Processes that work in a folder: a shim's socket is there. */
function workingIn(folder: string): number[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && linkOf(`/proc/${pid}/cwd`) === folder)
    .map(Number)
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

const parentOf = (pid: number): number =>
  Number(/^PPid:\s(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

test('a child whose shim is killed while it waits for it does not wait for ever', { skip }, async () => {
  await using folder = await tempFolder('shim')
  await using core = await startCore({ runDir: folder.path })
  const fifo = join(folder.path, 'fifo')
  execFileSync('mkfifo', [fifo])
  // Nobody writes to it: the shim stays at this step.
  const stay: Step = { actor: 'parent', op: 'open', path: fifo, slot: 0, flags: 0 }
  const o = options(folder.path)
  const launched = core.launch(
    { steps: [{ actor: 'host', op: 'clone', flags: NEW_PID }, stay, run('true')] },
    o,
  )
  launched.catch(() => undefined)
  const both = await until('the child to be there', () => {
    const found = workingIn(o.runDir)
    return found.length === 2 ? found : undefined
  })
  const child = both.find((pid) => both.includes(parentOf(pid)))
  assert.ok(child !== undefined)
  process.kill(parentOf(child), 'SIGKILL')
  try {
    await until('the child to end', () => workingIn(o.runDir).length === 0, 10_000)
  } finally {
    for (const pid of workingIn(o.runDir)) process.kill(pid, 'SIGKILL')
  }
  // It had held the connection open, too: the start would not have ended either.
  await assert.rejects(launched, /gone/)
})

test('a core with locked secure bits makes user namespaces, and keeps the bits', { skip }, async () => {
  await using folder = await tempFolder('shim')
  const program = startedBy(folder.path, 'exec setpriv --securebits=+noroot_locked')
  await using core = await startCore({ runDir: folder.path, program })
  const owner = 1_000_000
  const plan: Plan = {
    steps: [
      { actor: 'host', op: 'clone', flags: NEW_USER, owner },
      { actor: 'parent', op: 'idmap', uid: `0 ${owner} 1\n`, gid: `0 ${owner} 1\n` },
      { actor: 'guest', op: 'user', uid: 0, gid: 0, groups: [] },
      run('exit 3'),
    ],
  }
  const shim = await core.launch(plan, options(folder.path))
  assert.equal((await shim.exited).code, 3)
})

test(
  'the sockets of the core can be opened by our own user alone, whatever our umask',
  { skip },
  async () => {
    await using folder = await tempFolder('shim')
    await using core = await startCore({
      runDir: folder.path,
      program: startedBy(folder.path, 'umask 0; exec'),
    })
    const o = options(folder.path)
    const shim = await core.launch(shell('sleep 60'), o)
    for (const path of [join(folder.path, 'spawner.sock'), join(o.runDir, 'shim.sock')])
      assert.equal(statSync(path).mode & 0o077, 0, path)
    await shim.signal(9)
    await shim.exited
  },
)

test(
  'a shim deletes what it is asked to as long as it holds an ended container’s layers, and then lets go',
  { skip },
  async () => {
    await using folder = await tempFolder('shim')
    await using core = await startCore({ runDir: folder.path })
    const tree = join(folder.path, 'tree')
    mkdirSync(join(tree, 'work/work'), { recursive: true })
    writeFileSync(join(tree, 'hosts'), 'secret')
    const shim = await core.launch(rooted(folder.path, 'exit 3'), options(folder.path))
    assert.equal((await shim.exited).code, 3)
    assert.equal(await shim.discard(tree), true)
    assert.equal(existsSync(tree), false)
    await shim.gone
    assert.equal(await shim.discard(tree), false, 'nobody is there any more')
  },
)

test('a shim that holds an ended container’s layers ends its streams at once', { skip }, async () => {
  await using folder = await tempFolder('shim')
  await using core = await startCore({ runDir: folder.path })
  const o = options(folder.path, { expectAttach: 1 })
  const shim = await core.launch(rooted(folder.path, 'exit 3'), o)
  const order: string[] = []
  const stream = await shim.attach({ stdin: false })
  const ended = once(stream.resume(), 'end').then(() => order.push('stream'))
  const gone = shim.gone.then(() => order.push('shim'))
  await Promise.all([ended, gone])
  assert.deepEqual(order, ['stream', 'shim'])
})

test('a shim lets go of the layers by itself, and when the engine does', { skip }, async () => {
  await using folder = await tempFolder('shim')
  await using core = await startCore({ runDir: folder.path })
  const left = await core.launch(rooted(folder.path, 'exit 3'), options(folder.path))
  await left.gone
  const shim = await core.launch(rooted(folder.path, 'exit 3'), options(folder.path))
  await shim.exited
  shim.close()
  await until('the shim to end', () => stateOf(shim.shimPid) === undefined)
})
