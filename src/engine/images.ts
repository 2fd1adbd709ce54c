/** The engine's images: what `Images` of types.ts promises, except `commit`, which the engine builds on `commitLayer`. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { DewarError } from '../base/errors.ts'
import { DEFAULT_REGISTRY_OPTIONS } from '../registry/endpoints.ts'
import type { RegistryOptions } from '../registry/endpoints.ts'
import { verifyCredentials } from '../registry/login.ts'
import { parsePlatform } from '../registry/manifest.ts'
import { Puller } from '../registry/pull.ts'
import { push } from '../registry/push.ts'
import { SharedWork } from '../registry/shared-work.ts'
import { listTags } from '../registry/tags.ts'
import { Blobs } from '../store/blobs.ts'
import type { Digest } from '../store/digest.ts'
import type { ImageDocument } from '../store/image-config.ts'
import { ImageStore } from '../store/image-store.ts'
import type { ImageRecord } from '../store/image-store.ts'
import { FolderLayers } from '../store/layers.ts'
import {
  canonical,
  familiarName,
  familiarReference,
  parseReference,
  withDefaultTag,
} from '../store/reference.ts'
import type { Reference } from '../store/reference.ts'
import { DEFAULT_LIMITS } from '../store/tar-to-ops.ts'
import type { UnpackLimits } from '../store/tar-to-ops.ts'
import type { Sandbox } from '../store/unpack.ts'
import { applyChanges, EMPTY_CONFIG } from './images-changes.ts'
import { compressForPush } from './images-compress.ts'
import { Housekeeping } from './images-housekeeping.ts'
import { loadImages } from './images-load.ts'
import { addImage, addLayer, documentOfConfig } from './images-make.ts'
import type { CommitLayer, LayerBlob, Workshop } from './images-make.ts'
import { requirePlatform } from './images-platform.ts'
import { ImageSteps } from './images-step.ts'
import { pruneImages, removeImage } from './images-remove.ts'
import type { ImageUser, Remover } from './images-remove.ts'
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
  /** pull, push, tag, untag, delete, load, import, save. */
  readonly onEvent?: (action: string, id: string, attributes: Readonly<Record<string, string>>) => void
  /** Containers made from an image. */
  readonly usersOf?: (imageId: string) => readonly ImageUser[]
  /** Layer folders that containers are made of, even when their image is gone. */
  readonly foldersInUse?: () => ReadonlySet<string>
}

export class ImageService implements Omit<Images, 'commit' | 'distribution' | 'search'> {
  readonly #options: ImageServiceOptions
  readonly #registry: RegistryOptions
  readonly #shop: Workshop
  readonly #images: ImageStore
  readonly #layers: FolderLayers
  readonly #blobs: Blobs
  readonly #housekeeping: Housekeeping
  readonly #puller: Puller
  readonly #pulls = new SharedWork<void>()

  constructor(options: ImageServiceOptions) {
    this.#options = options
    this.#registry = { ...DEFAULT_REGISTRY_OPTIONS, ...options.registry }
    const limits = options.limits ?? DEFAULT_LIMITS
    this.#blobs = new Blobs(join(options.root, 'blobs'))
    this.#layers = new FolderLayers(join(options.root, 'layers'), options.sandbox)
    this.#images = new ImageStore(join(options.root, 'images'), this.#blobs)
    this.#shop = { blobs: this.#blobs, layers: this.#layers, images: this.#images, limits }
    const foldersInUse = options.foldersInUse ?? (() => new Set<string>())
    this.#housekeeping = new Housekeeping({ ...this.#shop, foldersInUse })
    this.#puller = new Puller(this.#shop, this.#registry)
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
  forContainer(
    ref: string,
    platform: string | undefined,
  ): {
    readonly id: string
    readonly config: ImageConfig
    readonly lower: readonly string[]
    readonly os: string
  } {
    const { id } = this.#complete(ref)
    const document = this.#images.config(id)
    requirePlatform(document, ref, platform)
    return { id, config: configOfDocument(document.config), lower: this.rootfs(id), os: document.os }
  }

  #complete(ref: string): ImageRecord {
    const image = this.#images.resolve(ref)
    if (this.#images.chain(image.id).every((chainId) => this.#layers.get(chainId) !== undefined)) return image
    throw new DewarError('system', `Using image ${ref} failed: one of its layers is missing`, {
      remedy: `pull it again: dewar pull ${ref}`,
    })
  }

  async pull(ref: string, options: Parameters<Images['pull']>[1]): Promise<void> {
    const reference = parseReference(ref)
    const { auth, signal, onProgress } = options
    if (options.allTags === true && reference.tag === undefined && reference.digest === undefined) {
      const tags = await listTags(reference, auth, this.#registry, signal)
      for (const tag of tags) await this.pull(`${ref}:${tag}`, { ...options, allTags: false })
      return
    }
    const full = withDefaultTag(reference)
    const key = JSON.stringify([canonical(full), options.platform ?? '', auth ?? {}])
    await this.#pulls.run(key, { onProgress, signal }, (tell, stopped) =>
      this.#housekeeping.building(() => this.#pull(full, options.platform, auth, tell, stopped)),
    )
  }

  async #pull(
    reference: Reference,
    platform: string | undefined,
    auth: AuthConfig | undefined,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<void> {
    const before = this.#images.named(canonical(reference))
    const { id, digest } = await this.#puller.pull({
      reference,
      platform: parsePlatform(platform),
      credentials: auth,
      onProgress,
      signal,
    })
    const { domain, path } = reference
    await this.#images.name({ domain, path, digest }, id)
    if (reference.digest === undefined) await this.#name(reference, id)
    const shown = familiarReference(reference)
    onProgress({ status: `Digest: ${digest}` })
    const news = before === id ? 'Image is up to date for' : 'Downloaded newer image for'
    onProgress({ status: `Status: ${news} ${shown}` })
    // An image that is there for one platform only is pulled whatever was asked for, and kept, as by dockerd.
    requirePlatform(this.#images.config(id), shown, platform)
    this.#event('pull', shown, { name: familiarName(reference) })
  }

