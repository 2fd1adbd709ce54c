/** What the parts of an engine share. */
import type { Level } from '../isolation/level.ts'
import type { CgroupLayout } from '../kernel/cgroup.ts'
import type { Core } from '../kernel/core-api.ts'
import type { MachineArch } from '../kernel/seccomp.ts'
import type { Container } from './container.ts'
import type { Directory } from './directory.ts'
import type { EventBus } from './events.ts'
import type { HostFacts } from './host-facts.ts'
import type { ImageClaims } from './image-claims.ts'
import type { IdRanges } from './id-ranges.ts'
import type { Levels } from './levels.ts'
import type { NetworkManager } from './network-manager.ts'
import type { Ready } from './ready.ts'
import type { Settings } from './options.ts'
import type { ImageConfig } from './types.ts'
import type { Trash } from './trash.ts'
import type { Users } from './users.ts'
import type { VolumeStore } from './volumes.ts'

/** What creating a container needs to know of an image. */
export interface ImageForContainer {
  /** sha256:… */
  readonly id: string
  readonly config: ImageConfig
  /** Layer folders, topmost first. */
  readonly lower: readonly string[]
  readonly os: string
  readonly warnings?: readonly string[]
}

export interface Services {
  readonly settings: Settings
  readonly facts: HostFacts
  readonly arch: MachineArch
  readonly cgroups: CgroupLayout
  readonly core: Core
  readonly levels: Levels
  readonly bus: EventBus
  readonly containers: Directory<Container>
  readonly ranges: IdRanges
  readonly networks: NetworkManager
  readonly volumes: VolumeStore
  readonly users: Users
  readonly trash: Trash
  /** Something went wrong that no request can be told: shown by `info`. */
  readonly warn: (text: string) => void
  /** Throws not-found with dockerd's words. At once, so that it can be claimed before anything removes it. */
  image(ref: string, platform: string | undefined): ImageForContainer
  readonly imageClaims: ImageClaims
  readonly ready: Ready
}

export function levelOf(services: Services, container: Container): Level {
  return services.levels.get(container.record.level)
}

/** What Docker puts into every event about a container. */
export function eventAttributes(container: Container): Record<string, string> {
  const { config, name } = container.record
  return { ...config.labels, image: config.image, name }
}
