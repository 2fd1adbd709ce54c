import { test } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DewarError } from '../../src/base/errors.ts'
import type { ContainerConfig } from '../../src/index.ts'
import { removeParentGroups } from '../harness/parent-groups.ts'
import { until } from '../harness/until.ts'
import { rigForAll, skip } from './fixture.ts'

const { house, rig } = rigForAll()

const code = (wanted: string) => (error: unknown) => error instanceof DewarError && error.code === wanted
const status = async (id: string) => (await rig().engine.containers.inspect(id)).state

test(
  'containers.start runs the command with its environment, directory, user and exit code',
  { skip },
  async () => {
    const { output, ...over } = await rig().finish({
      cmd: ['sh', '-c', 'id -u; id -G; echo $A $HOME; readlink /proc/self/cwd; exit 7'],
      env: ['A=b'],
      user: 'web',
      workingDir: '/made/here',
    })
    assert.equal(over.code, 7)
    assert.equal(output, '33\n33 29\nb /srv\n/made/here\n')
    const { state, path, args } = await rig().engine.containers.inspect(over.id)
    assert.deepEqual(
      [state.status, state.exitCode, state.error, path, args[0]],
      ['exited', 7, '', 'sh', '-c'],
    )
    assert.ok(state.finishedAt >= state.startedAt)
  },
)

test(
  'containers.create gives each container a private uid range and unmapped root has no power over it',
  { skip },
  async () => {
    const [one, two] = [
      await rig().finish({ cmd: ['cat', '/proc/self/uid_map'] }),
      await rig().finish({ cmd: ['cat', '/proc/self/uid_map'] }),
    ]
    const base = (output: string) => Number(output.trim().split(/\s+/)[1])
    assert.ok(base(one.output) >= 1_000_000)
    assert.notEqual(base(one.output), base(two.output))
    assert.equal(
      (await rig().finish({ cmd: ['cat', '/proc/self/uid_map'] }, { usernsMode: 'host' })).output
        .trim()
        .split(/\s+/)[1],
      '0',
    )
  },
)

test(
  'containers.start tells a missing command from one that cannot run, as Docker does',
  { skip },
  async () => {
    const missing = await rig().create({ cmd: ['nosuch'] })
    await assert.rejects(rig().engine.containers.start(missing), (error: DewarError) => {
      assert.equal(error.code, 'command-not-found')
      assert.match(
        error.message,
        /failed to create task for container: .*exec: "nosuch": executable file not found in \$PATH: unknown$/,
      )
      return true
    })
    assert.deepEqual([(await status(missing)).status, (await status(missing)).exitCode], ['created', 127])
    const plain = await rig().create({ cmd: ['/etc/passwd'] })
    await assert.rejects(rig().engine.containers.start(plain), code('command-not-executable'))
    assert.equal((await status(plain)).exitCode, 126)
  },
)

test('execs.start tells why a program cannot be executed, in Docker’s words', { skip }, async () => {
  const id = await rig().run(['sleep', '100'])
  await rig().exec(id, ['sh', '-c', 'ln -s loop /loop; ln -s id2 /bin/id2'])
  const path = `/${'x'.repeat(300)}`
  for (const [cmd, env, said] of [
    ['/loop', [], 'exec: "/loop": stat /loop: too many levels of symbolic links: unknown'],
    ['id2', [], 'exec: "id2": too many levels of symbolic links: unknown'],
    [path, [], `exec: "${path}": stat ${path}: file name too long: unknown`],
    ['/etc/passwd/x', [], 'exec: "/etc/passwd/x": stat /etc/passwd/x: not a directory: unknown'],
    ['id', [`A=${'a'.repeat(1 << 17)}`], 'exec: "id": argument list too long: unknown'],
  ] as const)
    await assert.rejects(rig().exec(id, [cmd], { env }), (error: DewarError) => {
      assert.ok(error.message.endsWith(`unable to start container process: ${said}`), error.message)
      return true
    })
})

