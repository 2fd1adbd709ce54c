import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import type { Header, Pack } from 'tar-stream'
import { pack } from 'tar-stream'
import type { Tree, TreeEntry } from './host-files.ts'

export interface ImageArchive {
  /** `sha256:…` of the config, which is the image's id. */
  readonly id: string
  /** Bytes of the layer's tar. */
  readonly size: number
  /** A fresh stream of the archive each time. It fails when a file has changed its size since. */
  stream(): Readable
}

export interface ImageSettings {
  readonly reference: string
  /** As Go names it: amd64, arm64. */
  readonly architecture: string
  readonly config: Readonly<Record<string, unknown>>
  readonly comment: string
}

interface Blob {
  readonly digest: string
  readonly size: number
}

type EntryHeader = Partial<Header> & Pick<Header, 'name'>
type Part = readonly [name: string, content: string | { readonly size: number; readonly stream: Readable }]

const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'
const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar'
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'

/**
 * A one-layer image as `docker save` writes them: a docker archive that is an OCI layout too. The tree is packed
 * twice, once to know its digest and once to send it, so that it never lies in memory or on disk.
 * Nothing in it depends on the time: the same tree gives the same id.
 */
export async function imageArchive(tree: Tree, settings: ImageSettings): Promise<ImageArchive> {
  const layer = await measure(packTree(tree))
  const created = new Date(0).toISOString()
  const config = JSON.stringify({
    created,
    architecture: settings.architecture,
    os: 'linux',
    config: settings.config,
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
    history: [{ created, created_by: 'dewar builtin-image', comment: settings.comment }],
  })
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: { mediaType: CONFIG_TYPE, ...describe(config) },
    layers: [{ mediaType: LAYER_TYPE, ...layer }],
  })
  return {
    id: describe(config).digest,
    size: layer.size,
    stream: () => packParts(parts(tree, layer, config, manifest, settings.reference)),
  }
}

function* parts(
  tree: Tree,
  layer: Blob,
  config: string,
  manifest: string,
  reference: string,
): Generator<Part> {
  const annotations = {
    'io.containerd.image.name': reference,
    'org.opencontainers.image.ref.name': tagOf(reference),
  }
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [{ mediaType: MANIFEST_TYPE, ...describe(manifest), annotations }],
  }
  const legacy = [{ Config: blobPath(describe(config)), RepoTags: [reference], Layers: [blobPath(layer)] }]
  yield ['oci-layout', '{"imageLayoutVersion":"1.0.0"}']
  yield ['index.json', JSON.stringify(index)]
  yield ['manifest.json', JSON.stringify(legacy)]
  yield [blobPath(describe(config)), config]
  yield [blobPath(describe(manifest)), manifest]
  yield [blobPath(layer), { size: layer.size, stream: packTree(tree) }]
}

function tagOf(reference: string): string {
  return reference.slice(reference.lastIndexOf(':') + 1)
}

function blobPath({ digest }: Blob): string {
  return `blobs/${digest.replace(':', '/')}`
}

function describe(text: string): Blob {
  const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`
  return { digest, size: Buffer.byteLength(text) }
}

async function measure(stream: Readable): Promise<Blob> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk)
    size += chunk.length
  }
  return { digest: `sha256:${hash.digest('hex')}`, size }
}

/** Sorted by path: folders come before what is in them, and the bytes are always the same. */
export function packTree(tree: Tree): Readable {
  const entries = [...tree].sort(([a], [b]) => (a < b ? -1 : 1))
  return packWith(async (tar) => {
    for (const [path, entry] of entries) await putEntry(tar, path.slice(1), entry)
  })
}

function packParts(all: Iterable<Part>): Readable {
  return packWith(async (tar) => {
    for (const [name, content] of all) {
      if (typeof content === 'string') await put(tar, { name, mode: 0o644 }, content)
      else await putStream(tar, { name, mode: 0o644, size: content.size }, content.stream)
    }
  })
}

/** tar-stream's own stream is not one of Node's; the wrapper keeps back-pressure and hands errors on. */
function packWith(fill: (tar: Pack) => Promise<void>): Readable {
  const tar = pack()
  fill(tar).then(
    () => tar.finalize(),
    (error: Error) => tar.destroy(error),
  )
  return Readable.from(tar, { objectMode: false })
}

function putEntry(tar: Pack, name: string, entry: TreeEntry): Promise<void> {
  if (entry.type === 'directory') return put(tar, { name: `${name}/`, type: 'directory', mode: entry.mode })
  if (entry.type === 'symlink')
    return put(tar, { name, type: 'symlink', linkname: entry.target, mode: 0o777 })
  if ('content' in entry) return put(tar, { name, mode: entry.mode }, entry.content)
  const bytes = createReadStream(entry.from, { highWaterMark: 1 << 20 })
  return putStream(tar, { name, mode: entry.mode, size: entry.size }, bytes)
}

function put(tar: Pack, header: EntryHeader, content = ''): Promise<void> {
  return new Promise((done, failed) => {
    tar.entry({ ...header, mtime: new Date(0) }, content, (error) => (error ? failed(error) : done()))
  })
}

function putStream(tar: Pack, header: EntryHeader, bytes: Readable): Promise<void> {
  return new Promise((done, failed) => {
    const sink = tar.entry({ ...header, mtime: new Date(0) }, (error) => (error ? failed(error) : done()))
    bytes.on('error', (error) => sink.destroy(error))
    sink.on('close', () => bytes.destroy())
    bytes.pipe(sink)
  })
}