  async push(ref: string, options: Parameters<Images['push']>[1]): Promise<void> {
    const reference = parseReference(ref)
    if (reference.digest !== undefined) {
      throw new DewarError('invalid-argument', 'cannot push a digest reference')
    }
    const given = options.tag === undefined || options.tag === '' ? reference.tag : options.tag
    const repository = `${reference.domain}/${reference.path}`
    const tags = this.#images
      .namesIn(repository)
      .filter(({ reference: { tag } }) => tag !== undefined && (given ?? tag) === tag)
    if (tags.length === 0) {
      // dockerd begins to tell before it looks, and leaves the tag out.
      options.onProgress({ status: `The push refers to repository [${repository}]` })
      const name = familiarName(reference)
      throw new DewarError('not-found', `An image does not exist locally with the tag: ${name}`)
    }
    for (const name of tags) {
      await this.#housekeeping.building(async () => {
        const image = await compressForPush(this.#shop, this.#images.resolve(name.id), (old) =>
          this.#housekeeping.doom(old),
        )
        const digest = await push({
          image,
          reference: name.reference,
          credentials: options.auth,
          registry: this.#registry,
          blobs: this.#blobs,
          mountFrom: this.#relatives(image, reference),
          onProgress: options.onProgress,
          signal: options.signal,
        })
        await this.#images.name({ domain: reference.domain, path: reference.path, digest }, image.id)
        this.#event('push', familiarReference(name.reference), { name: familiarName(reference) })
      })
    }
  }

  /** Repositories of the same registry whose images share a layer with this one. */
  #relatives(image: ImageRecord, { domain, path }: Reference): string[] {
    const own = new Set(image.layers.map(({ digest }) => digest))
    const related = this.#images.list().filter((other) => other.layers.some(({ digest }) => own.has(digest)))
    const names = related.flatMap((other) => this.#images.namesOf(other.id))
    // Only what came from there or went there is known to be there: it has a digest.
    const there = names.filter(
      (name) => name.digest !== undefined && name.domain === domain && name.path !== path,
    )
    return [...new Set(there.map((name) => name.path))]
  }

  async tag(ref: string, target: string): Promise<void> {
    const { id } = this.#images.resolve(ref)
    const name = parseReference(target)
    if (name.digest !== undefined) {
      throw new DewarError('invalid-argument', 'refusing to create a tag with a digest reference')
    }
    await this.#name(withDefaultTag(name), id)
  }

  async #name(reference: Reference, id: Digest): Promise<void> {
    const image = this.#images.get(id)
    if (image === undefined)
      throw new DewarError('system', `Naming image ${id} failed: it has just been removed`)
    if (this.#images.named(canonical(reference)) === id) return
    await this.#images.name(reference, id)
    await this.#images.add({ ...image, lastTagTime: Date.now() })
    this.#event('tag', id, { name: familiarReference(reference) })
  }

  async remove(
    ref: string,
    options: { readonly force: boolean; readonly noPrune: boolean },
  ): Promise<{ readonly untagged?: string; readonly deleted?: string }[]> {
    const { removed } = await removeImage(this.#remover(), ref, options)
    return [...removed]
  }

  prune(filters: Filters): ReturnType<Images['prune']> {
    return pruneImages(this.#remover(), filters)
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
          await this.#name(name, image.id)
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
      const document = this.#document(options, config, layer, parent)
      const image = await addImage(
        this.#shop,
        document,
        [...(parent?.layers ?? []), layer],
        parent === undefined ? {} : { parent: parent.id },
      )
      if (name !== undefined) await this.#name(withDefaultTag(name), image.id)
      return image.id
    })
  }

  #document(
    options: CommitLayer,
    config: ImageConfig,
    layer: LayerBlob,
    parent: ImageRecord | undefined,
  ): ImageDocument {
    const below = parent === undefined ? undefined : this.#images.config(parent.id)
    const { os, architecture, variant } = parsePlatform(options.platform)
    const created = new Date().toISOString()
    const { author, comment } = options
    const step = {
      created,
      ...(author === '' ? {} : { author }),
      ...(options.createdBy === '' ? {} : { created_by: options.createdBy }),
      ...(comment === '' ? {} : { comment }),
    }
    return {
      architecture: below?.architecture ?? architecture,
      os: below?.os ?? os,
      ...(variant === undefined ? {} : { variant }),
      created,
      ...(author === '' ? {} : { author }),
      config: documentOfConfig(config),
      rootfs: { type: 'layers', diff_ids: [...(parent?.diffIds ?? []), layer.diffId] },
      history: [...(below?.history ?? []), step],
    } as ImageDocument
  }

  /** What a build needs of the images. */
  steps(): ImageSteps {
    return new ImageSteps(this.#shop, this.#housekeeping)
  }

  /** Checks a user's credentials with a registry, for EngineApi.auth. */
  auth(config: AuthConfig): Promise<{ readonly status: string; readonly identityToken: string }> {
    return verifyCredentials(config.serverAddress, config, this.#registry)
  }

  #event(action: string, id: string, attributes: Readonly<Record<string, string>>): void {
    this.#options.onEvent?.(action, id, attributes)
  }
}

async function* bytesFrom(stream: Readable): AsyncGenerator<Buffer> {
  for await (const chunk of stream) yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
}
