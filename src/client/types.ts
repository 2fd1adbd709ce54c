/** Docker's JSON as far as we use it, in Docker's spelling. Times are RFC 3339 text or seconds since the epoch as the API has them. */
import { anything, flag, integer, list, map, maybe, object, text } from './shape.ts'
import type { Shaped } from './shape.ts'

export const portShape = object({ IP: text, PrivatePort: integer, PublicPort: integer, Type: text })
export const mountPointShape = object({
  Type: text,
  Name: text,
  Source: text,
  Destination: text,
  Driver: text,
  Mode: text,
  RW: flag,
  Propagation: text,
})

export const containerSummaryShape = object({
  Id: text,
  Names: list(text),
  Image: text,
  ImageID: text,
  Command: text,
  Created: integer,
  Ports: list(portShape),
  SizeRw: integer,
  SizeRootFs: integer,
  Labels: map(text),
  State: text,
  Status: text,
  NetworkSettings: object({ Networks: map(object({ NetworkID: text })) }),
  Mounts: list(mountPointShape),
})
export type ContainerSummary = Shaped<typeof containerSummaryShape>

export const portBindingShape = object({ HostIp: text, HostPort: text })
export const containerInspectShape = object({
  Id: text,
  Name: text,
  Created: text,
  Image: text,
  State: object({
    Status: text,
    Running: flag,
    Paused: flag,
    Restarting: flag,
    ExitCode: integer,
    Pid: integer,
    Error: text,
    OOMKilled: flag,
    StartedAt: text,
    FinishedAt: text,
  }),
  HostConfig: object({
    AutoRemove: flag,
    NetworkMode: text,
    Runtime: text,
    Isolation: text,
    UsernsMode: text,
    Privileged: flag,
  }),
  Config: object({
    Tty: flag,
    OpenStdin: flag,
    AttachStdin: flag,
    AttachStdout: flag,
    AttachStderr: flag,
    Image: text,
    Labels: map(text),
    Env: list(text),
    Cmd: list(text),
    Entrypoint: list(text),
  }),
  NetworkSettings: object({
    Ports: map(maybe(list(portBindingShape))),
    Networks: map(
      object({ NetworkID: text, IPAddress: text, Gateway: text, GlobalIPv6Address: text, MacAddress: text }),
    ),
  }),
  Mounts: list(mountPointShape),
  GraphDriver: object({ Name: text, Data: map(text) }),
})
export type ContainerInspect = Shaped<typeof containerInspectShape>

export const createdShape = object({ Id: text, Warnings: list(text) })
export const waitShape = object({ StatusCode: integer, Error: maybe(object({ Message: text })) })
export type WaitResult = Shaped<typeof waitShape>

export const topShape = object({ Titles: list(text), Processes: list(list(text)) })
export type Processes = Shaped<typeof topShape>

export const changeShape = object({ Path: text, Kind: integer })
export type Change = Shaped<typeof changeShape>

const cpuShape = object({
  cpu_usage: object({ total_usage: integer, percpu_usage: list(integer) }),
  system_cpu_usage: integer,
  online_cpus: integer,
})
export const statsShape = object({
  id: text,
  name: text,
  read: text,
  pids_stats: object({ current: integer }),
  cpu_stats: cpuShape,
  precpu_stats: cpuShape,
  memory_stats: object({ usage: integer, limit: integer, stats: map(integer) }),
  blkio_stats: object({ io_service_bytes_recursive: list(object({ op: text, value: integer })) }),
  networks: map(object({ rx_bytes: integer, tx_bytes: integer })),
})
export type Stats = Shaped<typeof statsShape>

/** The answer to HEAD archive, out of the X-Docker-Container-Path-Stat header. `mode` has Go's FileMode bits. */
export const pathStatShape = object({
  name: text,
  size: integer,
  mode: integer,
  mtime: text,
  linkTarget: text,
})
export type PathStat = Shaped<typeof pathStatShape>

export const pruneShape = object({
  ContainersDeleted: list(text),
  ImagesDeleted: list(object({ Untagged: text, Deleted: text })),
  VolumesDeleted: list(text),
  NetworksDeleted: list(text),
  CachesDeleted: list(text),
  SpaceReclaimed: integer,
})
export type Pruned = Shaped<typeof pruneShape>

export const imageSummaryShape = object({
  Id: text,
  ParentId: text,
  RepoTags: list(text),
  RepoDigests: list(text),
  Created: integer,
  Size: integer,
  SharedSize: integer,
  VirtualSize: integer,
  Labels: map(text),
  Containers: integer,
})
export type ImageSummary = Shaped<typeof imageSummaryShape>

export const historyShape = object({
  Id: text,
  Created: integer,
  CreatedBy: text,
  Tags: list(text),
  Size: integer,
  Comment: text,
})
export type HistoryLine = Shaped<typeof historyShape>

export const removedShape = object({ Untagged: text, Deleted: text })
export type Removed = Shaped<typeof removedShape>

/** One line of pull, push, load or import progress. */
export const progressShape = object({
  id: text,
  status: text,
  stream: text,
  from: text,
  progress: text,
  progressDetail: maybe(object({ current: integer, total: integer, units: text, hidecounts: flag })),
  errorDetail: maybe(object({ code: integer, message: text })),
  error: text,
  aux: anything,
})
export type Progress = Shaped<typeof progressShape>

