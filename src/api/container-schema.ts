/** What clients send about a container, and how it is echoed. Field order is that of dockerd's Go structs. */
import { z } from 'zod'
import { codec, field, omitEmpty, pointer } from './codec.ts'

const text = z.string()
const flag = z.boolean()
/** Beyond 2^53 a double is another number than the one that was sent, so it is refused. */
export const whole = z.number().refine(Number.isSafeInteger)
const texts = z.array(text)
/** Go's strslice: one string is a list of one. */
const words = z.union([texts, text.transform((word) => [word])])
const strings = z.record(text, text)
/** Go's map[string]struct{}: whatever stands for the empty struct is accepted. */
const set = z.record(text, z.object({}))

const HEALTHCHECK = z.object({
  test: omitEmpty(texts),
  interval: omitEmpty(whole),
  timeout: omitEmpty(whole),
  startPeriod: omitEmpty(whole),
  startInterval: omitEmpty(whole),
  retries: omitEmpty(whole),
})

const CONFIG_FIELDS = {
  hostname: field(text),
  domainname: field(text),
  user: field(text),
  attachStdin: field(flag),
  attachStdout: field(flag),
  attachStderr: field(flag),
  exposedPorts: omitEmpty(set),
  tty: field(flag),
  openStdin: field(flag),
  stdinOnce: field(flag),
  env: field(texts),
  cmd: field(z.nullable(words)),
  healthcheck: omitEmpty(HEALTHCHECK),
  argsEscaped: omitEmpty(flag),
  image: field(text),
  volumes: field(set),
  workingDir: field(text),
  entrypoint: field(z.nullable(words)),
  networkDisabled: omitEmpty(flag),
  macAddress: omitEmpty(text),
  onBuild: field(z.nullable(texts)),
  labels: field(strings),
  stopSignal: omitEmpty(text),
  stopTimeout: pointer(whole),
  shell: omitEmpty(texts),
}

const RATES = z.array(z.object({ path: text.default(''), rate: whole.default(0) }))
const BINDING = z.object({ hostIp: text.default(''), hostPort: text.default('') })

export const MOUNT_TYPES = ['bind', 'volume', 'tmpfs', 'npipe', 'cluster', 'image'] as const
const MOUNT = z.object({
  type: z.enum(MOUNT_TYPES, {
    error: (issue) =>
      `invalid mount config for type ${JSON.stringify(issue.input ?? '')}: mount type unknown`,
  }),
  source: omitEmpty(text),
  target: text.default(''),
  readOnly: omitEmpty(flag),
  consistency: omitEmpty(text),
  bindOptions: omitEmpty(
    z.object({
      propagation: omitEmpty(text),
      nonRecursive: omitEmpty(flag),
      createMountpoint: omitEmpty(flag),
      readOnlyNonRecursive: omitEmpty(flag),
      readOnlyForceRecursive: omitEmpty(flag),
    }),
  ),
  volumeOptions: omitEmpty(
    z.object({
      noCopy: omitEmpty(flag),
      labels: omitEmpty(strings),
      subpath: omitEmpty(text),
      driverConfig: omitEmpty(z.object({ name: omitEmpty(text), options: omitEmpty(strings) })),
    }),
  ),
  tmpfsOptions: omitEmpty(
    z.object({ sizeBytes: omitEmpty(whole), mode: omitEmpty(whole), options: omitEmpty(z.array(texts)) }),
  ),
  imageOptions: omitEmpty(z.object({ subpath: omitEmpty(text) })),
})

const DEVICE_REQUEST = z.object({
  driver: text.default(''),
  count: whole.default(0),
  deviceIDs: z.nullable(texts).default(null),
  capabilities: z.nullable(z.array(texts)).default(null),
  options: z.nullable(strings).default(null),
})

const RESOURCE_FIELDS = {
  cpuShares: field(whole),
  memory: field(whole),
  nanoCpus: field(whole),
  cgroupParent: field(text),
  blkioWeight: field(whole),
  blkioWeightDevice: field(
    z.nullable(z.array(z.object({ path: text.default(''), weight: whole.default(0) }))),
  ),
  blkioDeviceReadBps: field(z.nullable(RATES)),
  blkioDeviceWriteBps: field(z.nullable(RATES)),
  blkioDeviceReadIOps: field(z.nullable(RATES)),
  blkioDeviceWriteIOps: field(z.nullable(RATES)),
  cpuPeriod: field(whole),
  cpuQuota: field(whole),
  cpuRealtimePeriod: field(whole),
  cpuRealtimeRuntime: field(whole),
  cpusetCpus: field(text),
  cpusetMems: field(text),
  devices: field(
    z.nullable(
      z.array(
        z.object({
          pathOnHost: text.default(''),
          pathInContainer: text.default(''),
          cgroupPermissions: text.default(''),
        }),
      ),
    ),
  ),
  deviceCgroupRules: field(z.nullable(texts)),
  deviceRequests: field(z.nullable(z.array(DEVICE_REQUEST))),
  memoryReservation: field(whole),
  memorySwap: field(whole),
  memorySwappiness: pointer(z.nullable(whole)),
  oomKillDisable: pointer(z.nullable(flag)),
  pidsLimit: pointer(z.nullable(whole)),
  ulimits: field(
    z.nullable(z.array(z.object({ name: text.default(''), hard: whole.default(0), soft: whole.default(0) }))),
  ),
  // Windows only; dockerd on Linux accepts and echoes zeros.
  cpuCount: field(whole),
  cpuPercent: field(whole),
  ioMaximumIOps: field(whole),
  ioMaximumBandwidth: field(whole),
}

