/**
 * The part of the OCI runtime specification 1.2 (config.json) that Dewar speaks: the one language between
 * the engine and the isolation levels. Names are the specification's.
 */
export interface OciSpec {
  readonly ociVersion: string
  readonly process: OciProcess
  readonly root: { readonly path: string; readonly readonly: boolean }
  readonly hostname?: string
  readonly domainname?: string
  readonly mounts: readonly OciMount[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly linux: OciLinux
}

export interface OciProcess {
  readonly terminal: boolean
  readonly consoleSize?: { readonly height: number; readonly width: number }
  readonly user: {
    readonly uid: number
    readonly gid: number
    readonly additionalGids: readonly number[]
  }
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly capabilities: OciCapabilities
  readonly rlimits: readonly { readonly type: string; readonly soft: number; readonly hard: number }[]
  readonly noNewPrivileges: boolean
  readonly oomScoreAdj?: number
}

/** Sets of names such as CAP_CHOWN. No level gives inheritable or ambient ones; what is permitted is effective. */
export interface OciCapabilities {
  readonly bounding: readonly string[]
  readonly effective: readonly string[]
  readonly permitted: readonly string[]
}

export interface OciMount {
  readonly destination: string
  readonly type: string
  readonly source: string
  /** mount(8) words: ro, nosuid, rbind, rprivate, idmap, size=… */
  readonly options: readonly string[]
}

export type OciNamespaceType = 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup' | 'time'

export interface OciIdMapping {
  readonly containerID: number
  readonly hostID: number
  readonly size: number
}

export interface OciLinux {
  readonly namespaces: readonly { readonly type: OciNamespaceType; readonly path?: string }[]
  readonly uidMappings: readonly OciIdMapping[]
  readonly gidMappings: readonly OciIdMapping[]
  readonly timeOffsets?: Readonly<Record<string, { readonly secs: number; readonly nanosecs: number }>>
  readonly devices: readonly OciDevice[]
  readonly cgroupsPath: string
  readonly resources: OciResources
  readonly seccomp?: OciSeccomp
  readonly maskedPaths: readonly string[]
  readonly readonlyPaths: readonly string[]
  readonly sysctl: Readonly<Record<string, string>>
}

export interface OciDevice {
  readonly path: string
  readonly type: 'c' | 'b' | 'u' | 'p'
  readonly major: number
  readonly minor: number
  readonly fileMode: number
  readonly uid: number
  readonly gid: number
}

export interface OciDeviceRule {
  readonly allow: boolean
  /** a = all, c, b */
  readonly type: 'a' | 'c' | 'b'
  readonly major?: number
  readonly minor?: number
  /** any of r, w, m */
  readonly access: string
}

/** Sizes in bytes, quota and period in microseconds, rates in bytes or operations per second. */
export interface OciResources {
  readonly devices: readonly OciDeviceRule[]
  readonly memory?: {
    readonly limit?: number
    readonly reservation?: number
    /** memory plus swap; -1 is unlimited */
    readonly swap?: number
    readonly swappiness?: number
    readonly disableOOMKiller?: boolean
  }
  readonly cpu?: {
    readonly shares?: number
    readonly quota?: number
    readonly period?: number
    readonly realtimeRuntime?: number
    readonly realtimePeriod?: number
    readonly cpus?: string
    readonly mems?: string
  }
  readonly pids?: { readonly limit: number }
  readonly blockIO?: {
    readonly weight?: number
    readonly weightDevice?: readonly OciBlockWeight[]
    readonly throttleReadBpsDevice?: readonly OciBlockRate[]
    readonly throttleWriteBpsDevice?: readonly OciBlockRate[]
    readonly throttleReadIOPSDevice?: readonly OciBlockRate[]
    readonly throttleWriteIOPSDevice?: readonly OciBlockRate[]
  }
  readonly unified?: Readonly<Record<string, string>>
}

export interface OciBlockWeight {
  readonly major: number
  readonly minor: number
  readonly weight: number
}

export interface OciBlockRate {
  readonly major: number
  readonly minor: number
  readonly rate: number
}

/** The OCI form; Docker's profile JSON is translated into it. */
export interface OciSeccomp {
  readonly defaultAction: string
  readonly defaultErrnoRet?: number
  readonly architectures: readonly string[]
  /** SECCOMP_FILTER_FLAG_* */
  readonly flags?: readonly string[]
  readonly syscalls: readonly {
    readonly names: readonly string[]
    readonly action: string
    readonly errnoRet?: number
    readonly args?: readonly {
      readonly index: number
      readonly value: number | bigint
      readonly valueTwo?: number | bigint
      readonly op: string
    }[]
  }[]
}
