/** New images from layers that come to us: import, commit, load. */
import { DewarError } from '../base/errors.ts'
import { parsePlatform } from '../registry/manifest.ts'
import type { BlobWriter, Blobs } from '../store/blobs.ts'
import { asLayer, compressionOf, decompress } from '../store/decompress.ts'
import { chainIds, Digester } from '../store/digest.ts'
import type { Digest } from '../store/digest.ts'
import { MEDIA } from '../store/image-config.ts'
import type { ImageDocument } from '../store/image-config.ts'
import type { ImageRecord, ImageStore } from '../store/image-store.ts'
import type { Layers } from '../store/layers.ts'
import type { UnpackLimits } from '../store/unpack-limits.ts'
import type { ImageConfig } from './types.ts'

export interface Workshop {
  readonly blobs: Blobs
  readonly layers: Layers
  readonly images: ImageStore
  readonly limits: UnpackLimits
}

export interface LayerBlob {
  readonly digest: Digest
  readonly size: number
  readonly mediaType: string
  readonly diffId: Digest
}

export interface CommitLayer {
  /** The image below; undefined for an image of one layer. */
  readonly parent?: string
  /** The layer as tar, plain or compressed: opsToTar(packFolder(upper), { as: 'layer', root: '' }). */
  readonly tar: AsyncIterable<Buffer>
  readonly config: ImageConfig
  readonly changes: readonly string[]
  readonly author: string
  readonly comment: string
  /** Shown by history: the container's command. */
  readonly createdBy: string
  readonly reference?: string
  readonly platform?: string
}

/** Keeps a tar (compressed or not) as blob and as layer on top of `below` (diff ids, bottom first), in one pass. */
export async function addLayer(
  shop: Workshop,
  tar: AsyncIterable<Buffer>,
  below: readonly Digest[],
  signal?: AbortSignal,
): Promise<LayerBlob> {
  const writer = await shop.blobs.create()
  const digester = new Digester()
  const seen = { head: Buffer.alloc(0) }
  try {
    const plain = digester.through(decompress(written(asLayer(tar), writer, seen)))
    const staged = await shop.layers.stage(plain, { layer: true, limits: shop.limits }, signal)
    const size = writer.bytes
    const diffId = digester.digest()
    try {
      const digest = await writer.finish()
      await commitStaged(shop, staged, [...below, diffId])
      return { digest, size, mediaType: layerType(seen.head), diffId }
    } catch (error) {
      await staged.discard()
      throw error
    }
  } catch (error) {
    await writer.discard()
    throw error
  }
}

async function* written(
  tar: AsyncIterable<Buffer>,
  writer: BlobWriter,
  seen: { head: Buffer },
): AsyncGenerator<Buffer> {
  for await (const bytes of tar) {
    if (seen.head.length < 512) seen.head = Buffer.concat([seen.head, bytes.subarray(0, 512)])
    await writer.write(bytes)
    yield bytes
  }
}

export function layerType(head: Buffer): string {
  const compression = compressionOf(head)
  if (compression === 'none') return MEDIA.ociLayer
  if (compression === 'gzip' || compression === 'zstd') return `${MEDIA.ociLayer}+${compression}`
  throw new DewarError(
    'invalid-argument',
    `Loading a layer failed: layers compressed with ${compression} have no media type`,
    {
      remedy: 'make it with gzip or zstd',
    },
  )
}

/** `diffIds` bottom first, the staged layer's own last. */
export async function commitStaged(
  shop: Workshop,
  staged: Awaited<ReturnType<Layers['stage']>>,
  diffIds: readonly Digest[],
): Promise<void> {
  const chain = chainIds(diffIds)
  const chainId = chain.at(-1)
  const diffId = diffIds.at(-1)
  if (chainId === undefined || diffId === undefined) throw new Error('a layer has a diff id')
  const below = chain
    .slice(0, -1)
    .toReversed()
    .map((lower) => shop.layers.folder(lower))
  await staged.commit({ chainId, diffId, below })
}

