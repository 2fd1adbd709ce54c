/** The images as the rest of the engine needs them. */
import type { Core } from '../kernel/core-api.ts'
import type { Container } from './container.ts'
import type { Directory } from './directory.ts'
import type { EventBus } from './events.ts'
import type { Settings } from './options.ts'
import type { ImageForContainer } from './services.ts'
import type { AuthConfig, Images } from './types.ts'

export interface EngineImages extends AsyncDisposable {
  readonly api: Images
  /** Throws not-found "No such image: x". */
  forContainer(ref: string, platform: string | undefined): Promise<ImageForContainer>
  /** Ids of the image and of images made from it. */
  ancestors(ref: string): readonly string[]
  /** Bytes of all layers. */
  size(imageId: string): Promise<number>
  count(): Promise<number>
  /** Every container is in the directory now: what no image and no container needs may be freed. */
  containersKnown(): Promise<void>
  auth(config: AuthConfig): Promise<{ readonly status: string; readonly identityToken: string }>
}

export interface ImageRoomOptions {
  readonly settings: Settings
  readonly core: Core
  readonly containers: Directory<Container>
  readonly bus: EventBus
}

export function openImages(_options: ImageRoomOptions): Promise<EngineImages> {
  throw new Error('not there yet')
}
