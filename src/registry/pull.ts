/**
 * Pulls one image: manifest, config, then all layers at once, each a pipeline
 *   network → blob file and digest → decompression → diff id → operations → native core → staged folder,
 * so that nothing is read twice. Nothing is unpacked outside a sandbox, and nothing gets a name before its digest,
 * its diff id and all layers below it are right.
 */
import { setMaxListeners } from 'node:events'
import { DewarError } from '../base/errors.ts'
import type { BlobWriter, Blobs } from '../store/blobs.ts'
import { decompress } from '../store/decompress.ts'
import { chainIds, Digester } from '../store/digest.ts'
import type { Digest } from '../store/digest.ts'
import type { Descriptor } from '../store/image-config.ts'
import type { ImageStore } from '../store/image-store.ts'
import type { Layers, StagedLayer } from '../store/layers.ts'
import type { Reference } from '../store/reference.ts'
import type { UnpackLimits } from '../store/unpack-limits.ts'
import type { Credentials } from './auth.ts'
import { download } from './download.ts'
import type { RegistryOptions } from './endpoints.ts'
import { resolveManifest } from './manifest.ts'
import type { Platform, Resolved } from './manifest.ts'
import { shortId } from './progress.ts'
import type { OnProgress } from './progress.ts'
import { withRepository } from './repository.ts'
import type { Repository } from './repository.ts'
import { Gate, SharedWork } from './shared-work.ts'

export interface PullStore {
  readonly blobs: Blobs
  readonly layers: Layers
  readonly images: ImageStore
  readonly limits: UnpackLimits
}

export interface PullRequest {
  readonly reference: Reference
  readonly platform: Platform
  readonly credentials: Credentials | undefined
  readonly onProgress: OnProgress
  readonly signal: AbortSignal
}

export interface Pulled {
  readonly id: Digest
  /** What the tag stands for in the registry. */
  readonly digest: Digest
}

export class Puller {
  readonly #store: PullStore
  readonly #options: RegistryOptions
  readonly #gate: Gate
  readonly #layers = new SharedWork<void>()
  /** The same blob can be a layer twice; its file has one writer at a time. */
  readonly #blobGates = new Map<Digest, Gate>()

  constructor(store: PullStore, options: RegistryOptions) {
    this.#store = store
    this.#options = options
    this.#gate = new Gate(options.downloads)
  }

  /** Makes the image known to the store, without a name. Nothing may be swept from the store meanwhile. */
  async pull(request: PullRequest): Promise<Pulled> {
    const { reference, platform, credentials, signal, onProgress } = request
    const access = { actions: 'pull' as const, credentials, registry: this.#options }
    const resolved = await withRepository(reference, access, (repository) =>
      resolveManifest(repository, reference, platform, signal),
    )
    onProgress({
      status: `Pulling from ${reference.path}`,
      id: reference.digest ?? reference.tag ?? 'latest',
    })
    const id = resolved.manifest.config.digest
    const diffIds = resolved.config.rootfs.diff_ids ?? []
    const chain = chainIds(diffIds)
    const known = this.#store.images.get(id)
    if (known === undefined || chain.some((chainId) => this.#store.layers.get(chainId) === undefined)) {
      await this.#pullLayers(resolved, chain, request)
    }
    await this.#store.blobs.put(resolved.configBytes)
    await this.#store.blobs.put(resolved.manifestBytes)
    await this.#store.images.add({
      id,
      manifest: resolved.manifestDigest,
      layers: resolved.manifest.layers.map(({ digest, size, mediaType }) => ({ digest, size, mediaType })),
      diffIds,
      lastTagTime: known?.lastTagTime ?? 0,
    })
    return { id, digest: resolved.digest }
  }

