/**
 * `docker load`: docker archives (Docker ≥ 1.10, podman, skopeo) and OCI layouts, plain, gzip or zstd. Every file of
 * the archive becomes a blob under the digest of what it holds; what turns out not to belong to an image is freed.
 */
import { z } from 'zod'
import { DewarError, messageOf } from '../base/errors.ts'
import { choosePlatform, parsePlatform } from '../registry/manifest.ts'
import type { OnProgress } from '../registry/progress.ts'
import { shortId } from '../registry/progress.ts'
import { decompress } from '../store/decompress.ts'
import { chainIds, Digester } from '../store/digest.ts'
import type { Digest } from '../store/digest.ts'
import { parseImageConfig, requireHistory, parseManifest } from '../store/image-config.ts'
import type { Descriptor, Manifest } from '../store/image-config.ts'
import type { ImageRecord } from '../store/image-store.ts'
import { parseReference, withDefaultTag } from '../store/reference.ts'
import type { Reference } from '../store/reference.ts'
import { cleanPath } from '../store/tar-to-ops.ts'
import { UnpackCount } from '../store/unpack-limits.ts'
import { TarReader } from '../store/tar-read.ts'
import { addImageBytes, commitStaged, layerType } from './images-make.ts'
import type { Workshop } from './images-make.ts'

export interface LoadedImage {
  readonly image: ImageRecord
  readonly names: readonly Reference[]
}

interface Kept {
  readonly digest: Digest
  readonly size: number
}

/** Files by clean path; links point at the file they mean. */
type Files = ReadonlyMap<string, Kept>

/** `doom` is told every blob that was written: those that belong to an image are kept all the same. */
export async function loadImages(
  shop: Workshop,
  tar: AsyncIterable<Buffer>,
  onProgress: OnProgress,
  doom: (digests: Iterable<Digest>) => void,
): Promise<LoadedImage[]> {
  const files = await keepFiles(shop, tar, doom)
  const loader = new Loader(shop, files, onProgress)
  if (files.has('index.json') && files.has('oci-layout')) {
    const loaded = await loader.layout()
    if (loaded !== undefined) return loaded
  }
  if (files.has('manifest.json')) return loader.archive()
  throw new DewarError(
    'invalid-argument',
    'Loading images failed: the archive holds neither manifest.json nor an OCI layout',
    {
      remedy: 'load wants what `docker save` or skopeo wrote; for a root filesystem use `import`',
    },
  )
}

async function keepFiles(
  shop: Workshop,
  tar: AsyncIterable<Buffer>,
  doom: (digests: Iterable<Digest>) => void,
): Promise<Files> {
  const files = new Map<string, Kept>()
  const links = new Map<string, string>()
  const reader = new TarReader()
  const counted = new UnpackCount(shop.limits)
  let writer: Awaited<ReturnType<typeof shop.blobs.create>> | undefined
  let path = ''
  let bytes = 0
  try {
    for await (const chunk of decompress(tar)) {
      counted.read(chunk.length)
      for (const event of reader.push(chunk)) {
        if (event.type === 'entry') {
          path = cleanPath(event.entry.name)
          bytes += event.entry.size
          const { kind, link } = event.entry
          if (bytes > shop.limits.bytes || files.size + links.size > MAX_FILES) throw tooLarge(shop)
          counted.name(`${path}${link}`)
          if (kind === 'symlink') links.set(path, linkTarget(path, link))
          if (kind === 'hardlink') links.set(path, cleanPath(link))
          if (kind === 'file') writer = await shop.blobs.create()
        } else if (event.type === 'data') {
          await writer?.write(event.bytes)
        } else if (writer !== undefined) {
          const size = writer.bytes
          const digest = await writer.finish()
          writer = undefined
          doom([digest])
          files.set(path, { digest, size })
        }
      }
    }
    reader.finish()
  } finally {
    await writer?.discard()
  }
  for (const [name, target] of links) {
    const file = files.get(target)
    if (file !== undefined) files.set(name, file)
  }
  return files
}

const MAX_FILES = 100_000

function tooLarge(shop: Workshop): DewarError {
  return new DewarError(
    'too-large',
    `Loading images was stopped: the archive holds more than ${shop.limits.bytes} bytes or ${MAX_FILES} files`,
  )
}

