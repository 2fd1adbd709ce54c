/** What a client asks for when it creates a container: kept as given, echoed by inspect. */
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
  readonly imageOptions?: { readonly subpath?: string }
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

/** A parsed `filters` parameter: key → values (all sent values; `key=value` values unsplit). */
export type Filters = ReadonlyMap<string, readonly string[]>
