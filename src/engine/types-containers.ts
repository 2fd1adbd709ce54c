/** Containers as clients see them, and what can be done with them. */
import type { Duplex, Readable } from 'node:stream'
import type { CgroupStats } from '../kernel/cgroup-stats.ts'
import type {
  ContainerConfig,
  CreateContainer,
  EndpointConfig,
  Filters,
  HostConfig,
  PortBinding,
} from './types-config.ts'

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
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'image'
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
export interface Stats extends CgroupStats {
  readonly read: number
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
