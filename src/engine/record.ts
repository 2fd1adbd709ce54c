/** What is remembered of a container: kept on disk by record-file.ts. */
import { z } from 'zod'
import type { IdRange } from './spec-namespaces.ts'
import type {
  ContainerConfig,
  EndpointConfig,
  EndpointState,
  HostConfig,
  MountPoint,
  PortBinding,
} from './types.ts'
import type { ResolvedMount } from './spec-mounts.ts'

/**
 * `running` is written before the shim starts, so that an engine that dies in between knows what to look for; the
 * shim is the truth about whether it does run.
 */
export type RecordedState =
  | { readonly status: 'created'; readonly exitCode: number; readonly error: string }
  | {
      readonly status: 'running'
      readonly startedAt: number
      readonly paused: boolean
      /** Paused by a commit, and for that long only. */
      readonly committing?: boolean
      readonly finishedAt?: number
    }
  | {
      readonly status: 'exited' | 'dead'
      readonly startedAt: number
      readonly finishedAt: number
      readonly exitCode: number
      readonly oomKilled: boolean
      readonly error: string
    }

/** Internal side of a mount point: what the spec needs beside what inspect shows. */
export interface RecordedMount extends ResolvedMount {
  readonly point: MountPoint
  /** A tmpfs of `--mount`, which inspect lists; one of `--tmpfs` it does not. */
  readonly listed?: boolean
  /** Made for this container alone and without a name: goes with `rm -v`. */
  readonly anonymous: boolean
  /** A missing source folder is made at each start. */
  readonly createSource: boolean
}

/** A published port in one address family, all decided (see src/network/firewall.ts). */
export interface RecordedPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly hostAddress: string
  readonly hostPort: number
  readonly address: string
  readonly port: number
}

export interface RecordedNetwork {
  /** Network id → place on it, the default route's first. */
  readonly attachments: readonly {
    readonly networkId: string
    readonly address?: string
    readonly address6?: string
    readonly mac: string
    /** Number of its interface; in records of older engines its place in this list. */
    readonly slot?: number
  }[]
  readonly published: readonly RecordedPort[]
  /** Its /etc/resolv.conf names the engine's name server. */
  readonly resolver?: boolean
  /** Networks came or went while it ran, so its shim, which was told at the start, does not take back all of it. */
  readonly changed?: true
}

/** `--link` on the default bridge. */
export interface RecordedLink {
  /** The neighbour's. */
  readonly id: string
  readonly alias: string
}

export interface ContainerRecord {
  readonly version: 1
  readonly id: string
  readonly name: string
  readonly created: number
  readonly imageId: string
  /** Layer folders, topmost first: kept here so that the image may go while the container stays. */
  readonly lower: readonly string[]
  readonly platform: string
  readonly level: string
  readonly path: string
  readonly args: readonly string[]
  readonly config: ContainerConfig
  readonly hostConfig: HostConfig
  readonly endpoints: Readonly<Record<string, EndpointConfig>>
  /** It was disconnected from the network that `--network` named, and stays on the others. */
  readonly leftFirst?: boolean
  readonly links?: readonly RecordedLink[]
  readonly range: IdRange | null
  readonly mounts: readonly RecordedMount[]
  readonly state: RecordedState
  readonly restartCount: number
  readonly manuallyStopped: boolean
  /** Milliseconds the last restart waited. */
  readonly lastDelay: number
  readonly network: RecordedNetwork
  readonly networks: Readonly<Record<string, EndpointState>>
  readonly ports: Readonly<Record<string, readonly PortBinding[] | null>>
}

const object = <T extends object>() =>
  z.custom<T>((value) => typeof value === 'object' && value !== null, 'is not an object')
const list = <T>() => z.custom<readonly T[]>(Array.isArray, 'is not a list')
const text = z.string()
const ended = {
  startedAt: z.number(),
  finishedAt: z.number(),
  exitCode: z.number(),
  oomKilled: z.boolean(),
  error: text,
}

/** Checks what decides about paths, processes and ids; what only inspect echoes is taken as it is. */
const schema = z.object({
  version: z.literal(1),
  id: text.regex(/^[0-9a-f]{64}$/),
  name: text.regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/),
  created: z.number(),
  imageId: text,
  lower: z.array(text.startsWith('/')),
  platform: text,
  level: text,
  path: text,
  args: z.array(text),
  config: object<ContainerConfig>(),
  hostConfig: object<HostConfig>(),
  endpoints: object<Readonly<Record<string, EndpointConfig>>>(),
  leftFirst: z.boolean().exactOptional(),
  links: z.array(z.object({ id: text, alias: text })).exactOptional(),
  range: z.object({ base: z.int().min(1), size: z.int().min(1) }).nullable(),
  mounts: list<RecordedMount>(),
  state: z.discriminatedUnion('status', [
    z.object({ status: z.literal('created'), exitCode: z.number(), error: text }),
    z.object({
      status: z.literal('running'),
      startedAt: z.number(),
      paused: z.boolean(),
      committing: z.exactOptional(z.boolean()),
      finishedAt: z.exactOptional(z.number()),
    }),
    z.object({ status: z.literal('exited'), ...ended }),
    z.object({ status: z.literal('dead'), ...ended }),
  ]),
  restartCount: z.number(),
  manuallyStopped: z.boolean(),
  lastDelay: z.number(),
  network: object<RecordedNetwork>(),
  networks: object<Readonly<Record<string, EndpointState>>>(),
  ports: object<Readonly<Record<string, readonly PortBinding[] | null>>>(),
})

export function parseRecord(value: unknown): ContainerRecord {
  return schema.parse(value)
}