export const networkShape = object({
  Id: text,
  Name: text,
  Created: text,
  Scope: text,
  Driver: text,
  EnableIPv4: flag,
  EnableIPv6: flag,
  Internal: flag,
  Labels: map(text),
  Containers: map(object({ Name: text })),
})
export type Network = Shaped<typeof networkShape>

export const volumeShape = object({
  Name: text,
  Driver: text,
  Mountpoint: text,
  Scope: text,
  Labels: map(text),
  Options: map(text),
  CreatedAt: text,
  UsageData: maybe(object({ Size: integer, RefCount: integer })),
})
export type Volume = Shaped<typeof volumeShape>

export const execInspectShape = object({
  ID: text,
  Running: flag,
  ExitCode: integer,
  Pid: integer,
  ContainerID: text,
})
export type ExecInspect = Shaped<typeof execInspectShape>

export const eventShape = object({
  Type: text,
  Action: text,
  Actor: object({ ID: text, Attributes: map(text) }),
  scope: text,
  time: integer,
  timeNano: integer,
})
export type EngineEvent = Shaped<typeof eventShape>

export const versionShape = object({
  Platform: object({ Name: text }),
  Components: list(object({ Name: text, Version: text, Details: map(text) })),
  Version: text,
  ApiVersion: text,
  MinAPIVersion: text,
  GitCommit: text,
  GoVersion: text,
  Os: text,
  Arch: text,
  KernelVersion: text,
  Experimental: flag,
  BuildTime: text,
})
export type VersionInfo = Shaped<typeof versionShape>

const commitShape = object({ ID: text, Expected: text })
export const infoShape = object({
  ID: text,
  Containers: integer,
  ContainersRunning: integer,
  ContainersPaused: integer,
  ContainersStopped: integer,
  Images: integer,
  Driver: text,
  DriverStatus: list(list(text)),
  Plugins: object({ Volume: list(text), Network: list(text), Authorization: list(text), Log: list(text) }),
  MemoryLimit: flag,
  SwapLimit: flag,
  CpuCfsPeriod: flag,
  CpuCfsQuota: flag,
  CPUShares: flag,
  CPUSet: flag,
  PidsLimit: flag,
  IPv4Forwarding: flag,
  BridgeNfIptables: flag,
  BridgeNfIp6tables: flag,
  OomKillDisable: flag,
  Debug: flag,
  NFd: integer,
  NGoroutines: integer,
  SystemTime: text,
  NEventsListener: integer,
  LoggingDriver: text,
  CgroupDriver: text,
  CgroupVersion: text,
  KernelVersion: text,
  OperatingSystem: text,
  OSVersion: text,
  OSType: text,
  Architecture: text,
  IndexServerAddress: text,
  RegistryConfig: object({
    InsecureRegistryCIDRs: list(text),
    IndexConfigs: map(object({ Name: text, Secure: flag })),
    Mirrors: list(text),
  }),
  NCPU: integer,
  MemTotal: integer,
  DockerRootDir: text,
  HttpProxy: text,
  HttpsProxy: text,
  NoProxy: text,
  Name: text,
  Labels: list(text),
  ExperimentalBuild: flag,
  ServerVersion: text,
  Runtimes: map(anything),
  DefaultRuntime: text,
  Swarm: object({ LocalNodeState: text }),
  LiveRestoreEnabled: flag,
  Isolation: text,
  InitBinary: text,
  ContainerdCommit: commitShape,
  RuncCommit: commitShape,
  InitCommit: commitShape,
  SecurityOptions: list(text),
  Warnings: list(text),
  CDISpecDirs: list(text),
})
export type Info = Shaped<typeof infoShape>

export const diskUsageShape = object({
  LayersSize: integer,
  Images: list(imageSummaryShape),
  Containers: list(containerSummaryShape),
  Volumes: list(volumeShape),
  BuildCache: list(
    object({
      ID: text,
      Type: text,
      Description: text,
      InUse: flag,
      Shared: flag,
      Size: integer,
      CreatedAt: text,
      LastUsedAt: text,
      UsageCount: integer,
    }),
  ),
})
export type DiskUsage = Shaped<typeof diskUsageShape>

export const authShape = object({ Status: text, IdentityToken: text })

/** Docker's `filters` parameter: key → accepted values. */
export type Filters = Readonly<Record<string, readonly string[]>>

/** As the API wants them in the query: {"key":{"value":true}}; undefined when there are none. */
export function encodeFilters(filters: Filters | undefined): string | undefined {
  const entries = Object.entries(filters ?? {})
  if (entries.length === 0) return undefined
  return JSON.stringify(
    Object.fromEntries(
      entries.map(([key, values]) => [key, Object.fromEntries(values.map((v) => [v, true]))]),
    ),
  )
}

/** Names and secrets for a registry, as X-Registry-Auth carries them. */
export interface RegistryAuth {
  readonly username?: string
  readonly password?: string
  readonly identitytoken?: string
  readonly serveraddress?: string
}
