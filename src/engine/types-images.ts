/** Images as clients see them, and what can be done with them. */
import type { Readable } from 'node:stream'
import type { Distribution } from '../registry/distribution.ts'
import type { SearchResult } from '../registry/search.ts'
import type { ContainerConfig, Filters, Healthcheck } from './types-config.ts'

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
  /** Their folders, topmost first; only of an image that is inspected. */
  readonly folders?: readonly string[]
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
