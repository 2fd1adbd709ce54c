/** Names of images: given, and told of. */
import { DewarError } from '../base/errors.ts'
import type { Digest } from '../store/digest.ts'
import type { ImageStore } from '../store/image-store.ts'
import { canonical, familiarReference, type Reference } from '../store/reference.ts'

type OnTag = (action: 'tag', id: string, attributes: Readonly<Record<string, string>>) => void

export class ImageNames {
  readonly #images: ImageStore
  readonly #onEvent: OnTag

  constructor(images: ImageStore, onEvent: OnTag) {
    this.#images = images
    this.#onEvent = onEvent
  }

  async give(reference: Reference, id: Digest): Promise<void> {
    if (await this.bring(reference, id)) this.#onEvent('tag', id, { name: familiarReference(reference) })
  }

  /** With the image itself, of whose coming is told: by a pull or load. Answers whether it is new. */
  async bring(reference: Reference, id: Digest): Promise<boolean> {
    const image = this.#images.get(id)
    if (image === undefined)
      throw new DewarError('system', `Naming image ${id} failed: it has just been removed`)
    if (this.#images.named(canonical(reference)) === id) return false
    // The name comes last: with it the image is named, and on a full disk either may fail.
    await this.#images.add({ ...image, lastTagTime: Date.now() })
    await this.#images.name(reference, id)
    return true
  }
}
