/**
 * The engine's own words. Fields are those of Docker's Engine API in camelCase, one to one (HostConfig.CapAdd →
 * hostConfig.capAdd), so that the API room translates mechanically; nothing below src/api knows Docker's spelling.
 * Times are milliseconds since the epoch unless said otherwise, durations in health checks nanoseconds as in the API.
 */
import type { Readable, Duplex } from 'node:stream'
import type { Distribution } from '../registry/distribution.ts'
import type { SearchResult } from '../registry/search.ts'
import type { Builds } from './build-types.ts'

// ---------------------------------------------------------------- configuration (kept as given, echoed by inspect)
export interface ContainerConfig {
  readonly hostname: string
  readonly domainname: string
  readonly user: string
  readonly attachStdin: boolean
  readonly attachStdout: boolean
  readonly attachStderr: boolean
  readonly exposedPorts: Readonly<Record<string, object>>
  readonly tty: boolean
  readonly openStdin: boolean
  readonly stdinOnce: boolean
  readonly env: readonly string[]
  readonly cmd: readonly string[] | null
  readonly healthcheck?: Healthcheck
  readonly image: string
  readonly volumes: Readonly<Record<string, object>>
  readonly workingDir: string
  readonly entrypoint: readonly string[] | null
  readonly networkDisabled?: boolean
  readonly onBuild: readonly string[] | null
  readonly labels: Readonly<Record<string, string>>
  readonly stopSignal?: string
  readonly stopTimeout?: number
  readonly shell?: readonly string[]
}

/** Durations in nanoseconds. */
export interface Healthcheck {
  readonly test?: readonly string[]
  readonly interval?: number
  readonly timeout?: number
  readonly startPeriod?: number
  readonly startInterval?: number
  readonly retries?: number
}

export interface PortBinding {
  readonly hostIp: string
  readonly hostPort: string
}

export interface Mount {
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'npipe' | 'cluster' | 'image'
  readonly source?: string
  readonly target: string
  readonly readOnly?: boolean
  readonly consistency?: string
  readonly bindOptions?: {
    readonly propagation?: string
    readonly nonRecursive?: boolean
    readonly createMountpoint?: boolean
    readonly readOnlyNonRecursive?: boolean
    readonly readOnlyForceRecursive?: boolean
  }
  readonly volumeOptions?: {
    readonly noCopy?: boolean
    readonly labels?: Readonly<Record<string, string>>
    readonly driverConfig?: { readonly name?: string; readonly options?: Readonly<Record<string, string>> }
    readonly subpath?: string
  }
  readonly tmpfsOptions?: {
    readonly sizeBytes?: number
    readonly mode?: number
    readonly options?: readonly (readonly string[])[]
  }
}

