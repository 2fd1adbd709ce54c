/**
 * The engine's own words. Fields are those of Docker's Engine API in camelCase, one to one (HostConfig.CapAdd →
 * hostConfig.capAdd), so that the API room translates mechanically; nothing below src/api knows Docker's spelling.
 * Times are milliseconds since the epoch unless said otherwise, durations in health checks nanoseconds as in the API.
 */
import type { Builds } from './build-types.ts'
import type { EndpointConfig, Filters } from './types-config.ts'
import type { Containers, Execs } from './types-containers.ts'
import type { AuthConfig, Images } from './types-images.ts'

export type * from './types-config.ts'
export type * from './types-containers.ts'
export type * from './types-images.ts'

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

/** What a client asks for; what it leaves out is the engine's to choose. */
export type NetworkRequest = Partial<NetworkView> & {
  readonly name: string
  /** A scope was named, whichever. */
  readonly scopeGiven?: boolean
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
  /** It only keeps settings. */
  readonly configOnly: boolean
  /** Name of the network its settings are from, '' for none. */
  readonly configFrom: string
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
  create(options: NetworkRequest): Promise<{ readonly id: string; readonly warning: string }>
  remove(ref: string): Promise<void>
  connect(ref: string, container: string, endpoint: EndpointConfig): Promise<void>
  disconnect(ref: string, container: string, force: boolean): Promise<void>
  prune(filters: Filters): Promise<{ readonly deleted: readonly string[] }>
}

export interface EngineEvent {
  readonly type: 'container' | 'image' | 'network' | 'volume' | 'daemon' | 'builder'
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
