/** Layers made here are kept as plain tar; on the way to a registry they are compressed once, for good. */
import { Readable } from 'node:stream'
import zlib from 'node:zlib'
import type { Digest } from '../store/digest.ts'
import { MEDIA, parseManifest } from '../store/image-config.ts'
import type { ImageRecord } from '../store/image-store.ts'
import type { Workshop } from './images-make.ts'

/** The image with every layer compressed: a new manifest, kept so that the next push has the same digest. */
export async function compressForPush(
  shop: Workshop,
  image: ImageRecord,
  doom: (digests: Iterable<Digest>) => void,
): Promise<ImageRecord> {
  const isPlain = ({ mediaType }: { mediaType: string }): boolean =>
    mediaType === MEDIA.ociLayer || mediaType === MEDIA.dockerLayer
  if (!image.layers.some(isPlain)) return image
  const layers: { digest: Digest; size: number; mediaType: string }[] = []
  for (const layer of image.layers) layers.push(isPlain(layer) ? await compress(shop, layer) : layer)
  const { manifest } = parseManifest(await shop.blobs.read(image.manifest), `the manifest of ${image.id}`)
  const bytes = Buffer.from(JSON.stringify({ ...manifest, layers }))
  const record: ImageRecord = { ...image, manifest: await shop.blobs.put(bytes), layers }
  await shop.images.add(record)
  doom([image.manifest, ...image.layers.filter(isPlain).map(({ digest }) => digest)])
  return record
}

async function compress(
  shop: Workshop,
  layer: { readonly digest: Digest; readonly mediaType: string },
): Promise<{ digest: Digest; size: number; mediaType: string }> {
  const writer = await shop.blobs.create()
  const gzip = zlib.createGzip({ level: 6, chunkSize: 256 * 1024 })
  const source = Readable.from(shop.blobs.stream(layer.digest), { objectMode: false })
  source.once('error', (error) => gzip.destroy(error))
  try {
    for await (const bytes of source.pipe(gzip)) if (Buffer.isBuffer(bytes)) await writer.write(bytes)
    const size = writer.bytes
    const type = layer.mediaType === MEDIA.dockerLayer ? MEDIA.dockerLayerGzip : `${MEDIA.ociLayer}+gzip`
    return { digest: await writer.finish(), size, mediaType: type }
  } catch (error) {
    await writer.discard()
    throw error
  } finally {
    source.destroy()
  }
}
