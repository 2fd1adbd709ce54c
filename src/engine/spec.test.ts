import { test } from 'node:test'
import { DEFAULT_DEVICE_RULES } from '../kernel/device-rules.ts'
import assert from 'node:assert/strict'
import { completeHostConfig, mergeConfig } from './config.ts'
import { buildExecProcess, buildSpec, type SpecInput } from './spec.ts'
import { NO_BLOCK_DEVICES } from './spec-resources.ts'
import type { ContainerConfig, HostConfig, ImageConfig } from './types.ts'

const image: ImageConfig = {
  user: '',
  exposedPorts: {},
  env: ['PATH=/bin'],
  entrypoint: null,
  cmd: ['sh'],
  volumes: {},
  workingDir: '',
  labels: {},
}
const ID = 'abcdef0123456789'.repeat(4)
const facts = {
  hostname: 'metal',
  cpus: 4,
  onlineCpus: '0-3',
  onlineMems: '0',
  memory: 8e9,
  lastCapability: 40,
  timeNamespaces: true,
  messageQueues: true,
  oomScoreAdj: 0,
}

function input(
  hostConfig: Partial<HostConfig> = {},
  config: Partial<ContainerConfig> = {},
  change: Partial<SpecInput> = {},
): SpecInput {
  const host = completeHostConfig(hostConfig, {
    runtime: 'namespaces',
    logConfig: { type: 'json-file', config: {} },
  })
  return {
    id: ID,
    config: mergeConfig({ config: { image: 'i', ...config }, hostConfig, endpoints: {} }, image, ID),
    host,
    path: 'sh',
    args: ['-c', 'true'],
    user: { uid: 0, gid: 0, additionalGids: [], home: '/root' },
    range: { base: 1_000_000, size: 65_536 },
    mounts: [],
    files: { hosts: '/c/hosts', hostname: '/c/hostname', resolvConf: '/c/resolv.conf' },
    sharedShm: undefined,
    joins: {},
    facts,
    cgroupsPath: `/dewar/${ID}`,
    seccomp: undefined,
    devices: [],
    extraRules: [],
    blockDevices: NO_BLOCK_DEVICES,
    clocks: undefined,
    ...change,
  }
}

const spec = (...args: Parameters<typeof input>) => buildSpec(input(...args))
const types = (...args: Parameters<typeof input>) =>
  spec(...args)
    .linux.namespaces.map(({ type, path }) => (path === undefined ? type : `${type}=${path}`))
    .sort()
const mountAt = (path: string, ...args: Parameters<typeof input>) =>
  spec(...args).mounts.find((mount) => mount.destination === path)

test('buildSpec gives the same spec for the same input', () => {
  assert.deepEqual(spec(), spec())
})

test('buildSpec gives a container all eight namespaces and a private id range', () => {
  assert.deepEqual(types(), ['cgroup', 'ipc', 'mount', 'network', 'pid', 'time', 'user', 'uts'])
  const { linux, hostname } = spec()
  assert.deepEqual(linux.uidMappings, [{ containerID: 0, hostID: 1_000_000, size: 65_536 }])
  assert.deepEqual(linux.gidMappings, linux.uidMappings)
  assert.equal(hostname, 'abcdef012345')
})

test('buildSpec leaves out the namespaces of the host that are asked for', () => {
  assert.ok(!types({ networkMode: 'host' }).includes('network'))
  assert.ok(!types({ pidMode: 'host' }).includes('pid'))
  assert.ok(!types({ ipcMode: 'host' }).includes('ipc'))
  assert.ok(!types({ utsMode: 'host' }).includes('uts'))
  assert.ok(!types({ cgroupnsMode: 'host' }).includes('cgroup'))
  assert.ok(!types({}, {}, { range: undefined }).includes('user'))
  assert.equal(spec({ utsMode: 'host' }).hostname, undefined)
  assert.equal(spec({ networkMode: 'host' }).hostname, 'metal')
})

test('buildSpec joins another container’s namespaces with the user namespace they belong to', () => {
  const joined = types({ networkMode: 'container:x' }, {}, { joins: { network: 77 } })
  assert.ok(joined.includes('network=/proc/77/ns/net'))
  assert.ok(joined.includes('user=/proc/77/ns/user'))
  assert.throws(
    () => spec({ pidMode: 'container:x' }),
    /cannot join the namespace of container:x: it is not running/,
  )
})

test('buildSpec gives Docker’s fourteen capabilities, none of them to a user', () => {
  const { capabilities } = spec().process
  assert.equal(capabilities.bounding.length, 14)
  assert.deepEqual(capabilities.effective, capabilities.bounding)
  const user = { uid: 33, gid: 33, additionalGids: [29], home: '/' }
  const plain = spec({}, {}, { user }).process
  assert.deepEqual(plain.capabilities.effective, [])
  // CVE-2022-36109: the primary group is among the supplementary ones.
  assert.deepEqual(plain.user.additionalGids, [33, 29])
})