/** Memory in bytes; nanoCpus 1e9 per CPU; quota and period in microseconds. */
export interface HostConfig {
  readonly binds: readonly string[] | null
  readonly containerIDFile: string
  readonly logConfig: { readonly type: string; readonly config: Readonly<Record<string, string>> }
  readonly networkMode: string
  readonly portBindings: Readonly<Record<string, readonly PortBinding[] | null>>
  readonly restartPolicy: { readonly name: string; readonly maximumRetryCount: number }
  readonly autoRemove: boolean
  readonly volumeDriver: string
  readonly volumesFrom: readonly string[] | null
  readonly consoleSize: readonly [number, number]
  readonly annotations?: Readonly<Record<string, string>>
  readonly capAdd: readonly string[] | null
  readonly capDrop: readonly string[] | null
  readonly cgroupnsMode: string
  readonly dns: readonly string[]
  readonly dnsOptions: readonly string[]
  readonly dnsSearch: readonly string[]
  readonly extraHosts: readonly string[] | null
  readonly groupAdd: readonly string[] | null
  readonly ipcMode: string
  readonly cgroup: string
  readonly links: readonly string[] | null
  readonly oomScoreAdj: number
  readonly pidMode: string
  readonly privileged: boolean
  readonly publishAllPorts: boolean
  readonly readonlyRootfs: boolean
  readonly securityOpt: readonly string[] | null
  readonly storageOpt?: Readonly<Record<string, string>>
  readonly tmpfs?: Readonly<Record<string, string>>
  readonly utsMode: string
  readonly usernsMode: string
  readonly shmSize: number
  readonly sysctls?: Readonly<Record<string, string>>
  readonly runtime: string
  readonly isolation: string
  readonly cpuShares: number
  readonly memory: number
  readonly nanoCpus: number
  readonly cgroupParent: string
  readonly blkioWeight: number
  readonly blkioWeightDevice: readonly { readonly path: string; readonly weight: number }[] | null
  readonly blkioDeviceReadBps: readonly RateDevice[] | null
  readonly blkioDeviceWriteBps: readonly RateDevice[] | null
  readonly blkioDeviceReadIOps: readonly RateDevice[] | null
  readonly blkioDeviceWriteIOps: readonly RateDevice[] | null
  /** Windows' limits: refused or ignored. */
  readonly cpuPercent?: number
  readonly ioMaximumIOps?: number
  readonly ioMaximumBandwidth?: number
  readonly cpuPeriod: number
  readonly cpuQuota: number
  readonly cpuRealtimePeriod: number
  readonly cpuRealtimeRuntime: number
  readonly cpusetCpus: string
  readonly cpusetMems: string
  readonly devices:
    | readonly {
        readonly pathOnHost: string
        readonly pathInContainer: string
        readonly cgroupPermissions: string
      }[]
    | null
  readonly deviceCgroupRules: readonly string[] | null
  readonly deviceRequests:
    | readonly {
        readonly driver: string
        readonly count: number
        readonly deviceIDs: readonly string[] | null
        readonly capabilities: readonly (readonly string[])[] | null
        readonly options: Readonly<Record<string, string>> | null
      }[]
    | null
  readonly memoryReservation: number
  readonly memorySwap: number
  readonly memorySwappiness: number | null
  readonly oomKillDisable: boolean | null
  readonly pidsLimit: number | null
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[] | null
  readonly mounts?: readonly Mount[]
  readonly maskedPaths: readonly string[] | null
  readonly readonlyPaths: readonly string[] | null
  readonly init?: boolean
}

export interface RateDevice {
  readonly path: string
  readonly rate: number
}

export interface EndpointConfig {
  readonly ipamConfig?: {
    readonly ipv4Address?: string
    readonly ipv6Address?: string
    readonly linkLocalIps?: readonly string[]
  } | null
  readonly links?: readonly string[] | null
  readonly aliases?: readonly string[] | null
  readonly macAddress?: string
  readonly driverOpts?: Readonly<Record<string, string>> | null
  /** The highest of a container's networks gives its default route. */
  readonly gwPriority?: number
}

export interface CreateContainer {
  readonly name?: string
  readonly platform?: string
  /** Only what the client sent; the engine fills in defaults and the image's own configuration. */
  readonly config: Partial<ContainerConfig> & { readonly image: string }
  readonly hostConfig: Partial<HostConfig>
  readonly endpoints: Readonly<Record<string, EndpointConfig>>
}

// ---------------------------------------------------------------- containers
export type Status = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead'

export interface ContainerState {
  readonly status: Status
  readonly running: boolean
  readonly paused: boolean
  readonly restarting: boolean
  readonly oomKilled: boolean
  readonly dead: boolean
  readonly pid: number
  readonly exitCode: number
  readonly error: string
  /** 0 = never. */
  readonly startedAt: number
  readonly finishedAt: number
  readonly health?: Health
}

export interface Health {
  readonly status: 'none' | 'starting' | 'healthy' | 'unhealthy'
  readonly failingStreak: number
  readonly log: readonly {
    readonly start: number
    readonly end: number
    readonly exitCode: number
    readonly output: string
  }[]
}

export interface MountPoint {
  readonly type: 'bind' | 'volume' | 'tmpfs'
  readonly name?: string
  readonly source: string
  readonly destination: string
  readonly driver?: string
  readonly mode: string
  readonly rw: boolean
  readonly propagation: string
}

