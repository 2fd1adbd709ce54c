import { test } from 'node:test'
import assert from 'node:assert/strict'
import { completeHostConfig } from './config.ts'
import { parseList, validateCreate } from './validate.ts'
import type { ContainerConfig, EndpointConfig, HostConfig } from './types.ts'

const limits = { cpus: 2, onlineCpus: '0-1', onlineMems: '0' }
const MB = 1024 * 1024

function check(
  host: Partial<HostConfig>,
  config: Partial<ContainerConfig> = {},
  endpoint?: EndpointConfig,
): void {
  const complete = completeHostConfig(host, {
    runtime: 'namespaces',
    logConfig: { type: 'json-file', config: {} },
  })
  const endpoints = endpoint === undefined ? {} : { n: endpoint }
  validateCreate({ config: { image: 'i', ...config }, hostConfig: host, endpoints }, complete, limits)
}

const refused: [string, Partial<HostConfig>, Partial<ContainerConfig>, RegExp][] = [
  ['little memory', { memory: 5 * MB }, {}, /^DewarError: Minimum memory limit allowed is 6MB$/],
  ['a cgroup parent that leads out', { cgroupParent: '../../..' }, {}, /invalid cgroup parent/],
  ['negative memory', { memory: -1 }, {}, /Minimum memory limit/],
  ['swap below memory', { memory: 20 * MB, memorySwap: 10 * MB }, {}, /memoryswap limit should be larger/],
  ['swap alone', { memorySwap: 10 * MB }, {}, /You should always set the Memory limit/],
  ['swappiness', { memorySwappiness: 101 }, {}, /Invalid value: 101, valid memory swappiness range is 0-100/],
  ['reservation', { memory: 10 * MB, memoryReservation: 20 * MB }, {}, /less than memory reservation/],
  [
    'too many cpus',
    { nanoCpus: 3e9 },
    {},
    /Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available/,
  ],
  ['cpus and quota', { nanoCpus: 1e9, cpuQuota: 5000 }, {}, /Nano CPUs and CPU Quota cannot both be set/],
  [
    'real-time beyond its period',
    { cpuRealtimePeriod: 5000, cpuRealtimeRuntime: 10_000 },
    {},
    /cpu real-time runtime cannot be higher than cpu real-time period/,
  ],
  ['short period', { cpuPeriod: 999 }, {}, /CPU cfs period/],
  ['cpuset words', { cpusetCpus: 'a' }, {}, /Invalid value a for cpuset cpus/],
  [
    'cpuset absent',
    { cpusetCpus: '0,7' },
    {},
    /Requested CPUs are not available - requested 0,7, available: 0-1/,
  ],
  ['mems absent', { cpusetMems: '3' }, {}, /Requested Memory nodes are not available/],
  ['blkio', { blkioWeight: 5 }, {}, /Range of blkio weight is from 10 to 1000/],
  ['oom score', { oomScoreAdj: 1001 }, {}, /range for oom score adj is \[-1000, 1000\]/],
  ['shm', { shmSize: -1 }, {}, /SHM size can not be less than 0/],
  ['restart name', { restartPolicy: { name: 'x', maximumRetryCount: 0 } }, {}, /unknown policy 'x'/],
  [
    'restart count',
    { restartPolicy: { name: 'always', maximumRetryCount: 2 } },
    {},
    /can only be used with 'on-failure'/,
  ],
  [
    'rm and restart',
    { autoRemove: true, restartPolicy: { name: 'always', maximumRetryCount: 0 } },
    {},
    /can't create 'AutoRemove' container with restart policy/,
  ],
  [
    'hostname and container net',
    { networkMode: 'container:x' },
    { hostname: 'h' },
    /^DewarError: conflicting options: hostname and the network mode$/,
  ],
  ['hostname and host uts', { utsMode: 'host' }, { hostname: 'h' }, /hostname and the UTS mode/],
  [
    'ports and container net',
    { networkMode: 'container:x', portBindings: { '80/tcp': [] } },
    {},
    /port publishing and the container type network mode/,
  ],
  ['dns and container net', { networkMode: 'container:x', dns: ['1.1.1.1'] }, {}, /dns and the network mode/],
  ['ipc mode', { ipcMode: 'x' }, {}, /invalid IPC mode: x/],
  ['pid mode', { pidMode: 'container:' }, {}, /invalid PID mode: container:/],
  ['env', {}, { env: ['=x'] }, /invalid environment variable: =x/],
  ['workdir', {}, { workingDir: 'a' }, /working directory 'a' is invalid/],
  ['health', {}, { healthcheck: { interval: 5 } }, /Interval in Healthcheck cannot be less than 1ms/],
]

for (const [name, host, config, message] of refused) {
  test(`validateCreate refuses ${name} with dockerd's words`, () => {
    assert.throws(() => check(host, config), message)
  })
}

test('validateCreate refuses a MAC address in a shared network', () => {
  assert.throws(
    () => check({ networkMode: 'container:x' }, {}, { macAddress: '02:00:00:00:00:01' }),
    /mac-address and the network mode/,
  )
})

test('validateCreate lets sound settings pass', () => {
  check({
    memory: 6 * MB,
    memorySwap: -1,
    nanoCpus: 5e8,
    cpusetCpus: '0-1',
    cpusetMems: '0',
    restartPolicy: { name: 'on-failure', maximumRetryCount: 3 },
  })
  check({ networkMode: 'host' }, { hostname: 'h' })
})

test('parseList reads kernel lists and is bounded', () => {
  assert.deepEqual(parseList('0,2-4'), [0, 2, 3, 4])
  for (const bad of ['', 'a', '1-', '3-1', '0-99999', '1,,2']) assert.equal(parseList(bad), undefined)
})