test('containers.start of a missing command with --rm leaves nothing', { skip }, async () => {
  const id = await rig().create({ cmd: ['nosuch'] }, { autoRemove: true })
  const over = await rig().engine.containers.wait(id, 'removed')
  await assert.rejects(rig().engine.containers.start(id))
  assert.equal((await over.result).code, 127)
  await assert.rejects(rig().engine.containers.inspect(id), /No such container/)
})

test(
  'containers.create refuses a name in use, with dockerd’s words, also when both come at once',
  { skip },
  async () => {
    const both = await Promise.allSettled([
      rig().create({ cmd: ['true'] }, {}, 'taken'),
      rig().create({ cmd: ['true'] }, {}, 'taken'),
    ])
    assert.deepEqual(both.map((result) => result.status).sort(), ['fulfilled', 'rejected'])
    const refused = both.find((result) => result.status === 'rejected')
    assert.match(
      String(refused?.reason),
      /Conflict. The container name "\/taken" is already in use by container "[0-9a-f]{64}"/,
    )
    await rig().engine.containers.rename('taken', 'free')
    await rig().create({ cmd: ['true'] }, {}, 'taken')
    assert.equal((await rig().engine.containers.inspect('free')).name, 'free')
  },
)

test(
  'containers.create refuses users that do not exist or are out of range when it starts',
  { skip },
  async () => {
    await assert.rejects(
      rig()
        .run(['true'], {})
        .then(async () =>
          rig().engine.containers.start(await rig().create({ cmd: ['true'], user: 'nosuch' })),
        ),
      /unable to find user nosuch: no matching entries in passwd file/,
    )
    await assert.rejects(
      rig().engine.containers.start(await rig().create({ cmd: ['true'], user: '4294967296' })),
      /uids and gids must be in range 0-2147483647/,
    )
  },
)

test('containers.stop sends the stop signal, then kills after the timeout', { skip }, async () => {
  const polite = await rig().run(['sh', '-c', 'trap "exit 5" TERM; echo up; while :; do sleep 0.05; done'])
  await until('the trap is set', async () => (await rig().logs(polite)).includes('up'))
  await rig().engine.containers.stop(polite, {})
  assert.equal((await status(polite)).exitCode, 5)
  await assert.rejects(rig().engine.containers.stop(polite, {}), code('not-modified'))
  const deaf = await rig().run(['sleep', '100'])
  await rig().engine.containers.stop(deaf, { timeout: 0 })
  assert.equal((await status(deaf)).exitCode, 137)
})

test('containers.stop with more patience than a timer has does not kill at once', { skip }, async () => {
  const script = 'trap "sleep 1; exit 7" TERM; echo ready; while :; do sleep 0.1; done'
  const id = await rig().run(['sh', '-c', script])
  await until('the trap', async () => (await rig().logs(id)) === 'ready\n')
  await rig().engine.containers.stop(id, { timeout: 30 * 86_400 })
  assert.equal((await status(id)).exitCode, 7)
})

test('containers.remove answers when nothing of the container can be read any more', { skip }, async () => {
  const { containers } = rig().engine
  for (let n = 0; n < 10; n += 1) {
    // Some files of its own, which take a while to be deleted.
    const many = 'for i in $(seq 200); do echo secret > /root/$i; done'
    const { id } = await rig().finish({ cmd: ['sh', '-c', many] })
    await containers.remove(id, { force: true, volumes: false, link: false })
    const { root = '' } = house().options
    assert.deepEqual(readdirSync(join(root, 'trash')), [])
    assert.ok(!readdirSync(join(root, 'containers')).includes(id))
  }
})

test('containers.remove by force does not mind a container that is just ending', { skip }, async () => {
  const { containers } = rig().engine
  for (let n = 0; n < 40; n += 1) {
    const id = await rig().run(['true'])
    // From at once to about when it ends.
    await new Promise((resolve) => setTimeout(resolve, n / 8))
    await containers.remove(id, { force: true, volumes: false, link: false })
  }
})

