/** What the client sent and what the image says, merged into a container's configuration. Pure; Docker's rules. */
import { DewarError } from '../base/errors.ts'
import { closedPaths } from './spec-mounts.ts'
import type { ContainerConfig, CreateContainer, Healthcheck, HostConfig, ImageConfig } from './types.ts'

const DEFAULT_SHM = 64 * 1024 * 1024

/** `hostname` falls back to the short id unless the container shares a network or UTS namespace. */
export function mergeConfig(request: CreateContainer, image: ImageConfig, id: string): ContainerConfig {
  const given = request.config
  // An entrypoint from the client drops the image's command too: it was written for the image's entrypoint.
  const cmd = filled(given.cmd) ?? (given.entrypoint == null ? image.cmd : null)
  const healthcheck = mergeHealthcheck(given.healthcheck, image.healthcheck)
  const stopSignal = given.stopSignal || image.stopSignal
  const shell = filled(given.shell) ?? filled(image.shell)
  return {
    hostname: given.hostname || defaultHostname(request.hostConfig, id),
    domainname: given.domainname ?? '',
    user: given.user || image.user,
    attachStdin: given.attachStdin ?? false,
    attachStdout: given.attachStdout ?? false,
    attachStderr: given.attachStderr ?? false,
    exposedPorts: { ...image.exposedPorts, ...given.exposedPorts },
    tty: given.tty ?? false,
    openStdin: given.openStdin ?? false,
    stdinOnce: given.stdinOnce ?? false,
    env: mergeEnv(image.env, given.env ?? []),
    cmd,
    image: given.image,
    volumes: { ...image.volumes, ...given.volumes },
    workingDir: given.workingDir || image.workingDir || '',
    entrypoint: mergeEntrypoint(given.entrypoint, image.entrypoint),
    onBuild: null,
    labels: { ...image.labels, ...given.labels },
    ...(healthcheck === undefined ? {} : { healthcheck }),
    ...(stopSignal ? { stopSignal } : {}),
    ...(given.stopTimeout === undefined ? {} : { stopTimeout: given.stopTimeout }),
    ...(given.networkDisabled === undefined ? {} : { networkDisabled: given.networkDisabled }),
    ...(shell === undefined ? {} : { shell }),
  }
}

function filled(list: readonly string[] | null | undefined): readonly string[] | undefined {
  return list == null || list.length === 0 ? undefined : list
}

/** `--entrypoint ""` arrives as [""] and clears the image's. */
function mergeEntrypoint(given: readonly string[] | null | undefined, image: readonly string[] | null) {
  if (given == null) return image
  if (given.length === 1 && given[0] === '') return null
  return given.length === 0 ? image : given
}

/** Host's UTS namespace: the host's name is set by the lifecycle when it starts; nothing is made up here. */
function defaultHostname(host: Partial<HostConfig>, id: string): string {
  if (host.utsMode === 'host' || host.networkMode === 'host') return ''
  if (host.networkMode?.startsWith('container:') === true) return ''
  return id.slice(0, 12)
}

/** The client's variables win; the image's come first. A name without `=` is kept: it unsets at the start. */
export function mergeEnv(image: readonly string[], given: readonly string[]): string[] {
  const names = new Set(given.map(envName))
  return [...given, ...image.filter((entry) => !names.has(envName(entry)))]
}

export function envName(entry: string): string {
  const at = entry.indexOf('=')
  return at === -1 ? entry : entry.slice(0, at)
}

function mergeHealthcheck(given?: Healthcheck, image?: Healthcheck): Healthcheck | undefined {
  if (given === undefined || image === undefined) return given ?? image
  const test = filled(given.test) ?? image.test
  return {
    ...(test === undefined ? {} : { test }),
    ...durations(image),
    ...durations(given),
  }
}

function durations(check: Healthcheck): Omit<Healthcheck, 'test'> {
  const { test: _, ...rest } = check
  return Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined && value !== 0))
}

export interface HostDefaults {
  readonly runtime: string
  readonly logConfig: HostConfig['logConfig']
}