/** Old archives name a shared layer by "../ID/layer.tar". */
function linkTarget(path: string, link: string): string {
  if (link.startsWith('/')) return cleanPath(link)
  return cleanPath(`${path.split('/').slice(0, -1).join('/')}/${link}`)
}

const ARCHIVE = z.array(
  z.object({
    Config: z.string(),
    RepoTags: z.array(z.string()).nullish(),
    Layers: z.array(z.string()).max(2000).nullish(),
  }),
)

class Loader {
  readonly #shop: Workshop
  readonly #files: Files
  readonly #onProgress: OnProgress
  readonly #byDigest: ReadonlyMap<string, Kept>

  constructor(shop: Workshop, files: Files, onProgress: OnProgress) {
    this.#shop = shop
    this.#files = files
    this.#onProgress = onProgress
    this.#byDigest = new Map([...files.values()].map((kept) => [kept.digest, kept]))
  }

  async archive(): Promise<LoadedImage[]> {
    const loaded: LoadedImage[] = []
    for (const entry of await this.#archiveEntries()) {
      const configBytes = await this.#shop.blobs.read(this.#file(entry.Config).digest)
      const config = parseImageConfig(configBytes, `the config ${entry.Config}`)
      requireHistory(config, `the config ${entry.Config}`)
      const diffIds = config.rootfs.diff_ids ?? []
      const blobs = (entry.Layers ?? []).map((path) => this.#file(path))
      const layers = await this.#layers(blobs, diffIds)
      const image = await addImageBytes(this.#shop, configBytes, diffIds, layers)
      loaded.push({
        image,
        names: (entry.RepoTags ?? []).map((name) => withDefaultTag(parseReference(name))),
      })
    }
    return loaded
  }

  async #archiveEntries(): Promise<z.infer<typeof ARCHIVE>> {
    const bytes = await this.#shop.blobs.read(this.#file('manifest.json').digest)
    try {
      return ARCHIVE.parse(JSON.parse(bytes.toString('utf8')))
    } catch (error) {
      throw new DewarError(
        'invalid-argument',
        `Loading images failed: manifest.json is malformed: ${messageOf(error)}`,
      )
    }
  }

  /** undefined: the index names blobs that are not in the archive (Docker 25 writes attestations so). */
  async layout(): Promise<LoadedImage[] | undefined> {
    const { index } = parseManifest(
      await this.#shop.blobs.read(this.#file('index.json').digest),
      'index.json',
    )
    if (index === undefined)
      throw new DewarError('invalid-argument', 'Loading images failed: index.json is not an index')
    const found = new Map<Digest, LoadedImage & { readonly names: Reference[] }>()
    for (const descriptor of index.manifests) {
      const chosen = await this.#manifestOf(descriptor)
      if (chosen === undefined) continue
      const image = found.get(chosen.digest)?.image ?? (await this.#imageOf(chosen.manifest, chosen.digest))
      if (image === undefined) return undefined
      const names = found.get(chosen.digest)?.names ?? []
      const name = nameOf(descriptor)
      if (name !== undefined) names.push(name)
      found.set(chosen.digest, { image, names })
    }
    const names = this.#files.has('manifest.json')
      ? await this.#namesOfArchive()
      : new Map<Digest, Reference[]>()
    return [...found.values()].map((entry) =>
      entry.names.length > 0 ? entry : { ...entry, names: names.get(entry.image.id) ?? [] },
    )
  }

  async #namesOfArchive(): Promise<Map<Digest, Reference[]>> {
    const names = new Map<Digest, Reference[]>()
    for (const entry of await this.#archiveEntries()) {
      const config = this.#files.get(cleanPath(entry.Config))
      if (config === undefined) continue
      names.set(
        config.digest,
        (entry.RepoTags ?? []).map((name) => withDefaultTag(parseReference(name))),
      )
    }
    return names
  }

  /** undefined for what is no image of this machine (another platform, an attestation). */
  async #manifestOf(
    descriptor: Descriptor,
  ): Promise<{ readonly manifest: Manifest; readonly digest: Digest } | undefined> {
    const kept = this.#byDigest.get(descriptor.digest)
    if (kept === undefined) return undefined
    const parsed = parseManifest(await this.#shop.blobs.read(kept.digest), `manifest ${descriptor.digest}`)
    if (parsed.manifest !== undefined) return { manifest: parsed.manifest, digest: kept.digest }
    const chosen = choosePlatform(parsed.index, parsePlatform(undefined))
    const inner = chosen === undefined ? undefined : this.#byDigest.get(chosen.digest)
    if (inner === undefined) return undefined
    const { manifest } = parseManifest(await this.#shop.blobs.read(inner.digest), `manifest ${inner.digest}`)
    return manifest === undefined ? undefined : { manifest, digest: inner.digest }
  }

  async #imageOf(manifest: Manifest, digest: Digest): Promise<ImageRecord | undefined> {
    const config = this.#byDigest.get(manifest.config.digest)
    const blobs = manifest.layers.map((layer) => this.#byDigest.get(layer.digest))
    if (config === undefined || blobs.includes(undefined)) return undefined
    const document = parseImageConfig(await this.#shop.blobs.read(config.digest), `config ${config.digest}`)
    requireHistory(document, `config ${config.digest}`)
    const diffIds = document.rootfs.diff_ids ?? []
    await this.#layers(
      blobs.filter((blob) => blob !== undefined),
      diffIds,
    )
    const record: ImageRecord = {
      id: config.digest,
      manifest: digest,
      layers: manifest.layers.map((layer) => ({
        digest: layer.digest,
        size: layer.size,
        mediaType: layer.mediaType,
      })),
      diffIds,
      lastTagTime: this.#shop.images.get(config.digest)?.lastTagTime ?? 0,
    }
    await this.#shop.images.add(record)
    return record
  }

  #file(path: string): Kept {
    const file = this.#files.get(cleanPath(path))
    if (file !== undefined) return file
    throw new DewarError(
      'invalid-argument',
      `Loading images failed: ${JSON.stringify(path)} is not in the archive`,
      {
        remedy: 'the archive is incomplete; save the image again',
      },
    )
  }

  async #layers(
    blobs: readonly Kept[],
    diffIds: readonly Digest[],
  ): Promise<{ digest: Digest; size: number; mediaType: string }[]> {
    if (blobs.length !== diffIds.length) {
      throw new DewarError(
        'invalid-argument',
        `Loading images failed: invalid manifest, layers length mismatch: expected ${diffIds.length}, got ${blobs.length}`,
      )
    }
    const chain = chainIds(diffIds)
    const layers: { digest: Digest; size: number; mediaType: string }[] = []
    for (const [at, blob] of blobs.entries()) {
      const chainId = chain[at]
      if (chainId !== undefined && this.#shop.layers.get(chainId) === undefined) {
        await this.#unpack(blob, diffIds.slice(0, at + 1))
      }
      layers.push({ ...blob, mediaType: await this.#typeOf(blob) })
    }
    return layers
  }

  async #typeOf(blob: Kept): Promise<string> {
    for await (const bytes of this.#shop.blobs.stream(blob.digest)) return layerType(bytes.subarray(0, 512))
    return layerType(Buffer.alloc(0))
  }

  async #unpack(blob: Kept, diffIds: readonly Digest[]): Promise<void> {
    const digester = new Digester()
    const wanted = diffIds.at(-1) ?? ''
    const id = shortId(wanted)
    const { limits, layers } = this.#shop
    this.#onProgress({ status: 'Loading layer', id, progressDetail: { current: 0, total: blob.size } })
    const plain = digester.through(decompress(this.#shop.blobs.stream(blob.digest)))
    const staged = await layers.stage(plain, { layer: true, limits })
    const diffId = digester.digest()
    if (diffId !== wanted) {
      await staged.discard()
      throw new DewarError(
        'invalid-argument',
        `Loading images failed: invalid diffID for layer ${diffIds.length - 1}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(diffId)}`,
        { remedy: 'the archive is damaged or forged; save the image again' },
      )
    }
    await commitStaged(this.#shop, staged, diffIds)
    this.#onProgress({
      status: 'Loading layer',
      id,
      progressDetail: { current: blob.size, total: blob.size },
    })
  }
}

/** containerd's annotation has the whole name; the standard one a tag, or with skopeo a name and tag. */
function nameOf(descriptor: Descriptor): Reference | undefined {
  const whole = descriptor.annotations?.['io.containerd.image.name']
  const short = descriptor.annotations?.['org.opencontainers.image.ref.name']
  const text = whole ?? (short !== undefined && /[:/]/.test(short) ? short : undefined)
  return text === undefined ? undefined : withDefaultTag(parseReference(text))
}