test(
  'containers.kill, pause and remove refuse what the state does not allow, in dockerd’s words',
  { skip },
  async () => {
    const id = await rig().run(['sleep', '100'], {}, 'states')
    const { containers } = rig().engine
    await assert.rejects(containers.start(id), code('not-modified'))
    await assert.rejects(containers.unpause(id), /is not paused/)
    await containers.pause(id)
    assert.equal((await status(id)).status, 'paused')
    await assert.rejects(containers.pause(id), /is already paused/)
    await assert.rejects(containers.start(id), /cannot start a paused container, try unpause instead/)
    await assert.rejects(rig().exec(id, ['true']), /is paused, unpause the container before exec/)
    await containers.unpause(id)
    await assert.rejects(
      containers.remove('states', { force: false, volumes: false, link: false }),
      /cannot remove container "states": container is running/,
    )
    await containers.pause(id)
    // A frozen process must not keep a forced removal waiting.
    await containers.remove('states', { force: true, volumes: false, link: false })
    await assert.rejects(containers.kill(id, 'TERM'), /No such container/)
  },
)

test('containers.kill of a stopped container is a conflict', { skip }, async () => {
  const { id } = await rig().finish({ cmd: ['true'] })
  await assert.rejects(
    rig().engine.containers.kill(id, 'KILL'),
    /cannot kill container: .*: container [0-9a-f]{64} is not running/,
  )
})

test('containers.wait answers for each condition', { skip }, async () => {
  const { containers } = rig().engine
  const id = await rig().create({ cmd: ['sh', '-c', 'exit 3'] })
  const [now, next, removed] = await Promise.all([
    containers.wait(id, 'not-running'),
    containers.wait(id, 'next-exit'),
    containers.wait(id, 'removed'),
  ])
  assert.deepEqual(await now.result, { code: 0 })
  await containers.start(id)
  assert.deepEqual(await next.result, { code: 3 })
  await containers.remove(id, { force: false, volumes: false, link: false })
  assert.deepEqual(await removed.result, { code: 3 })
})

test('containers.restart keeps the container and its files', { skip }, async () => {
  const id = await rig().run(['sh', '-c', 'echo run >>/root/runs; sleep 100'])
  await until('it ran', async () => (await rig().exec(id, ['cat', '/root/runs'])).output === 'run\n')
  await rig().engine.containers.restart(id, { timeout: 0 })
  await until(
    'it ran again',
    async () => (await rig().exec(id, ['cat', '/root/runs'])).output === 'run\nrun\n',
  )
})

test(
  'a restart policy restarts with a growing delay, counts, and stops at its maximum',
  { skip },
  async () => {
    const id = await rig().run(['false'], { restartPolicy: { name: 'on-failure', maximumRetryCount: 2 } })
    await until(
      'it gave up',
      async () =>
        (await status(id)).status === 'exited' &&
        (await rig().engine.containers.inspect(id)).restartCount === 2,
    )
  },
)

test(
  'a restart policy does not bring back what was stopped by hand, even between two runs',
  { skip },
  async () => {
    const id = await rig().run(['false'], { restartPolicy: { name: 'always', maximumRetryCount: 0 } })
    await until('it waits for its next run', async () => (await status(id)).status === 'restarting')
    await rig().engine.containers.stop(id, {})
    assert.equal((await status(id)).status, 'exited')
    await new Promise((resolve) => setTimeout(resolve, 500))
    assert.equal((await status(id)).status, 'exited')
  },
)

const crashing = { restartPolicy: { name: 'always', maximumRetryCount: 0 } } as const

/** A container that ends at once and is started again, caught between two runs that are far enough apart. */
async function crashLoop(config: Partial<ContainerConfig> = {}): Promise<string> {
  const id = await rig().create({ cmd: ['sh', '-c', 'exit 3'], ...config }, crashing)
  await rig().engine.containers.start(id)
  const waits = async () =>
    (await status(id)).status === 'restarting' && (await rig().engine.containers.inspect(id)).restartCount > 2
  await until('it waits for its next run', waits)
  return id
}

