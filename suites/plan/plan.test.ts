/**
 * Plans as pictures: what the level decides for typical requests on typical machines, step by step. A change shows
 * as a diff of suites/plan/snapshots (written anew with UPDATE_SNAPSHOTS=1), to be read like code.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { DewarError } from '../../src/base/errors.ts'
import { planFor, type PlanMachine } from '../../src/daemon/plan.ts'
import type { HostFacts } from '../../src/engine/host-facts.ts'
import { detectCgroups } from '../../src/kernel/cgroup.ts'
import { describePlan } from '../../src/kernel/describe.ts'
import { encodePlan } from '../../src/kernel/encode.ts'
import type { Step } from '../../src/kernel/plan.ts'

const FOLDER = 'suites/plan/snapshots'

const facts: HostFacts = {
  hostname: 'host',
  cpus: 4,
  onlineCpus: '0-3',
  onlineMems: '0',
  memory: 8 * 2 ** 30,
  lastCapability: 40,
  timeNamespaces: true,
  messageQueues: true,
  oomScoreAdj: 0,
}

const V1 = ['cpu,cpuacct', 'memory', 'devices', 'freezer', 'blkio', 'pids', 'cpuset']
  .map((names, i) => `${30 + i} 25 0:${30 + i} / /sys/fs/cgroup/${names} rw - cgroup cgroup rw,${names}`)
  .join('\n')
const V2 = '29 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw'

const v1: PlanMachine = {
  arch: 'x86_64',
  kernel: '6.1.0',
  overlayByFd: false,
  kcore: true,
  raisesLimits: true,
  layout: detectCgroups({ mountinfo: V1 }),
}
const v2: PlanMachine = {
  arch: 'x86_64',
  kernel: '6.18.0',
  overlayByFd: true,
  kcore: true,
  raisesLimits: true,
  layout: detectCgroups({ mountinfo: V2, unifiedControllers: 'cpu memory pids io cpuset' }),
}

const plain = { Image: 'busybox', Cmd: ['true'], HostConfig: { NetworkMode: 'none' } }
const cases: readonly {
  readonly name: string
  readonly machine: PlanMachine
  readonly body: object
  readonly layers?: number
}[] = [
  { name: 'plain-v2', machine: v2, body: plain },
  { name: 'plain-v1-three-layers', machine: v1, body: plain, layers: 3 },
  {
    name: 'web-server-v2',
    machine: v2,
    body: {
      Image: 'nginx',
      Cmd: ['nginx', '-g', 'daemon off;'],
      ExposedPorts: { '80/tcp': {} },
      HostConfig: {
        PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] },
        Binds: ['/srv/www:/usr/share/nginx/html:ro', 'cache:/var/cache'],
        Memory: 64 << 20,
        NanoCpus: 5e8,
        PidsLimit: 50,
      },
    },
  },
  {
    name: 'locked-down-v1',
    machine: v1,
    body: {
      Image: 'busybox',
      Cmd: ['sh'],
      User: '1000:1000',
      Tty: true,
      HostConfig: {
        NetworkMode: 'none',
        ReadonlyRootfs: true,
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges'],
        Tmpfs: { '/tmp': 'size=64m' },
        Init: true,
        Ulimits: [{ Name: 'nofile', Soft: 64, Hard: 128 }],
        CpusetCpus: '0-1',
      },
    },
  },
  {
    name: 'privileged-v2',
    machine: v2,
    body: { ...plain, HostConfig: { NetworkMode: 'host', Privileged: true } },
  },
]

for (const { name, machine, body, layers } of cases) {
  test(`planFor gives the steps of suites/plan/snapshots/${name}.txt`, () => {
    const plan = planFor({ body, image: { layers: layers ?? 1 } }, machine, facts)
    const text = `${describePlan(plan).join('\n')}\n`
    const file = `${FOLDER}/${name}.txt`
    if (process.env['UPDATE_SNAPSHOTS'] === '1') {
      mkdirSync(FOLDER, { recursive: true })
      writeFileSync(file, text)
    }
    assert.equal(text, readFileSync(file, 'utf8'))
    assert.ok(encodePlan(plan).length > 1000)
  })
}

const stepsOf = (body: object, machine = v2): readonly Step[] =>
  planFor({ body, image: { layers: 1 } }, machine, facts).steps
const guestAt = (steps: readonly Step[], op: Step['op']): number =>
  steps.findIndex((s) => s.actor === 'guest' && s.op === op)

test('planFor gives every container namespaces of its own, and its own ids', () => {
  const clone = stepsOf(plain).find((s) => s.op === 'clone')
  // user, mount, pid, network, ipc, uts by the clone; cgroup and time by steps of their own
  assert.equal(clone?.flags, 0x1000_0000 + 0x2_0000 + 0x2000_0000 + 0x4000_0000 + 0x800_0000 + 0x400_0000)
  const steps = stepsOf(plain)
  assert.ok(steps.some((s) => s.op === 'unshare' && s.flags === 0x200_0000))
  assert.ok(steps.some((s) => s.op === 'clock-offsets'))
  assert.equal(clone?.owner, 1_000_000)
  assert.ok(steps.some((s) => s.op === 'idmap' && s.uid === '0 1000000 65536\n'))
})

test('planFor drops capabilities after the filter is in place, and execs last', () => {
  const steps = stepsOf(plain)
  assert.ok(guestAt(steps, 'cover') < guestAt(steps, 'pivot'))
  assert.ok(guestAt(steps, 'pivot') < guestAt(steps, 'seccomp'))
  assert.ok(guestAt(steps, 'seccomp') < guestAt(steps, 'caps'))
  assert.equal(guestAt(steps, 'exec'), steps.length - 1)
})

test('planFor mounts nothing over what hides', () => {
  const after = (Binds: string[]): string[] => {
    const steps = stepsOf({ ...plain, HostConfig: { NetworkMode: 'none', Binds } })
    const last = steps.findLastIndex((s) => s.op === 'cover')
    return steps.slice(last).flatMap((s) => (s.op === 'attach-mount' ? [`${s.within ?? ''}${s.path}`] : []))
  }
  const trees = ['/proc', '/dev', '/sys']
  const etc = ['/etc/hostname', '/etc/hosts', '/etc/resolv.conf']
  // The trees as they are, into the root.
  assert.deepEqual(after([]), [...trees, ...etc])
  assert.deepEqual(after(['/tmp:/data']), [...trees, '/data', ...etc])
  // What the user puts into a tree is there before anything is hidden in it.
  assert.deepEqual(after(['/tmp:/sys/firmware/x']), [])
  assert.deepEqual(after(['/tmp:/proc/acpi']), [])
  assert.deepEqual(after(['/tmp:/data', '/tmp://proc/../proc/acpi']), [])
})

test('planFor makes the root’s mount first, and hangs it up first: mount tables are in the one order or the other', () => {
  for (const machine of [v1, v2]) {
    const steps = stepsOf(plain, machine)
    const root = steps.findIndex((s) => s.op === 'fsmount' && s.type === 'overlay')
    // What stays: a folder to mount layers in, where the kernel wants their paths, is no mount of the container's.
    const others = steps.filter((s, at) => at > root && s.op === 'fsmount')
    assert.equal(
      others.length,
      steps.filter((s) => s.op === 'fsmount').length - (machine.overlayByFd ? 1 : 2),
    )
    const hung = steps.flatMap((s) => (s.op === 'attach-mount' && s.actor === 'guest' ? [s.path] : []))
    // The stage is gone when the container begins.
    assert.deepEqual(hung.slice(0, 3), ['/dev', '/root', '/proc'])
    assert.ok(!steps.some((s) => s.actor === 'guest' && s.op === 'clone-mount'))
  }
})

test('planFor with no-new-privileges loads the filter last, when nothing of ours needs what it forbids', () => {
  const steps = stepsOf({ ...plain, HostConfig: { NetworkMode: 'none', SecurityOpt: ['no-new-privileges'] } })
  assert.ok(guestAt(steps, 'no-new-privs') < guestAt(steps, 'caps'))
  assert.ok(guestAt(steps, 'caps') < guestAt(steps, 'seccomp'))
})

test('planFor lowers the number of descriptors when the steps that need many are done', () => {
  const limited = (Soft: number, Hard: number) =>
    stepsOf({ ...plain, HostConfig: { Ulimits: [{ Name: 'nofile', Soft, Hard }] } }).flatMap((s, at) =>
      s.op === 'rlimit'
        ? [
            `${s.actor} ${s.soft}:${s.hard} ${at > stepsOf(plain).findLastIndex((step) => step.op === 'pivot') ? 'late' : 'early'}`,
          ]
        : [],
    )
  assert.deepEqual(limited(16, 16), ['guest 16:16 late'])
  assert.deepEqual(limited(16, 4096), ['parent 4096:4096 early', 'guest 16:4096 late'])
  assert.deepEqual(limited(2048, 4096), ['parent 2048:4096 early'])
})

test('planFor mounts only those cgroup trees in which the container has a group of its own', () => {
  const shown = stepsOf(plain, v1).flatMap((s) =>
    s.op === 'attach-mount' ? [`${s.within ?? ''}${s.path}`] : [],
  )
  assert.ok(shown.includes('/sys/fs/cgroup'))
  assert.ok(shown.includes('memory'))
  assert.ok(!shown.some((path) => path.endsWith('cpuset')))
})

test('planFor refuses what create would refuse', () => {
  const body = { ...plain, HostConfig: { NetworkMode: 'none', Memory: 1000 } }
  assert.throws(
    () => planFor({ body }, v2, facts),
    (e) => e instanceof DewarError && /Minimum memory/.test(e.message),
  )
})
