/** Images on their way from registries and to them. */
import { DewarError } from '../base/errors.ts'
import { DEFAULT_REGISTRY_OPTIONS, type RegistryOptions } from '../registry/endpoints.ts'
import { verifyCredentials } from '../registry/login.ts'
import { parsePlatform } from '../registry/manifest.ts'
import { Puller } from '../registry/pull.ts'
import { push } from '../registry/push.ts'
import { SharedWork } from '../registry/shared-work.ts'
import { listTags } from '../registry/tags.ts'
import type { ImageRecord } from '../store/image-store.ts'
import {
  canonical,
  familiarName,
  familiarReference,
  parseReference,
  withDefaultTag,
  type Reference,
} from '../store/reference.ts'
import { compressForPush } from './images-compress.ts'
import type { Housekeeping } from './images-housekeeping.ts'
import type { Workshop } from './images-make.ts'
import type { ImageNames } from './images-names.ts'
import { requirePlatform } from './images-platform.ts'
import type { AuthConfig, Images, OnProgress } from './types.ts'

export interface RegistryRoom {
  readonly shop: Workshop
  readonly housekeeping: Housekeeping
  readonly names: ImageNames
  readonly options: Partial<RegistryOptions>
  readonly onEvent: (
    action: 'pull' | 'push',
    id: string,
    attributes: Readonly<Record<string, string>>,
  ) => void
}

export class RegistryImages {
  readonly #room: RegistryRoom
  readonly #registry: RegistryOptions
  readonly #puller: Puller
  readonly #pulls = new SharedWork<void>()

  constructor(room: RegistryRoom) {
    this.#room = room
    this.#registry = { ...DEFAULT_REGISTRY_OPTIONS, ...room.options }
    this.#puller = new Puller(room.shop, this.#registry)
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
      this.#room.housekeeping.building(() => this.#pull(full, options.platform, auth, tell, stopped)),
    )
  }

  async #pull(
    reference: Reference,
    platform: string | undefined,
    auth: AuthConfig | undefined,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<void> {
    const before = this.#room.shop.images.named(canonical(reference))
    const { id, digest } = await this.#puller.pull({
      reference,
      platform: parsePlatform(platform),
      credentials: auth,
      onProgress,
      signal,
    })
    const { domain, path } = reference
    await this.#room.shop.images.name({ domain, path, digest }, id)
    if (reference.digest === undefined) await this.#room.names.bring(reference, id)
    const shown = familiarReference(reference)
    onProgress({ status: `Digest: ${digest}` })
    const news = before === id ? 'Image is up to date for' : 'Downloaded newer image for'
    onProgress({ status: `Status: ${news} ${shown}` })
    // An image that is there for one platform only is pulled whatever was asked for, and kept, as by dockerd.
    requirePlatform(this.#room.shop.images.config(id), shown, platform)
    this.#room.onEvent('pull', shown, { name: familiarName(reference) })
  }

  async push(ref: string, options: Parameters<Images['push']>[1]): Promise<void> {
    const reference = parseReference(ref)
    if (reference.digest !== undefined) {
      throw new DewarError('invalid-argument', 'cannot push a digest reference')
    }
    const given = options.tag === undefined || options.tag === '' ? reference.tag : options.tag
    const repository = `${reference.domain}/${reference.path}`
    const tags = this.#room.shop.images
      .namesIn(repository)
      .filter(({ reference: { tag } }) => tag !== undefined && (given ?? tag) === tag)
    if (tags.length === 0) {
      // dockerd begins to tell before it looks, and leaves the tag out.
      options.onProgress({ status: `The push refers to repository [${repository}]` })
      const name = familiarName(reference)
      throw new DewarError('not-found', `An image does not exist locally with the tag: ${name}`)
    }
    for (const name of tags) {
      await this.#room.housekeeping.building(async () => {
        const image = await compressForPush(this.#room.shop, this.#room.shop.images.resolve(name.id), (old) =>
          this.#room.housekeeping.doom(old),
        )
        const digest = await push({
          image,
          reference: name.reference,
          credentials: options.auth,
          registry: this.#registry,
          blobs: this.#room.shop.blobs,
          mountFrom: this.#relatives(image, reference),
          onProgress: options.onProgress,
          signal: options.signal,
        })
        await this.#room.shop.images.name(
          { domain: reference.domain, path: reference.path, digest },
          image.id,
        )
        this.#room.onEvent('push', familiarReference(name.reference), { name: familiarName(reference) })
      })
    }
  }

  /** Repositories of the same registry whose images share a layer with this one. */
  #relatives(image: ImageRecord, { domain, path }: Reference): string[] {
    const own = new Set(image.layers.map(({ digest }) => digest))
    const related = this.#room.shop.images
      .list()
      .filter((other) => other.layers.some(({ digest }) => own.has(digest)))
    const names = related.flatMap((other) => this.#room.shop.images.namesOf(other.id))
    // Only what came from there or went there is known to be there: it has a digest.
    const there = names.filter(
      (name) => name.digest !== undefined && name.domain === domain && name.path !== path,
    )
    return [...new Set(there.map((name) => name.path))]
  }

  /** Checks a user's credentials with a registry, for EngineApi.auth. */
  auth(config: AuthConfig): Promise<{ readonly status: string; readonly identityToken: string }> {
    return verifyCredentials(config.serverAddress, config, this.#registry)
  }
}