test(
  'containers.kill between two runs ends the restarts, with whatever signal, as dockerd',
  { skip },
  async () => {
    for (const signal of ['', 'HUP']) {
      const id = await crashLoop()
      const events = rig().record()
      await rig().engine.containers.kill(id, signal)
      assert.deepEqual([(await status(id)).status, (await status(id)).exitCode], ['exited', 3])
      await new Promise((resolve) => setTimeout(resolve, 1500))
      assert.equal((await status(id)).status, 'exited')
      events.stop()
      const own = events.seen.filter((event) => event.actor.id === id)
      assert.deepEqual(own, [], 'nothing was signalled, nothing started')
    }
  },
)

test(
  'containers.kill between two runs refuses a signal that is none and obeys a stop signal',
  { skip },
  async () => {
    const { containers } = rig().engine
    const id = await crashLoop({ stopSignal: 'INT' })
    await assert.rejects(containers.kill(id, 'BOGUS'), code('invalid-argument'))
    await containers.kill(id, 'HUP')
    await until('it goes on', async () => (await containers.inspect(id)).restartCount > 4)
    await until('it waits again', async () => (await status(id)).status === 'restarting')
    await containers.kill(id, 'INT')
    assert.equal((await status(id)).status, 'exited')
  },
)

test(
  'containers.wait between two runs is answered by a stop or a kill, as by dockerd',
  { skip },
  async () => {
    const { containers } = rig().engine
    for (const end of ['stop', 'kill'] as const) {
      const id = await crashLoop()
      const over = await containers.wait(id, 'not-running')
      await (end === 'stop' ? containers.stop(id, {}) : containers.kill(id, 'KILL'))
      assert.deepEqual(await over.result, { code: 3 })
    }
  },
)

test('a container over its memory limit is reported as OOMKilled', { skip }, async () => {
  const limits = { memory: 16 << 20, memorySwap: 16 << 20 }
  const { id, code: exit } = await rig().finish(
    { cmd: ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=64M', 'count=1'] },
    limits,
  )
  assert.equal(exit, 137)
  assert.equal((await status(id)).oomKilled, true)
})

test('events tell a container’s story in Docker’s order', { skip }, async () => {
  const events = rig().record()
  const { id } = await rig().finish({ cmd: ['true'], labels: { tier: 'x' } })
  await rig().engine.containers.remove(id, { force: false, volumes: false, link: false })
  events.stop()
  const own = events.seen.filter((event) => event.actor.id === id)
  assert.deepEqual(
    own.map((event) => event.action),
    ['create', 'start', 'die', 'destroy'],
  )
  assert.deepEqual(
    [
      own[2]?.actor.attributes['exitCode'],
      own[2]?.actor.attributes['tier'],
      own[2]?.actor.attributes['image'],
    ],
    ['0', 'x', 'busybox'],
  )
})

test(
  'a killed shim takes its container with it, which is shown, and leaves no process or cgroup',
  { skip },
  async () => {
    const id = await rig().run(['sh', '-c', 'sleep 100 & sleep 100'])
    const over = await rig().engine.containers.wait(id, 'next-exit')
    const { pid } = await status(id)
    const shim = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
    process.kill(shim, 'SIGKILL')
    assert.equal((await over.result).code, 137)
    assert.match((await status(id)).error, /shim/)
    // Its new parent may take a moment to bury it.
    await until('its process is gone', () => isGone(pid))
    await rig().engine.containers.start(id)
    assert.equal((await status(id)).status, 'running')
  },
)

function isGone(pid: number): boolean {
  try {
    return /^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return true
  }
}

test('many containers at once come and go independently', { skip }, async () => {
  const codes = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      rig()
        .finish({ cmd: ['sh', '-c', `exit ${n}`] })
        .then((over) => over.code),
    ),
  )
  assert.deepEqual(
    codes,
    Array.from({ length: 20 }, (_, n) => n),
  )
})