const RESTART_POLICY = z.object({ name: text.default(''), maximumRetryCount: whole.default(0) })

export const HOST_CONFIG = z.object({
  binds: field(z.nullable(texts)),
  containerIDFile: field(text),
  logConfig: field(z.object({ type: text.default(''), config: strings.default({}) })),
  networkMode: field(text),
  portBindings: field(z.record(text, z.nullable(z.array(BINDING)))),
  restartPolicy: field(RESTART_POLICY),
  autoRemove: field(flag),
  volumeDriver: field(text),
  volumesFrom: field(z.nullable(texts)),
  consoleSize: field(z.tuple([whole, whole])),
  annotations: omitEmpty(strings),
  capAdd: field(z.nullable(words)),
  capDrop: field(z.nullable(words)),
  cgroupnsMode: field(text),
  dns: field(texts),
  dnsOptions: field(texts),
  dnsSearch: field(texts),
  extraHosts: field(z.nullable(texts)),
  groupAdd: field(z.nullable(texts)),
  ipcMode: field(text),
  cgroup: field(text),
  links: field(z.nullable(texts)),
  oomScoreAdj: field(whole),
  pidMode: field(text),
  privileged: field(flag),
  publishAllPorts: field(flag),
  readonlyRootfs: field(flag),
  securityOpt: field(z.nullable(texts)),
  storageOpt: omitEmpty(strings),
  tmpfs: omitEmpty(strings),
  utsMode: field(text),
  usernsMode: field(text),
  shmSize: field(whole),
  sysctls: omitEmpty(strings),
  runtime: omitEmpty(text),
  isolation: field(text),
  ...RESOURCE_FIELDS,
  mounts: omitEmpty(z.array(MOUNT)),
  maskedPaths: field(z.nullable(texts)),
  readonlyPaths: field(z.nullable(texts)),
  init: pointer(flag),
})

export const ENDPOINT_CONFIG = z.object({
  ipamConfig: field(
    z.nullable(
      z.object({
        ipv4Address: omitEmpty(text),
        ipv6Address: omitEmpty(text),
        linkLocalIps: omitEmpty(texts),
      }),
    ),
  ),
  links: field(z.nullable(texts)),
  aliases: field(z.nullable(texts)),
  macAddress: field(text),
  driverOpts: field(z.nullable(strings)),
  gwPriority: field(whole),
})

const ENDPOINTS = field(z.object({ endpointsConfig: field(z.record(text, z.nullable(ENDPOINT_CONFIG))) }))

export const HEALTHCHECK_CODEC = codec('HealthConfig', HEALTHCHECK)
export const CONFIG = codec('Config', z.object(CONFIG_FIELDS))
export const HOST_CONFIG_CODEC = codec('HostConfig', HOST_CONFIG)
export const CREATE = codec(
  'CreateRequest',
  z.object({ ...CONFIG_FIELDS, hostConfig: field(HOST_CONFIG), networkingConfig: ENDPOINTS }),
)
/** What dockerd changes of a container; the rest it takes and ignores. */
const UPDATED = z.object(RESOURCE_FIELDS).pick({
  blkioWeight: true,
  cpuPeriod: true,
  cpuQuota: true,
  cpuRealtimePeriod: true,
  cpuRealtimeRuntime: true,
  cpuShares: true,
  cpusetCpus: true,
  cpusetMems: true,
  memory: true,
  memoryReservation: true,
  memorySwap: true,
  nanoCpus: true,
  pidsLimit: true,
})
export const UPDATE = codec(
  'UpdateConfig',
  z.object({ ...UPDATED.shape, restartPolicy: field(RESTART_POLICY) }),
)

export const EXEC_CREATE = codec(
  'ExecOptions',
  z.object({
    attachStdin: flag.default(false),
    attachStdout: flag.default(false),
    attachStderr: flag.default(false),
    tty: flag.default(false),
    consoleSize: field(z.nullable(z.tuple([whole, whole]))),
    detachKeys: field(text),
    env: z.nullable(texts).default(null),
    cmd: words.default([]),
    privileged: flag.default(false),
    user: text.default(''),
    workingDir: text.default(''),
  }),
)
export const EXEC_START = codec(
  'ExecStartOptions',
  z.object({
    detach: flag.default(false),
    tty: flag.default(false),
    consoleSize: field(z.nullable(z.tuple([whole, whole]))),
  }),
)