export interface EndpointState extends EndpointConfig {
  readonly networkID: string
  readonly endpointID: string
  readonly gateway: string
  readonly ipAddress: string
  readonly ipPrefixLen: number
  readonly ipv6Gateway: string
  readonly globalIPv6Address: string
  readonly globalIPv6PrefixLen: number
  readonly dnsNames: readonly string[] | null
}

export interface ContainerView {
  readonly id: string
  readonly name: string
  /** "/other/alias" for each link to it on the default bridge. */
  readonly linkNames: readonly string[]
  readonly created: number
  /** The image's id, sha256:… */
  readonly imageId: string
  readonly path: string
  readonly args: readonly string[]
  readonly config: ContainerConfig
  readonly hostConfig: HostConfig
  readonly state: ContainerState
  readonly restartCount: number
  readonly mounts: readonly MountPoint[]
  readonly networks: Readonly<Record<string, EndpointState>>
  /** What is published now, "80/tcp" → bindings; null values for exposed and unpublished. */
  readonly ports: Readonly<Record<string, readonly PortBinding[] | null>>
  readonly paths: {
    readonly log: string
    readonly hosts: string
    readonly hostname: string
    readonly resolvConf: string
  }
  readonly graph: { readonly lower: readonly string[]; readonly upper: string; readonly work: string }
  readonly execIds: readonly string[]
  readonly platform: string
  /** Filled when asked for: bytes in the writable layer, and with the image. */
  readonly sizeRw?: number
  readonly sizeRootFs?: number
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed'

export interface AttachRequest {
  readonly stream: boolean
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  /** Replay the log first. */
  readonly logs: boolean
  /** Bytes that detach (terminal only); default ctrl-p ctrl-q. "ctrl-a,d" form, parsed by the engine. */
  readonly detachKeys?: string
}

export interface LogsRequest {
  readonly follow: boolean
  readonly stdout: boolean
  readonly stderr: boolean
  /** Milliseconds since the epoch with fraction (nanosecond precision as text in the log). 0 = all. */
  readonly since: number
  readonly until: number
  readonly timestamps: boolean
  readonly details: boolean
  /** -1 = all. */
  readonly tail: number
}

export interface ExecConfig {
  readonly attachStdin: boolean
  readonly attachStdout: boolean
  readonly attachStderr: boolean
  readonly tty: boolean
  readonly consoleSize?: readonly [number, number] | null
  readonly detachKeys?: string
  readonly env: readonly string[] | null
  readonly cmd: readonly string[]
  readonly privileged: boolean
  readonly user: string
  readonly workingDir: string
}

export interface ExecView {
  readonly id: string
  readonly containerId: string
  readonly running: boolean
  readonly exitCode: number | null
  readonly pid: number
  readonly config: ExecConfig
  readonly canRemove: boolean
  readonly entrypoint: string
  readonly arguments: readonly string[]
  readonly openStdin: boolean
  readonly openStdout: boolean
  readonly openStderr: boolean
}

/** Nanoseconds for CPU, bytes for memory and traffic, as in the API. */
export interface Stats {
  readonly read: number
  readonly pids: { readonly current: number; readonly limit: number | null }
  readonly cpu: {
    readonly total: number
    readonly user: number
    readonly kernel: number
    readonly perCpu: readonly number[] | null
    readonly system: number
    readonly online: number
    readonly throttling: { readonly periods: number; readonly throttled: number; readonly time: number }
  }
  readonly memory: {
    readonly usage: number
    readonly max: number | null
    readonly limit: number
    readonly stats: Readonly<Record<string, number>>
    readonly failcnt: number | null
  }
  readonly blkio: readonly {
    readonly major: number
    readonly minor: number
    readonly op: string
    readonly value: number
  }[]
  readonly networks: Readonly<Record<string, NetworkStats>>
}

export interface NetworkStats {
  readonly rxBytes: number
  readonly rxPackets: number
  readonly rxErrors: number
  readonly rxDropped: number
  readonly txBytes: number
  readonly txPackets: number
  readonly txErrors: number
  readonly txDropped: number
}

export interface PathStat {
  readonly name: string
  readonly size: number
  /** Go's os.FileMode bits, as the API's X-Docker-Container-Path-Stat wants. */
  readonly mode: number
  readonly mtime: number
  readonly linkTarget: string
}

export interface Change {
  readonly path: string
  /** 0 modified, 1 added, 2 deleted */
  readonly kind: 0 | 1 | 2
}

/** A parsed `filters` parameter: key → values (all sent values; `key=value` values unsplit). */
export type Filters = ReadonlyMap<string, readonly string[]>

export interface Containers {
  list(options: {
    readonly all: boolean
    readonly limit: number
    readonly size: boolean
    readonly filters: Filters
  }): Promise<ContainerView[]>
  create(request: CreateContainer): Promise<{ readonly id: string; readonly warnings: readonly string[] }>
  /** By id, unique id prefix or name. Throws not-found. */
  inspect(ref: string, options?: { readonly size?: boolean }): Promise<ContainerView>
  /** Throws not-modified when it runs already. */
  start(ref: string, options?: { readonly detachKeys?: string }): Promise<void>
  /** `signal` and `timeout` (s) default to the container's own. Throws not-modified when it does not run. */
  stop(ref: string, options: { readonly signal?: string; readonly timeout?: number }): Promise<void>
  restart(ref: string, options: { readonly signal?: string; readonly timeout?: number }): Promise<void>
  kill(ref: string, signal: string): Promise<void>
  pause(ref: string): Promise<void>
  unpause(ref: string): Promise<void>
  rename(ref: string, name: string): Promise<void>
  update(ref: string, change: Partial<HostConfig>): Promise<{ readonly warnings: readonly string[] }>
  remove(
    ref: string,
    options: { readonly force: boolean; readonly volumes: boolean; readonly link: boolean },
  ): Promise<void>
  prune(filters: Filters): Promise<{ readonly deleted: readonly string[]; readonly reclaimed: number }>
  /** The outer promise resolves when the wait is armed (response headers may go out), `result` when it is over. */
  wait(
    ref: string,
    condition: WaitCondition,
  ): Promise<{ readonly result: Promise<{ readonly code: number; readonly error?: string }> }>
  /** Works before the start too. The stream is Docker's multiplexed or raw format (`tty`), see core-api.ts. */
  attach(ref: string, request: AttachRequest): Promise<{ readonly stream: Duplex; readonly tty: boolean }>
  logs(
    ref: string,
    request: LogsRequest,
    signal: AbortSignal,
  ): Promise<{ readonly stream: Readable; readonly tty: boolean }>
  resize(ref: string, rows: number, cols: number): Promise<void>
  top(
    ref: string,
    psArgs: string,
  ): Promise<{ readonly titles: readonly string[]; readonly processes: readonly (readonly string[])[] }>
  stats(ref: string): Promise<Stats>
  changes(ref: string): Promise<readonly Change[]>
  export(ref: string): Promise<Readable>
  /** A tar of the path. */
  archiveGet(ref: string, path: string): Promise<{ readonly stat: PathStat; readonly stream: Readable }>
  archiveStat(ref: string, path: string): Promise<PathStat>
  archivePut(
    ref: string,
    path: string,
    tar: Readable,
    options: { readonly noOverwriteDirNonDir: boolean; readonly copyUidGid: boolean },
  ): Promise<void>
}

export interface Execs {
  create(container: string, config: ExecConfig): Promise<string>
  /** `stream` when not detached. */
  start(
    id: string,
    options: {
      readonly detach: boolean
      readonly tty: boolean
      readonly consoleSize?: readonly [number, number] | null
    },
  ): Promise<{ readonly stream?: Duplex; readonly tty: boolean }>
  resize(id: string, rows: number, cols: number): Promise<void>
  inspect(id: string): Promise<ExecView>
}

// ---------------------------------------------------------------- images
export interface ImageConfig {
  readonly user: string
  readonly exposedPorts: Readonly<Record<string, object>>
  readonly env: readonly string[]
  readonly entrypoint: readonly string[] | null
  readonly cmd: readonly string[] | null
  readonly volumes: Readonly<Record<string, object>>
  readonly workingDir: string
  readonly labels: Readonly<Record<string, string>>
  readonly stopSignal?: string
  readonly healthcheck?: Healthcheck
  readonly onBuild?: readonly string[] | null
  readonly shell?: readonly string[] | null
  readonly argsEscaped?: boolean
}

export interface ImageView {
  /** sha256:… of the config blob */
  readonly id: string
  readonly repoTags: readonly string[]
  readonly repoDigests: readonly string[]
  readonly parent: string
  readonly comment: string
  /** Milliseconds, 0 when the image does not say. */
  readonly created: number
  readonly author: string
  readonly architecture: string
  readonly variant?: string
  readonly os: string
  readonly size: number
  readonly config: ImageConfig
  /** diff ids, bottom first */
  readonly layers: readonly string[]
  /** Bytes of each of these; only when a list was asked for with `sharedSize`. */
  readonly layerSizes?: readonly number[]
  readonly lastTagTime: number
  readonly containers: number
}

export interface HistoryEntry {
  readonly id: string
  readonly created: number
  readonly createdBy: string
  readonly tags: readonly string[]
  readonly size: number
  readonly comment: string
}

export interface AuthConfig {
  readonly username?: string
  readonly password?: string
  readonly auth?: string
  readonly identityToken?: string
  readonly registryToken?: string
  readonly serverAddress?: string
}

/** One line of Docker's JSON progress stream. */
export interface Progress {
  readonly status?: string
  readonly id?: string
  readonly progressDetail?: { readonly current?: number; readonly total?: number }
  readonly stream?: string
  readonly aux?: unknown
  readonly error?: string
}
export type OnProgress = (progress: Progress) => void

export interface Images {
  list(options: {
    readonly all: boolean
    readonly filters: Filters
    readonly sharedSize: boolean
  }): Promise<ImageView[]>
  /** By reference, id, or unique id prefix. Throws not-found "No such image: x". */
  inspect(ref: string): Promise<ImageView>
  history(ref: string): Promise<HistoryEntry[]>
  pull(
    ref: string,
    options: {
      readonly platform?: string
      readonly auth?: AuthConfig
      readonly allTags?: boolean
      readonly onProgress: OnProgress
      readonly signal: AbortSignal
    },
  ): Promise<void>
  push(
    ref: string,
    options: {
      readonly tag?: string
      readonly auth?: AuthConfig
      readonly onProgress: OnProgress
      readonly signal: AbortSignal
    },
  ): Promise<void>
  /** What a registry has, without pulling it. */
  distribution(ref: string, auth: AuthConfig | undefined, signal: AbortSignal): Promise<Distribution>
  /** `limit`: 1 to 100. */
  search(
    term: string,
    options: { readonly limit: number; readonly auth: AuthConfig | undefined; readonly signal: AbortSignal },
  ): Promise<SearchResult[]>
  tag(ref: string, target: string): Promise<void>
  remove(
    ref: string,
    options: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<{ readonly untagged?: string; readonly deleted?: string }[]>
  prune(filters: Filters): Promise<{
    readonly deleted: readonly { readonly untagged?: string; readonly deleted?: string }[]
    readonly reclaimed: number
  }>
  /** A docker archive that is an OCI layout too, as `docker save` writes. */
  save(refs: readonly string[]): Promise<Readable>
  load(tar: Readable, onProgress: OnProgress): Promise<void>
  /** One layer from a root filesystem tar; resolves with the image id. */
  import(
    tar: Readable,
    options: {
      readonly reference?: string
      readonly message?: string
      readonly changes: readonly string[]
      readonly platform?: string
      readonly onProgress: OnProgress
    },
  ): Promise<string>
  commit(
    container: string,
    options: {
      readonly reference?: string
      readonly comment: string
      readonly author: string
      readonly pause: boolean
      readonly changes: readonly string[]
      readonly config?: Partial<ContainerConfig>
    },
  ): Promise<string>
}

// ---------------------------------------------------------------- volumes, networks, system
export interface VolumeView {
  readonly name: string
  readonly driver: string
  readonly mountpoint: string
  readonly createdAt: number
  readonly labels: Readonly<Record<string, string>> | null
  readonly options: Readonly<Record<string, string>> | null
  readonly scope: 'local'
  readonly usage?: { readonly size: number; readonly refCount: number }
}

export interface Volumes {
  /** `usage` also measures each volume, which reads all of it. */
  list(filters: Filters, options?: { readonly usage?: boolean }): Promise<VolumeView[]>
  create(options: {
    readonly name?: string
    readonly driver?: string
    readonly driverOpts?: Readonly<Record<string, string>>
    readonly labels?: Readonly<Record<string, string>>
  }): Promise<VolumeView>
  inspect(name: string): Promise<VolumeView>
  remove(name: string, force: boolean): Promise<void>
  prune(filters: Filters): Promise<{ readonly deleted: readonly string[]; readonly reclaimed: number }>
}

export interface NetworkView {
  readonly id: string
  readonly name: string
  readonly created: number
  readonly driver: string
  readonly scope: 'local'
  readonly enableIPv4: boolean
  readonly enableIPv6: boolean
  readonly internal: boolean
  readonly attachable: boolean
  readonly ingress: boolean
  readonly ipam: {
    readonly driver: string
    readonly options: Readonly<Record<string, string>> | null
    readonly config: readonly {
      readonly subnet?: string
      readonly gateway?: string
      readonly ipRange?: string
      readonly auxiliaryAddresses?: Readonly<Record<string, string>>
    }[]
  }
  readonly options: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly containers: Readonly<
    Record<
      string,
      {
        readonly name: string
        readonly endpointID: string
        readonly macAddress: string
        readonly ipv4Address: string
        readonly ipv6Address: string
      }
    >
  >
}

export interface Networks {
  list(filters: Filters): Promise<NetworkView[]>
  inspect(ref: string): Promise<NetworkView>
  create(
    options: Partial<NetworkView> & { readonly name: string },
  ): Promise<{ readonly id: string; readonly warning: string }>
  remove(ref: string): Promise<void>
  connect(ref: string, container: string, endpoint: EndpointConfig): Promise<void>
  disconnect(ref: string, container: string, force: boolean): Promise<void>
  prune(filters: Filters): Promise<{ readonly deleted: readonly string[] }>
}

export interface EngineEvent {
  readonly type: 'container' | 'image' | 'network' | 'volume' | 'daemon'
  readonly action: string
  readonly actor: { readonly id: string; readonly attributes: Readonly<Record<string, string>> }
  /** Milliseconds; unique and increasing when read as nanoseconds by `timeNano`. */
  readonly time: number
  readonly timeNano: bigint
}

export interface SystemInfo {
  readonly id: string
  readonly name: string
  readonly root: string
  readonly containers: number
  readonly running: number
  readonly paused: number
  readonly stopped: number
  readonly images: number
  readonly kernelVersion: string
  readonly operatingSystem: string
  readonly osVersion: string
  readonly architecture: string
  readonly cpus: number
  readonly memory: number
  readonly cgroupDriver: 'cgroupfs' | 'systemd'
  readonly cgroupVersion: '1' | '2'
  readonly levels: readonly { readonly name: string; readonly available: boolean; readonly reason?: string }[]
  readonly warnings: readonly string[]
  readonly registryMirrors: readonly string[]
  readonly insecureRegistries: readonly string[]
  readonly goroutines: number
  readonly fileDescriptors: number
  readonly eventListeners: number
}

export interface EngineApi {
  readonly containers: Containers
  readonly execs: Execs
  readonly images: Images
  readonly builds: Builds
  readonly volumes: Volumes
  readonly networks: Networks
  info(): Promise<SystemInfo>
  /** Verifies credentials with a registry. */
  auth(config: AuthConfig): Promise<{ readonly status: string; readonly identityToken: string }>
  /** Past events since `since` (ms, undefined: none), then live ones until `until` or abort. */
  events(options: {
    readonly since?: number
    readonly until?: number
    readonly filters: Filters
    readonly signal: AbortSignal
  }): AsyncIterable<EngineEvent>
}