test('a container in another’s network has the other’s name, also for exec', { skip }, async () => {
  const owner = await rig().run(['sleep', '100'], { networkMode: 'bridge' })
  const named = await rig().exec(owner, ['hostname'])
  const id = await rig().run(['sleep', '100'], { networkMode: `container:${owner}` })
  const { output } = await rig().exec(id, ['sh', '-c', 'hostname; echo $HOSTNAME'])
  assert.equal(output, named.output + named.output)
  for (const one of [id, owner])
    await rig().engine.containers.remove(one, { force: true, volumes: true, link: false })
})

const V1 = '/sys/fs/cgroup'
const noV1 = existsSync(`${V1}/cpu/cpu.cfs_quota_us`) ? skip : 'needs cgroup v1, whose kernel refuses limits'

test('containers.update that the kernel refuses in the middle changes no limit', { skip: noV1 }, async () => {
  const { containers } = rig().engine
  const parent = `/dwtu${process.pid}`
  const id = await rig().run(['sleep', '100'], { cgroupParent: parent, cpuShares: 512 })
  try {
    const { pid } = (await containers.inspect(id)).state
    const groups = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    // Several controllers may be mounted as one.
    const group = (name: string) =>
      `${V1}/${name}${new RegExp(`[:,]${name}(?:,[^:]*)?:(.*)`).exec(groups)?.[1]}`
    const limits = () =>
      [
        ...['limit_in_bytes', 'memsw.limit_in_bytes', 'soft_limit_in_bytes'].map((file) => ['memory', file]),
        ['cpu', 'shares'],
      ]
        .map(([name = '', file]) => `${group(name)}/${name}.${file}`)
        .map((path) => (existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined))
    // No child may have a larger part of a CPU than its parent.
    writeFileSync(`${dirname(group('cpu'))}/cpu.cfs_quota_us`, '50000')
    const none = limits()
    const memory = 64 * 1024 * 1024
    const refused = { cpuShares: 256, nanoCpus: 1e9 }
    await assert.rejects(containers.update(id, { memory, memoryReservation: memory, ...refused }), /EINVAL/)
    assert.deepEqual(limits(), none)
    assert.equal((await containers.inspect(id)).hostConfig.memory, 0)
    await containers.update(id, { memory, memorySwap: memory })
    const some = limits()
    for (const change of [2 * memory, memory / 2])
      await assert.rejects(
        containers.update(id, { memory: change, memorySwap: change, ...refused }),
        /EINVAL/,
      )
    assert.deepEqual(limits(), some)
  } finally {
    await containers.remove(id, { force: true, volumes: true, link: false })
    await removeParentGroups(parent)
  }
})

test('containers.update of a container that is being removed says that there is none', { skip }, async () => {
  const id = await rig().create({ cmd: ['true'] })
  const { containers } = rig().engine
  const [, updated] = await Promise.allSettled([
    containers.remove(id, { force: false, volumes: false, link: false }),
    containers.update(id, { memory: 64 * 1024 * 1024 }),
  ])
  assert.equal(updated.status, 'rejected')
  assert.ok(code('not-found')(updated.reason))
})

test(
  'containers.start forgets how the run before ended when only the shim had noted that',
  { skip },
  async () => {
    const id = await rig().create({ cmd: ['sleep', '60'] })
    const folder = join(house().options.run ?? '', 'c', id.slice(0, 24))
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'exit'), '{"code":99,"seconds":1.0}\n')
    await rig().engine.containers.start(id)
    assert.ok(existsSync(join(folder, 'shim.sock')))
    assert.equal(existsSync(join(folder, 'exit')), false)
    await rig().engine.containers.remove(id, { force: true, volumes: true, link: false })
  },
)
