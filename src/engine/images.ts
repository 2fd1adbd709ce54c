/** The engine's images: what `Images` of types.ts promises, except `commit`, which the engine builds on `commitLayer`. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { DewarError } from '../base/errors.ts'
import type { ImageForContainer } from './services.ts'
import type { RegistryOptions } from '../registry/endpoints.ts'
import { Blobs } from '../store/blobs.ts'
import { ImageStore } from '../store/image-store.ts'
import type { ImageRecord } from '../store/image-store.ts'
import { FolderLayers } from '../store/layers.ts'
import { familiarReference, parseReference, withDefaultTag } from '../store/reference.ts'
import { DEFAULT_LIMITS } from '../store/unpack-limits.ts'
import type { UnpackLimits } from '../store/unpack-limits.ts'
import type { Sandbox } from '../store/unpack.ts'
import { applyChanges, EMPTY_CONFIG } from './images-changes.ts'
import { Housekeeping } from './images-housekeeping.ts'
import { loadImages } from './images-load.ts'
import { addImage, addLayer, documentOver } from './images-make.ts'
import type { CommitLayer, Workshop } from './images-make.ts'
import { ImageNames } from './images-names.ts'
import { platformWarnings, requirePlatform } from './images-platform.ts'
import { RegistryImages } from './images-registry.ts'
import { pruneImages, removeImage } from './images-remove.ts'
import type { ImageUser, Remover } from './images-remove.ts'
import { ImageSteps } from './images-step.ts'
import { chooseImages, saveImages } from './images-save.ts'
import { configOfDocument, historyOf, layerSizesOf, listImages, viewOf } from './images-view.ts'
import type {
  AuthConfig,
  Filters,
  HistoryEntry,
  ImageConfig,
  Images,
  ImageView,
  OnProgress,
} from './types.ts'

export interface ImageServiceOptions {
  /** Folder of its own; blobs, layers and images lie below it. */
  readonly root: string
  /** The native core and the filter for unpacking (unpackFilter()); asked for when first needed. */
  readonly sandbox: () => Promise<Sandbox>
  readonly registry?: Partial<RegistryOptions>
  readonly limits?: UnpackLimits
  /** create, pull, push, tag, untag, delete, load, import, save, prune. */
  readonly onEvent?: (action: string, id: string, attributes: Readonly<Record<string, string>>) => void
  /** Containers made from an image. */
  readonly usersOf?: (imageId: string) => readonly ImageUser[]
  /** Layer folders that containers are made of, even when their image is gone. */
  readonly foldersInUse?: () => ReadonlySet<string>
  /** Called when layers have been removed: whoever holds some without being a container lets go of them. */
  readonly letGo?: () => Promise<void>
}

export class ImageService implements Omit<Images, 'commit' | 'distribution' | 'search'> {
  readonly #options: ImageServiceOptions
  readonly #shop: Workshop
  readonly #images: ImageStore
  readonly #layers: FolderLayers
  readonly #blobs: Blobs
  readonly #housekeeping: Housekeeping
  readonly #names: ImageNames
  readonly #registry: RegistryImages

