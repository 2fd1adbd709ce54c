/** Frees blobs and layers that no image and no container needs. */
import type { Blobs } from '../store/blobs.ts'
import type { Digest } from '../store/digest.ts'
import type { ImageRecord, ImageStore } from '../store/image-store.ts'
import type { Layers } from '../store/layers.ts'

export interface Shelves {
  readonly blobs: Blobs
  readonly layers: Layers
  readonly images: ImageStore
  /** Layer folders that containers are made of; they may outlive their image. */
  readonly foldersInUse: () => ReadonlySet<string>
  /** Makes those let go of layers who hold some without being a container. */
  readonly letGo: () => Promise<void>
}

/** Complete blobs that nobody refers to are kept that long: a pull that was cut off goes on with them. */
const ORPHAN_BLOB_MS = 24 * 60 * 60 * 1000

export class Housekeeping {
  readonly #shelves: Shelves
  #building = 0
  readonly #blobs = new Set<Digest>()
  readonly #chains = new Set<Digest>()
  #sweeping: Promise<unknown> = Promise.resolve()

  constructor(shelves: Shelves) {
    this.#shelves = shelves
  }

  /** While something is being added nothing is freed: it may be about to refer to it. */
  async building<T>(work: () => Promise<T>): Promise<T> {
    this.#building += 1
    try {
      // What is being freed must not be taken for being there.
      await this.#sweeping
      return await work()
    } finally {
      this.#building -= 1
      if (this.#building === 0) await this.#sweep()
    }
  }

  /** An image is gone. Resolves with the layers that nobody needs any more and their size. */
  async release(
    image: ImageRecord,
    chain: readonly Digest[],
  ): Promise<{ readonly chains: readonly Digest[]; readonly bytes: number }> {
    const { needed } = this.#needed()
    const free = chain.filter(
      (chainId) => !needed.has(chainId) && this.#shelves.layers.get(chainId) !== undefined,
    )
    const bytes = free.reduce((sum, chainId) => sum + (this.#shelves.layers.get(chainId)?.size ?? 0), 0)
    for (const digest of [image.id, image.manifest, ...image.layers.map((layer) => layer.digest)])
      this.#blobs.add(digest)
    for (const chainId of chain) this.#chains.add(chainId)
    if (this.#building === 0) await this.#sweep()
    return { chains: free.toReversed(), bytes }
  }

  /** Blobs that were written on the way to an image and are not part of it. */
  doom(digests: Iterable<Digest>): void {
    for (const digest of digests) this.#blobs.add(digest)
  }

  /** Once, after containers are known: what a crash left unreferenced. */
  async sweepOrphans(ageOf: (digest: Digest) => Promise<number>): Promise<void> {
    for (const { chainId } of this.#shelves.layers.list()) this.#chains.add(chainId)
    for (const digest of await this.#shelves.blobs.list()) {
      if ((await ageOf(digest)) > ORPHAN_BLOB_MS) this.#blobs.add(digest)
    }
    if (this.#building === 0) await this.#sweep()
  }

  /**
   * What pulls that were cut off left behind, which the next one could go on with. Nothing while something is being
   * added. Resolves with the bytes freed.
   */
  async sweepLeftovers(): Promise<number> {
    if (this.#building > 0) return 0
    return this.#exclusive(async () => {
      for (const digest of await this.#shelves.blobs.list()) this.#blobs.add(digest)
      const freed = await this.#free()
      return freed + (await this.#shelves.blobs.dropPartials())
    })
  }

  #needed(): { readonly needed: ReadonlySet<Digest> } {
    const needed = new Set<Digest>()
    for (const image of this.#shelves.images.list()) {
      for (const digest of [image.id, image.manifest, ...image.layers.map((layer) => layer.digest)])
        needed.add(digest)
      for (const chainId of this.#shelves.images.chain(image.id)) needed.add(chainId)
    }
    const folders = this.#shelves.foldersInUse()
    for (const { chainId } of this.#shelves.layers.list()) {
      if (folders.has(this.#shelves.layers.folder(chainId))) needed.add(chainId)
    }
    return { needed }
  }

  async #sweep(): Promise<void> {
    await this.#exclusive(() => this.#free())
  }

  /** One at a time, and whatever is added waits for its end. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#sweeping.then(work)
    this.#sweeping = done.catch(() => undefined)
    return done
  }

  /** Resolves with the bytes of the blobs that went. */
  async #free(): Promise<number> {
    const { needed } = this.#needed()
    const chains = [...this.#chains].filter((chainId) => !needed.has(chainId))
    const blobs = [...this.#blobs].filter((digest) => !needed.has(digest))
    this.#chains.clear()
    this.#blobs.clear()
    for (const chainId of chains) {
      if (this.#shelves.layers.get(chainId) !== undefined) await this.#shelves.layers.remove(chainId)
    }
    // Afterwards, so that nobody takes hold of them again in between.
    if (chains.length > 0) await this.#shelves.letGo()
    let bytes = 0
    for (const digest of blobs) {
      bytes += (await this.#shelves.blobs.size(digest)) ?? 0
      await this.#shelves.blobs.remove(digest)
    }
    return bytes
  }
}