/** The client's wishes on top of Docker's defaults. */
export function completeHostConfig(given: Partial<HostConfig>, defaults: HostDefaults): HostConfig {
  const wanted = { ...EMPTY_HOST_CONFIG, ...given }
  const paths = wanted.privileged ? undefined : closedPaths(wanted, false)
  return {
    ...wanted,
    // Masked paths that nobody named stay null: the engine's are decided at each start, since meters come and go.
    ...(paths === undefined ? {} : { readonlyPaths: paths.readonly }),
    memorySwap: swapOf(wanted),
    // The docker client says "as it is" by -1.
    memorySwappiness: wanted.memorySwappiness === -1 ? null : wanted.memorySwappiness,
    // 0 and -1 mean no limit, as nothing does.
    pidsLimit: wanted.pidsLimit !== null && wanted.pidsLimit > 0 ? wanted.pidsLimit : null,
    logConfig: completeLog(given.logConfig, defaults.logConfig),
    networkMode: given.networkMode || 'default',
    restartPolicy: {
      name: given.restartPolicy?.name || 'no',
      maximumRetryCount: given.restartPolicy?.maximumRetryCount ?? 0,
    },
    ipcMode: given.ipcMode || 'private',
    cgroupnsMode: given.cgroupnsMode || 'private',
    shmSize: given.shmSize || DEFAULT_SHM,
    runtime: given.runtime || defaults.runtime,
  }
}

/** Memory alone means as much swap again. */
function swapOf({ memory, memorySwap }: Pick<HostConfig, 'memory' | 'memorySwap'>): number {
  return memory > 0 && memorySwap === 0 ? memory * 2 : memorySwap
}

function completeLog(given: HostConfig['logConfig'] | undefined, defaults: HostConfig['logConfig']) {
  if (given === undefined || given.type === '') {
    return { type: defaults.type, config: { ...defaults.config, ...given?.config } }
  }
  return given
}

const EMPTY_HOST_CONFIG: HostConfig = {
  binds: null,
  containerIDFile: '',
  logConfig: { type: '', config: {} },
  networkMode: 'default',
  portBindings: {},
  restartPolicy: { name: 'no', maximumRetryCount: 0 },
  autoRemove: false,
  volumeDriver: '',
  volumesFrom: null,
  consoleSize: [0, 0],
  capAdd: null,
  capDrop: null,
  cgroupnsMode: '',
  dns: [],
  dnsOptions: [],
  dnsSearch: [],
  extraHosts: null,
  groupAdd: null,
  ipcMode: '',
  cgroup: '',
  links: null,
  oomScoreAdj: 0,
  pidMode: '',
  privileged: false,
  publishAllPorts: false,
  readonlyRootfs: false,
  securityOpt: null,
  utsMode: '',
  usernsMode: '',
  shmSize: DEFAULT_SHM,
  runtime: '',
  isolation: '',
  cpuShares: 0,
  memory: 0,
  nanoCpus: 0,
  cgroupParent: '',
  blkioWeight: 0,
  blkioWeightDevice: null,
  blkioDeviceReadBps: null,
  blkioDeviceWriteBps: null,
  blkioDeviceReadIOps: null,
  blkioDeviceWriteIOps: null,
  cpuPeriod: 0,
  cpuQuota: 0,
  cpuRealtimePeriod: 0,
  cpuRealtimeRuntime: 0,
  cpusetCpus: '',
  cpusetMems: '',
  devices: null,
  deviceCgroupRules: null,
  deviceRequests: null,
  memoryReservation: 0,
  memorySwap: 0,
  memorySwappiness: null,
  oomKillDisable: null,
  pidsLimit: null,
  ulimits: null,
  maskedPaths: null,
  readonlyPaths: null,
}

/** The program and its arguments. Throws `invalid-argument` when neither the client nor the image names one. */
export function commandOf(config: ContainerConfig): {
  readonly path: string
  readonly args: readonly string[]
} {
  const [path, ...args] = [...(config.entrypoint ?? []), ...(config.cmd ?? [])]
  if (path === undefined) {
    throw new DewarError('invalid-argument', 'no command specified', {
      remedy: 'the image has neither ENTRYPOINT nor CMD; name the program to run after the image',
    })
  }
  return { path, args }
}

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface EnvInput {
  readonly config: Pick<ContainerConfig, 'env' | 'tty'>
  readonly hostname: string
  readonly home: string
  /** For exec: more variables and whether that process has a terminal. */
  readonly extra?: readonly string[]
  readonly tty?: boolean
}

/** The environment the program sees: defaults first, then what is configured; a bare name removes a default. */
export function processEnv(input: EnvInput): string[] {
  const variables = new Map<string, string>()
  const set = (entry: string): void => {
    if (entry.includes('=')) variables.set(envName(entry), entry)
    else variables.delete(entry)
  }
  set(DEFAULT_PATH)
  set(`HOSTNAME=${input.hostname}`)
  if (input.tty ?? input.config.tty) set('TERM=xterm')
  for (const entry of input.config.env) set(entry)
  for (const entry of input.extra ?? []) set(entry)
  // Also an empty one is replaced, as runc does.
  if (!variables.get('HOME')?.slice('HOME='.length)) set(`HOME=${input.home}`)
  return [...variables.values()]
}