  constructor(options: ImageServiceOptions) {
    this.#options = options
    const limits = options.limits ?? DEFAULT_LIMITS
    this.#blobs = new Blobs(join(options.root, 'blobs'))
    this.#layers = new FolderLayers(join(options.root, 'layers'), options.sandbox)
    this.#images = new ImageStore(join(options.root, 'images'), this.#blobs)
    this.#shop = { blobs: this.#blobs, layers: this.#layers, images: this.#images, limits }
    const foldersInUse = options.foldersInUse ?? (() => new Set<string>())
    const letGo = options.letGo ?? (() => Promise.resolve())
    this.#housekeeping = new Housekeeping({ ...this.#shop, foldersInUse, letGo })
    const onEvent = this.#event.bind(this)
    this.#names = new ImageNames(this.#images, onEvent)
    this.#registry = new RegistryImages({
      shop: this.#shop,
      housekeeping: this.#housekeeping,
      names: this.#names,
      options: options.registry ?? {},
      onEvent,
    })
  }

  /** Returns what was found damaged; it was put aside and the rest works. */
  async open(): Promise<readonly DewarError[]> {
    await this.#blobs.open()
    await this.#layers.open()
    return this.#images.open()
  }

  /** Frees what a crash left. To be called once `foldersInUse` knows all containers. */
  sweep(): Promise<void> {
    return this.#housekeeping.sweepOrphans(
      async (digest) => Date.now() - (await stat(this.#blobs.path(digest))).mtimeMs,
    )
  }

  async list(options: {
    readonly all: boolean
    readonly filters: Filters
    readonly sharedSize?: boolean
  }): Promise<ImageView[]> {
    const views = listImages(this.#shop, options)
    if (options.sharedSize !== true) return views
    return views.map((view) => ({ ...view, layerSizes: layerSizesOf(this.#shop, view.id) }))
  }

  async inspect(ref: string): Promise<ImageView> {
    const image = this.#images.resolve(ref)
    const folders = this.#images.chain(image.id).map((chainId) => this.#layers.folder(chainId))
    return { ...viewOf(this.#shop, image), folders: folders.toReversed() }
  }

  async history(ref: string): Promise<HistoryEntry[]> {
    return historyOf(this.#shop, this.#images.resolve(ref))
  }

  /** Layer folders, topmost first. */
  rootfs(ref: string): string[] {
    const folders: string[] = []
    for (const chainId of this.#images.chain(this.#complete(ref).id).toReversed()) {
      folders.push(this.#layers.folder(chainId))
      // The kernel does not ask the root folder of a layer whether it is opaque.
      if (this.#layers.get(chainId)?.opaqueRoot === true) break
    }
    return folders
  }

  configOf(ref: string): ImageConfig {
    return configOfDocument(this.#images.config(this.#images.resolve(ref).id).config)
  }

  /** What creating a container needs. Throws `not-found` in dockerd's words, also when the platform differs. */
  forContainer(ref: string, platform: string | undefined): ImageForContainer {
    const { id } = this.#complete(ref)
    const document = this.#images.config(id)
    requirePlatform(document, ref, platform)
    const warnings = platformWarnings(document, platform)
    return {
      id,
      config: configOfDocument(document.config),
      lower: this.rootfs(id),
      os: document.os,
      warnings,
    }
  }

  #complete(ref: string): ImageRecord {
    const image = this.#images.resolve(ref)
    if (this.#images.chain(image.id).every((chainId) => this.#layers.get(chainId) !== undefined)) return image
    throw new DewarError('system', `Using image ${ref} failed: one of its layers is missing`, {
      remedy: `pull it again: dewar pull ${ref}`,
    })
  }

  pull(ref: string, options: Parameters<Images['pull']>[1]): Promise<void> {
    return this.#registry.pull(ref, options)
  }

  push(ref: string, options: Parameters<Images['push']>[1]): Promise<void> {
    return this.#registry.push(ref, options)
  }

  auth(config: AuthConfig): ReturnType<RegistryImages['auth']> {
    return this.#registry.auth(config)
  }

  async tag(ref: string, target: string): Promise<void> {
    const { id } = this.#images.resolve(ref)
    const name = parseReference(target)
    if (name.digest !== undefined) {
      throw new DewarError('invalid-argument', 'refusing to create a tag with a digest reference')
    }
    await this.#names.give(withDefaultTag(name), id)
  }

  async remove(
    ref: string,
    options: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<{ readonly untagged?: string; readonly deleted?: string }[]> {
    const { removed } = await removeImage(this.#remover(), ref, options)
    return [...removed]
  }

  async prune(filters: Filters): ReturnType<Images['prune']> {
    const pruned = await pruneImages(this.#remover(), filters)
    this.#event('prune', '', { reclaimed: String(pruned.reclaimed) })
    return pruned
  }

  #remover(): Remover {
    return {
      images: this.#images,
      layers: this.#layers,
      housekeeping: this.#housekeeping,
      usersOf: this.#options.usersOf ?? (() => []),
      onEvent: (action, id, attributes) => this.#event(action, id, attributes),
    }
  }

  async save(refs: readonly string[]): Promise<Readable> {
    const saved = chooseImages(this.#images, refs)
    const stream = Readable.from(saveImages(this.#blobs, saved), {
      objectMode: false,
      highWaterMark: 512 * 1024,
    })
    // Nothing of it may be freed while it is read. What is being freed is waited for: a small image may be read by then.
    const closed = new Promise<void>((resolve) => void stream.once('close', resolve))
    void this.#housekeeping.building(() => closed)
    for (const { image } of saved) this.#event('save', image.id, { name: image.id })
    return stream
  }

  async load(tar: Readable, onProgress: OnProgress): Promise<void> {
    await this.#housekeeping.building(async () => {
      const loaded = await loadImages(this.#shop, bytesFrom(tar), onProgress, (digests) =>
        this.#housekeeping.doom(digests),
      )
      for (const { image, names } of loaded) {
        for (const name of names) {
          await this.#names.bring(name, image.id)
          onProgress({ stream: `Loaded image: ${familiarReference(name)}\n` })
        }
        if (names.length === 0) onProgress({ stream: `Loaded image ID: ${image.id}\n` })
        this.#event('load', image.id, { name: image.id })
      }
    })
  }

  async import(tar: Readable, options: Parameters<Images['import']>[1]): Promise<string> {
    const id = await this.commitLayer({
      tar: bytesFrom(tar),
      config: EMPTY_CONFIG,
      changes: options.changes,
      author: '',
      comment: options.message ?? '',
      createdBy: '',
      ...(options.reference === undefined || options.reference === ''
        ? {}
        : { reference: options.reference }),
      ...(options.platform === undefined ? {} : { platform: options.platform }),
    })
    this.#event('import', id, { name: id })
    return id
  }

  /** Makes an image of one layer more than its parent. Resolves with its id. Validates before it reads. */
  async commitLayer(options: CommitLayer): Promise<string> {
    const name = options.reference === undefined ? undefined : parseReference(options.reference)
    if (name?.digest !== undefined) throw new DewarError('invalid-argument', 'cannot import digest reference')
    const config = applyChanges(options.config, options.changes)
    const parent = options.parent === undefined ? undefined : this.#images.resolve(options.parent)
    return this.#housekeeping.building(async () => {
      const layer = await addLayer(this.#shop, options.tar, parent?.diffIds ?? [])
      const document = documentOver(this.#shop, parent, { options, config, layer })
      const image = await addImage(
        this.#shop,
        document,
        [...(parent?.layers ?? []), layer],
        parent === undefined ? {} : { parent: parent.id },
      )
      // An import tells of itself, when it has its name.
      if (parent !== undefined) this.#event('create', image.id, { name: image.id })
      if (name !== undefined) await this.#names.give(withDefaultTag(name), image.id)
      return image.id
    })
  }

  /** What a build needs of the images. */
  steps(): ImageSteps {
    return new ImageSteps(this.#shop, this.#housekeeping, (id) => this.#event('create', id, { name: id }))
  }

  /** With the labels of the image, unless it is gone by now. */
  #event(action: string, id: string, attributes: Readonly<Record<string, string>>): void {
    const image = id === '' ? undefined : this.#images.find(id)
    const labels = image === undefined ? {} : configOfDocument(this.#images.config(image.id).config).labels
    this.#options.onEvent?.(action, id, { ...labels, ...attributes })
  }
}

async function* bytesFrom(stream: Readable): AsyncGenerator<Buffer> {
  for await (const chunk of stream) yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
}