/** Writes config and manifest of a new image and makes it known. Resolves with its id. */
export async function addImage(
  shop: Workshop,
  document: ImageDocument,
  layers: readonly Omit<LayerBlob, 'diffId'>[],
  origin: Origin = {},
): Promise<ImageRecord> {
  return addImageBytes(
    shop,
    Buffer.from(JSON.stringify(document)),
    document.rootfs.diff_ids ?? [],
    layers,
    origin,
  )
}

/** How an image came to be here. */
export type Origin = Pick<ImageRecord, 'parent' | 'built'>

/** The config as it came: the image's id is its digest. */
export async function addImageBytes(
  shop: Workshop,
  config: Buffer,
  diffIds: readonly Digest[],
  layers: readonly Omit<LayerBlob, 'diffId'>[],
  origin: Origin = {},
): Promise<ImageRecord> {
  const id = await shop.blobs.put(config)
  const described = layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }))
  const manifest = await shop.blobs.put(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA.ociManifest,
        config: { mediaType: MEDIA.ociConfig, digest: id, size: config.length },
        layers: described,
      }),
    ),
  )
  const known = shop.images.get(id)
  const record: ImageRecord = {
    id,
    manifest: known?.manifest ?? manifest,
    layers: known?.layers ?? described,
    diffIds: [...diffIds],
    ...(known?.parent === undefined ? {} : { parent: known.parent }),
    ...origin,
    ...builtOf(known?.built, origin.built),
    lastTagTime: known?.lastTagTime ?? 0,
  }
  await shop.images.add(record)
  return record
}

/** Of one image; older ones are forgotten. */
const KEYS_MAX = 64

/** An image may be the answer to several steps: what it was the answer to before is kept. */
function builtOf(before: Origin['built'], now: Origin['built']): Pick<Origin, 'built'> {
  const latest = now ?? before
  if (latest === undefined) return {}
  const keys = [...new Set([...latest.keys, ...(before?.keys ?? [])])].slice(0, KEYS_MAX)
  return { built: { at: latest.at, keys } }
}

/** Back into the document's spelling; nothing is written for what is empty, as Docker does. */
export function documentOfConfig(config: ImageConfig): Record<string, unknown> {
  const { healthcheck: health } = config
  const filled = (value: object): boolean => Object.keys(value).length > 0
  return {
    ...(config.user === '' ? {} : { User: config.user }),
    ...(filled(config.exposedPorts) ? { ExposedPorts: config.exposedPorts } : {}),
    Env: config.env,
    ...(config.entrypoint === null ? {} : { Entrypoint: config.entrypoint }),
    ...(config.cmd === null ? {} : { Cmd: config.cmd }),
    ...(filled(config.volumes) ? { Volumes: config.volumes } : {}),
    ...(config.workingDir === '' ? {} : { WorkingDir: config.workingDir }),
    ...(filled(config.labels) ? { Labels: config.labels } : {}),
    ...(config.stopSignal === undefined ? {} : { StopSignal: config.stopSignal }),
    ...(config.onBuild?.length ? { OnBuild: config.onBuild } : {}),
    ...(config.shell?.length ? { Shell: config.shell } : {}),
    ...(config.argsEscaped === true ? { ArgsEscaped: true } : {}),
    ...(health === undefined
      ? {}
      : {
          Healthcheck: {
            Test: health.test,
            Interval: health.interval,
            Timeout: health.timeout,
            StartPeriod: health.startPeriod,
            StartInterval: health.startInterval,
            Retries: health.retries,
          },
        }),
  }
}

/** The document of an image that has one layer more than `parent`. */
export function documentOver(
  { images }: Workshop,
  parent: ImageRecord | undefined,
  step: { readonly options: CommitLayer; readonly config: ImageConfig; readonly layer: LayerBlob },
): ImageDocument {
  const { options, config, layer } = step
  const below = parent === undefined ? undefined : images.config(parent.id)
  const { os, architecture, variant } = parsePlatform(options.platform)
  const created = new Date().toISOString()
  const { author, comment } = options
  const entry = {
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
    history: [...(below?.history ?? []), entry],
  } as ImageDocument
}
