/** The images as the rest of the engine needs them, and `commit`, which needs both. */
import { join } from 'node:path'
import type { Core } from '../kernel/core-api.ts'
import { unpackFilter } from '../store/unpack-filter.ts'
import type { Container } from './container.ts'
import type { Directory } from './directory.ts'
import type { EventBus } from './events.ts'
import { ImageClaims } from './image-claims.ts'
import { ImageService } from './images.ts'
import type { Settings } from './options.ts'
import type { ContainerRecord } from './record.ts'
import type { AuthConfig } from './types.ts'

export interface ImageRoomOptions {
  readonly settings: Settings
  readonly core: Core
  readonly containers: Directory<Container>
  readonly bus: EventBus
  /** Makes what waits for the next container let go of its image's layers. */
  readonly letGo: () => Promise<void>
}

export class ImageRoom {
  readonly service: ImageService
  /** What was found damaged when it was opened. */
  readonly warnings: readonly string[]

  readonly claims: ImageClaims

  private constructor(service: ImageService, claims: ImageClaims, warnings: readonly string[]) {
    this.service = service
    this.claims = claims
    this.warnings = warnings
  }

  static async open(options: ImageRoomOptions): Promise<ImageRoom> {
    const { settings, core, containers, bus, letGo } = options
    const filter = unpackFilter()
    const claims = new ImageClaims()
    const service = new ImageService({
      root: join(settings.root, 'images'),
      sandbox: () => Promise.resolve({ core, ...(filter === undefined ? {} : { filter }) }),
      registry: { mirrors: settings.registryMirrors, insecure: settings.insecureRegistries },
      onEvent: (action, id, attributes) => bus.emit('image', action, id, attributes),
      usersOf: (imageId) => [
        ...[...containers.values()]
          .filter(({ record }) => record.imageId === imageId || mountedImages(record).includes(imageId))
          .map((container) => ({ id: container.id, running: container.running !== undefined })),
        ...claims.of(imageId).map((id) => ({ id, running: false })),
      ],
      letGo,
      foldersInUse: () =>
        new Set([...[...containers.values()].flatMap(({ record }) => layersOf(record)), ...claims.folders()]),
    })
    const damaged = await service.open()
    const warnings = damaged.map((error) => error.message)
    return new ImageRoom(service, claims, warnings)
  }

  /** Ids of the image and of images made from it; none for an unknown one. */
  async ancestors(ref: string): Promise<readonly string[]> {
    const image = await this.service.inspect(ref).catch(() => undefined)
    if (image === undefined) return []
    const all = await this.service.list({ all: true, filters: new Map() })
    const from = (layers: readonly string[]): boolean => image.layers.every((layer, n) => layers[n] === layer)
    return all.filter(({ layers }) => from(layers)).map(({ id }) => id)
  }

  async size(imageId: string): Promise<number> {
    return (await this.service.inspect(imageId)).size
  }

  async count(): Promise<number> {
    return (await this.service.list({ all: true, filters: new Map() })).length
  }

  auth(config: AuthConfig): Promise<{ readonly status: string; readonly identityToken: string }> {
    return this.service.auth(config)
  }
}

const mountedImages = ({ mounts }: ContainerRecord): string[] =>
  mounts.flatMap(({ type, source }) => (type === 'image' ? [source] : []))

const layersOf = ({ lower, mounts }: ContainerRecord): readonly string[] => [
  ...lower,
  ...mounts.flatMap((mount) => mount.lower ?? []),
]