test('buildSpec adds and drops capabilities; privileged opens all', () => {
  const { bounding } = spec({ capAdd: ['NET_ADMIN'], capDrop: ['ALL'] }).process.capabilities
  assert.deepEqual(bounding, ['CAP_NET_ADMIN'])
  const open = spec({ privileged: true }, {}, { range: undefined })
  assert.equal(open.process.capabilities.bounding.length, 41)
  assert.deepEqual([open.linux.maskedPaths, open.linux.readonlyPaths], [[], []])
  assert.deepEqual(open.linux.resources.devices, [{ allow: true, type: 'a', access: 'rwm' }])
  assert.ok(open.mounts.find(({ destination }) => destination === '/sys')?.options.includes('rw'))
})

test('buildSpec masks what Docker masks and what tells about the host', () => {
  const { maskedPaths, readonlyPaths } = spec().linux
  for (const path of ['/proc/kcore', '/proc/keys', '/sys/firmware', '/proc/cmdline', '/sys/block']) {
    assert.ok(maskedPaths.includes(path), path)
  }
  assert.deepEqual(readonlyPaths, ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'])
  assert.deepEqual(spec({ maskedPaths: [] }).linux.maskedPaths, [])
  assert.deepEqual(spec({ securityOpt: ['systempaths=unconfined'] }).linux.maskedPaths, [])
})

test('buildSpec makes parents before children and lets own mounts replace the system’s', () => {
  const bind = (destination: string) => ({
    type: 'bind' as const,
    destination,
    source: '/h',
    rw: true,
    file: false,
    recursive: true,
    propagation: 'rprivate',
    options: [],
  })
  const mounts = ['/data/a/b', '/data', '/dev/shm', '/data/a'].map(bind)
  const destinations = spec({}, {}, { mounts }).mounts.map(({ destination }) => destination)
  const order = ['/proc', '/data', '/data/a', '/data/a/b'].map((path) => destinations.indexOf(path))
  assert.deepEqual(
    order,
    [...order].sort((a, b) => a - b),
  )
  assert.equal(destinations.filter((destination) => destination === '/dev/shm').length, 1)
})

test('buildSpec idmaps binds, reads them only when asked, and knows files from folders', () => {
  const mount = {
    type: 'bind',
    destination: '/d',
    source: '/h',
    rw: false,
    file: true,
    recursive: false,
    propagation: 'rslave',
    options: [],
  } as const
  assert.deepEqual(mountAt('/d', {}, {}, { mounts: [mount] })?.options, [
    'bind',
    'ro',
    'rslave',
    'idmap',
    'x-file',
  ])
  assert.deepEqual(mountAt('/d', {}, {}, { mounts: [mount], range: undefined })?.options, [
    'bind',
    'ro',
    'rslave',
    'x-file',
  ])
})

test('buildSpec sizes /dev/shm, shares it with the host, or leaves it out', () => {
  assert.ok(mountAt('/dev/shm', { shmSize: 4096 })?.options.includes('size=4096'))
  assert.equal(mountAt('/dev/shm', { ipcMode: 'host' })?.source, '/dev/shm')
  assert.equal(mountAt('/dev/shm', { ipcMode: 'none' }), undefined)
  assert.equal(mountAt('/dev/shm', {}, {}, { sharedShm: '/run/x/shm' })?.source, '/run/x/shm')
})

test('buildSpec binds the host’s /sys and /proc where an own user namespace may not mount them', () => {
  assert.equal(mountAt('/sys', { networkMode: 'host' })?.type, 'bind')
  assert.equal(mountAt('/proc', { pidMode: 'host' })?.type, 'bind')
  assert.equal(mountAt('/sys', { networkMode: 'host' }, {}, { range: undefined })?.type, 'sysfs')
})

test('buildSpec turns limits into the specification’s words', () => {
  const { resources } = spec({
    memory: 64 << 20,
    nanoCpus: 1.5e9,
    cpuShares: 512,
    cpusetCpus: '0-1',
    pidsLimit: 9,
    blkioWeight: 300,
    oomKillDisable: true,
  }).linux
  assert.deepEqual(resources.memory, { limit: 64 << 20, swap: 128 << 20, disableOOMKiller: true })
  assert.deepEqual(resources.cpu, { shares: 512, period: 100_000, quota: 150_000, cpus: '0-1' })
  assert.deepEqual(resources.pids, { limit: 9 })
  assert.deepEqual(resources.blockIO, { weight: 300 })
  const none = spec({ memorySwap: 0, pidsLimit: -1 }).linux.resources
  assert.deepEqual(
    [none.memory, none.cpu, none.pids, none.blockIO],
    [undefined, undefined, undefined, undefined],
  )
  assert.equal(spec({ memory: 64 << 20, memorySwap: -1 }).linux.resources.memory?.swap, -1)
})

test('buildSpec closes all devices but the usual and what is granted', () => {
  const device = { path: '/dev/x', type: 'c', major: 10, minor: 5, fileMode: 0o600, uid: 0, gid: 0 } as const
  const { devices, resources } = spec({}, {}, { devices: [{ device, access: 'r' }] }).linux
  assert.deepEqual(resources.devices.slice(0, -1), DEFAULT_DEVICE_RULES)
  assert.deepEqual(resources.devices.at(-1), { allow: true, type: 'c', major: 10, minor: 5, access: 'r' })
  assert.ok(devices.some(({ path }) => path === '/dev/null'))
  assert.ok(devices.includes(device))
})

test('buildSpec takes namespaced sysctls only', () => {
  const { sysctl } = spec({ sysctls: { 'net.ipv4.ip_forward': '1', 'kernel/msgmax': '9' } }).linux
  assert.deepEqual([sysctl['net.ipv4.ip_forward'], sysctl['kernel.msgmax']], ['1', '9'])
  const refused: [Partial<HostConfig>, RegExp][] = [
    [{ sysctls: { 'kernel.panic': '1' } }, /sysctl "kernel.panic" is not in a separate kernel namespace/],
    [
      { sysctls: { 'net.x': '1' }, networkMode: 'host' },
      /sysctl "net.x" not allowed in host network namespace/,
    ],
    [{ sysctls: { 'kernel.sem': '1' }, ipcMode: 'host' }, /not allowed in host ipc namespace/],
    [{ sysctls: { 'net/../../kernel/panic': '1' } }, /invalid sysctl name/],
    [{ sysctls: { 'net...kernel': '1' } }, /invalid sysctl name/],
    [{ sysctls: { '': '1' } }, /invalid sysctl name/],
  ]
  for (const [host, message] of refused) assert.throws(() => spec(host), message, JSON.stringify(host))
})

test('buildSpec takes the engine’s OOM score from a container that did not ask for it', () => {
  const score = (own: number, asked: number) =>
    buildSpec({ ...input({ oomScoreAdj: asked }), facts: { ...facts, oomScoreAdj: own } }).process.oomScoreAdj
  assert.deepEqual([score(0, 0), score(-500, 0), score(-500, -500)], [undefined, 0, undefined])
})

test('buildSpec keeps rlimits, no-new-privileges, the OOM score, umask-free users and the terminal’s size', () => {
  const host = {
    ulimits: [{ name: 'nofile', soft: 10, hard: 20 }],
    securityOpt: ['no-new-privileges'],
    oomScoreAdj: 5,
    consoleSize: [30, 90],
  } as const
  const { process } = spec(host, { tty: true, workingDir: '/w' })
  assert.deepEqual(process.rlimits, [{ type: 'RLIMIT_NOFILE', soft: 10, hard: 20 }])
  assert.deepEqual([process.noNewPrivileges, process.oomScoreAdj, process.cwd], [true, 5, '/w'])
  assert.deepEqual(process.consoleSize, { height: 30, width: 90 })
  assert.ok(process.env.includes('TERM=xterm') && process.env.includes('HOME=/root'))
})

test('buildSpec starts the clocks near zero when told the host’s', () => {
  const { timeOffsets } = spec({}, {}, { clocks: { monotonic: 100.9, boottime: 0.5 } }).linux
  assert.deepEqual(timeOffsets, {
    monotonic: { secs: -99, nanosecs: 0 },
    boottime: { secs: -0, nanosecs: 0 },
  })
})

test('buildExecProcess keeps the container’s walls and has its own user, directory and variables', () => {
  const { config, host } = input(
    { capDrop: ['CHOWN'], securityOpt: ['no-new-privileges:true'] },
    { env: ['A=1'], workingDir: '/w' },
  )
  const process = buildExecProcess({
    config,
    host,
    facts,
    user: { uid: 5, gid: 6, additionalGids: [], home: '/h' },
    cmd: ['ls'],
    env: ['A=2', 'B=3'],
    workingDir: '',
    tty: false,
    privileged: false,
    consoleSize: undefined,
  })
  assert.equal(process.cwd, '/w')
  assert.equal(process.noNewPrivileges, true)
  assert.ok(!process.capabilities.bounding.includes('CAP_CHOWN'))
  assert.deepEqual(
    process.env.filter((entry) => /^[AB]=/.test(entry)),
    ['A=2', 'B=3'],
  )
  assert.deepEqual(process.user, { uid: 5, gid: 6, additionalGids: [6] })
})
