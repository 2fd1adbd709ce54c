/** What the engine promises of builds. Fields are those of Docker's `POST /build`. */
import type { Readable } from 'node:stream'
import type { AuthConfig, HostConfig, OnProgress } from './types.ts'

export interface BuildRequest {
  /** A tar (plain, gzip or zstd); undefined with `remote`. */
  readonly context?: Readable
  /** http(s) URL of a tar or of a Dockerfile. */
  readonly remote?: string
  /** Path in the context. */
  readonly dockerfile: string
  readonly tags: readonly string[]
  /** null: declared by the client without a value. */
  readonly buildArgs: Readonly<Record<string, string | null>>
  readonly labels: Readonly<Record<string, string>>
  readonly target: string
  readonly noCache: boolean
  /** Ask the registry for newer base images. */
  readonly pull: boolean
  /** Tell only the image's id. */
  readonly quiet: boolean
  /** Remove the containers of steps that went well; of all. */
  readonly remove: boolean
  readonly forceRemove: boolean
  readonly cacheFrom: readonly string[]
  readonly platform: string
  /** Network, hosts, limits of RUN. */
  readonly hostConfig: Partial<HostConfig>
  /** By registry. */
  readonly auth: Readonly<Record<string, AuthConfig>>
}

export interface Builds {
  /**
   * Resolves with the image's id. Throws with `exitStatus` when a RUN fails. What a RUN prints is read only as fast as
   * `ready` resolves: a reader that is slow slows the step down.
   */
  build(
    request: BuildRequest,
    onProgress: OnProgress,
    signal: AbortSignal,
    ready?: () => Promise<void>,
  ): Promise<string>
  /** There is no cache but images: it frees nothing, and says that it did. */
  prune(): Promise<{ readonly reclaimed: number }>
}
