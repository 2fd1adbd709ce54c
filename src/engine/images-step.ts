/** One step of a build as an image, and the cache of them: what was built here is found again by its key. */
import { parsePlatform } from '../registry/manifest.ts'
import type { Digest } from '../store/digest.ts'
import type { HistoryDocument, ImageDocument } from '../store/image-config.ts'
import type { ImageRecord } from '../store/image-store.ts'
import type { Housekeeping } from './images-housekeeping.ts'
import { addImage, addLayer, documentOfConfig, type Workshop } from './images-make.ts'
import { configOfDocument, timeOf } from './images-view.ts'
import type { ImageConfig } from './types.ts'

export interface StepImage {
  /** None: the first step of `FROM scratch`. */
  readonly parent: Digest | undefined
  /** None: the step changed no file. */
  readonly layer?: AsyncIterable<Buffer>
  readonly config: ImageConfig
  readonly createdBy: string
  readonly author: string
  /** Milliseconds: what the image says, the same each time. */
  readonly created: () => number
  readonly key: Digest
  /** For an image without a parent. */
  readonly platform: string | undefined
}

/** What a stage begins with. */
export interface BaseImage {
  readonly id: Digest
  readonly config: ImageConfig
  readonly author: string
  readonly created: number
  readonly os: string
  readonly architecture: string
}

export class ImageSteps {
  readonly #shop: Workshop
  readonly #housekeeping: Housekeeping
  /** To be called with the image that a build comes to, also when it was there before. */
  readonly tellBuilt: (id: string) => void

  constructor(shop: Workshop, housekeeping: Housekeeping, tellBuilt: (id: string) => void) {
    this.#shop = shop
    this.#housekeeping = housekeeping
    this.tellBuilt = tellBuilt
  }

  /** While it runs, nothing that it may refer to is freed. */
  building<T>(work: () => Promise<T>): Promise<T> {
    return this.#housekeeping.building(work)
  }

  /** Throws not-found. */
  base(ref: string): BaseImage {
    const { images } = this.#shop
    const { id } = images.resolve(ref)
    const document = images.config(id)
    return {
      id,
      config: configOfDocument(document.config),
      author: document.author ?? '',
      created: timeOf(document.created),
      os: document.os,
      architecture: document.architecture,
    }
  }

  find(ref: string): Digest | undefined {
    return this.#shop.images.find(ref)?.id
  }

  /** The image that is the answer to a step, if it is here whole; the latest of several. */
  cached(key: Digest): Digest | undefined {
    const { images, layers } = this.#shop
    return images
      .list()
      .filter((image) => image.built?.keys.includes(key) === true)
      .filter(({ id }) => images.chain(id).every((chainId) => layers.get(chainId) !== undefined))
      .toSorted((a, b) => (b.built?.at ?? 0) - (a.built?.at ?? 0))[0]?.id
  }

  /** Whether `id` is `end` or was built into it. */
  leadsTo(id: Digest, end: Digest): boolean {
    const seen = new Set<Digest>()
    for (let at: Digest | undefined = end; at !== undefined && !seen.has(at);) {
      if (at === id) return true
      seen.add(at)
      at = this.#shop.images.get(at)?.parent
    }
    return false
  }

  async add(step: StepImage): Promise<Digest> {
    const { images } = this.#shop
    const parent = step.parent === undefined ? undefined : images.resolve(step.parent)
    const layer =
      step.layer === undefined ? undefined : await addLayer(this.#shop, step.layer, parent?.diffIds ?? [])
    const diffIds = [...(parent?.diffIds ?? []), ...(layer === undefined ? [] : [layer.diffId])]
    const document = this.#document(step, parent, diffIds, layer === undefined)
    const layers = [...(parent?.layers ?? []), ...(layer === undefined ? [] : [layer])]
    const image = await addImage(this.#shop, document, layers, {
      ...(parent === undefined ? {} : { parent: parent.id }),
      built: { at: Date.now(), keys: [step.key] },
    })
    return image.id
  }

  #document(
    step: StepImage,
    parent: ImageRecord | undefined,
    diffIds: readonly Digest[],
    empty: boolean,
  ): ImageDocument {
    const below = parent === undefined ? undefined : this.#shop.images.config(parent.id)
    const { os, architecture, variant } = below ?? parsePlatform(step.platform)
    const created = new Date(step.created()).toISOString()
    const author = step.author === '' ? {} : { author: step.author }
    const entry = { created, ...author, created_by: step.createdBy, ...(empty ? { empty_layer: true } : {}) }
    const document: object = {
      architecture,
      os,
      ...(variant === undefined ? {} : { variant }),
      created,
      ...author,
      config: documentOfConfig(step.config),
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: [...historyBelow(below, parent?.diffIds.length ?? 0), entry],
    }
    return document as ImageDocument
  }
}

/** Some builders write no history: each of their layers gets an entry, so that ours are counted right. */
function historyBelow(below: ImageDocument | undefined, layers: number): readonly Partial<HistoryDocument>[] {
  const told = below?.history ?? []
  if (told.length > 0) return told
  const created = below?.created === undefined ? {} : { created: below.created }
  return Array.from({ length: layers }, () => created)
}