  async #pullLayers(resolved: Resolved, chain: readonly Digest[], request: PullRequest): Promise<void> {
    const { repository, manifest, config } = resolved
    // One layer that fails stops the others.
    const stop = new AbortController()
    const signal = AbortSignal.any([request.signal, stop.signal])
    // Each layer listens to it: Node would warn of more than ten.
    setMaxListeners(0, signal)
    let below: Promise<void> = Promise.resolve()
    const all = manifest.layers.map((descriptor, at) => {
      const chainId = chain[at]
      const diffId = config.rootfs.diff_ids?.[at]
      if (chainId === undefined || diffId === undefined)
        throw new Error('the config was checked to name all layers')
      const beneath = chain.slice(0, at).toReversed()
      const work: LayerWork = { repository, descriptor, chainId, diffId, beneath, below }
      const done = this.#layers.run(chainId, { onProgress: request.onProgress, signal }, (tell, stopped) =>
        this.#layer(work, tell, stopped),
      )
      done.catch(() => stop.abort())
      below = done
      return done
    })
    const results = await Promise.allSettled(all)
    const failures = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    )
    if (request.signal.aborted) throw failures[0]
    // The cause, not those that were stopped because of it.
    const cause = failures.find(
      (error) => !(error instanceof DewarError && error.message.startsWith('The operation was')),
    )
    if (failures.length > 0) throw cause ?? failures[0]
  }

  async #layer(work: LayerWork, tell: OnProgress, signal: AbortSignal): Promise<void> {
    const { descriptor, chainId, diffId } = work
    const id = shortId(descriptor.digest)
    const blob = await this.#store.blobs.size(descriptor.digest)
    if (this.#store.layers.get(chainId) !== undefined && blob !== undefined) {
      tell({ status: 'Already exists', id })
      return
    }
    tell({ status: 'Pulling fs layer', id })
    if (this.#gate.full) tell({ status: 'Waiting', id })
    const blobGate = this.#blobGates.get(descriptor.digest) ?? new Gate(1)
    this.#blobGates.set(descriptor.digest, blobGate)
    const staged = await this.#gate.pass(() => blobGate.pass(() => this.#stage(work, tell, signal)))
    if (!blobGate.full) this.#blobGates.delete(descriptor.digest)
    try {
      await work.below
      const below = work.beneath.map((lower) => this.#store.layers.folder(lower))
      await staged.commit({ chainId, diffId, below })
    } catch (error) {
      await staged.discard()
      throw error
    }
    tell({ status: 'Pull complete', id })
  }

  /** Once more from the start when what an earlier attempt had left turns out to be bad. */
  async #stage(work: LayerWork, tell: OnProgress, signal: AbortSignal): Promise<StagedLayer> {
    if (signal.aborted) throw signal.reason
    if ((await this.#store.blobs.size(work.descriptor.digest)) !== undefined) {
      return this.#unpack(work, this.#store.blobs.stream(work.descriptor.digest), signal)
    }
    const writer = await this.#store.blobs.resume(work.descriptor.digest, work.descriptor.size)
    const resumed = await writer.hasKept()
    try {
      return await this.#fetch(work, writer, tell, signal)
    } catch (error) {
      if (!resumed || signal.aborted || !isBadContent(error)) throw error
      return this.#fetch(work, await this.#store.blobs.resume(work.descriptor.digest, 0), tell, signal)
    }
  }

  async #fetch(
    work: LayerWork,
    writer: BlobWriter,
    tell: OnProgress,
    signal: AbortSignal,
  ): Promise<StagedLayer> {
    const { repository, descriptor } = work
    const options = this.#options
    const id = shortId(descriptor.digest)
    let staged: StagedLayer | undefined
    try {
      const source = download({ repository, descriptor, writer, options, onProgress: tell, signal })
      staged = await this.#unpack(work, source, signal)
      tell({ status: 'Verifying Checksum', id })
      await writer.finish()
      tell({ status: 'Download complete', id })
      tell({ status: 'Extracting', id, progressDetail: { current: descriptor.size, total: descriptor.size } })
      return staged
    } catch (error) {
      await staged?.discard()
      if (isBadContent(error)) await writer.discard()
      else await writer.suspend()
      throw error
    }
  }

  async #unpack(work: LayerWork, blob: AsyncIterable<Buffer>, signal: AbortSignal): Promise<StagedLayer> {
    const digester = new Digester()
    const { limits } = this.#store
    const staged = await this.#store.layers.stage(
      digester.through(decompress(blob)),
      { layer: true, limits },
      signal,
    )
    const diffId = digester.digest()
    if (diffId === work.diffId) return staged
    await staged.discard()
    throw new DewarError(
      'invalid-argument',
      `Verifying layer ${work.descriptor.digest} failed: it unpacks to ${diffId}, the image's config says ${work.diffId}`,
      { remedy: 'the image is damaged or forged; nothing of this layer was kept' },
    )
  }
}

interface LayerWork {
  readonly repository: Repository
  readonly descriptor: Descriptor
  readonly chainId: Digest
  readonly diffId: Digest
  /** Chain ids under it, topmost first. */
  readonly beneath: readonly Digest[]
  /** Resolves when they are all there. */
  readonly below: Promise<void>
}

/** The content is wrong, not the way to it. */
function isBadContent(error: unknown): boolean {
  if (!(error instanceof DewarError)) return false
  return (
    error.code === 'invalid-argument' || error.code === 'too-large' || error.message.startsWith('Verifying')
  )
}
