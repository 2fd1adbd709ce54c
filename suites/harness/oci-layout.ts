import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { pack, type Header } from 'tar-stream'

/** One member of a layer; `content` only for files. Owner root, time zero, mode 0755 unless said. */
export interface Member extends Partial<Omit<Header, 'name'>> {
  readonly name: string
  readonly content?: string | Buffer
}

/** A tar file on disk, or its members. */
export type Layer = { readonly tar: string } | { readonly members: readonly Member[] }

export interface ImageRecipe {
  /** repository:tag */
  readonly name: string
  readonly layers: readonly Layer[]
  /** The OCI image config's `config` object, spelled as there. */
  readonly config?: Readonly<Record<string, unknown>>
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const EPOCH = '2024-01-02T03:04:05Z'

/** Writes an OCI layout folder with one image, from which skopeo copies. Same recipe, same digests. */
export async function writeOciLayout(folder: string, recipe: ImageRecipe): Promise<void> {
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true })
  const layers: (Descriptor & { readonly diffId: string })[] = []
  for (const layer of recipe.layers) layers.push(await writeLayer(folder, layer))
  const config = await writeBlob(folder, 'application/vnd.oci.image.config.v1+json', {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    created: EPOCH,
    config: recipe.config ?? {},
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map((_, index) => ({ created: EPOCH, created_by: `/bin/sh -c #(nop) layer ${index}` })),
  })
  const manifest = await writeBlob(folder, 'application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  })
  const tag = recipe.name.split(':')[1] ?? 'latest'
  const named = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': tag } }
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [named] }))
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
}

/** The members as an uncompressed tar. */
export async function tarOf(members: readonly Member[]): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of packMembers(members)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function packMembers(members: readonly Member[]): Readable & AsyncIterable<Buffer> {
  const tar = pack()
  for (const { content, ...header } of members) {
    const full = { mode: 0o755, uid: 0, gid: 0, mtime: new Date(0), ...header } as Header
    if (content === undefined) tar.entry(full)
    else tar.entry({ ...full, type: 'file' }, content)
  }
  tar.finalize()
  return tar as unknown as Readable & AsyncIterable<Buffer>
}

async function writeLayer(folder: string, layer: Layer): Promise<Descriptor & { diffId: string }> {
  const source = 'tar' in layer ? createReadStream(layer.tar) : packMembers(layer.members)
  const plain = createHash('sha256')
  const packed = createHash('sha256')
  const temporary = join(folder, 'blobs', 'incoming')
  await pipeline(
    source,
    tap((chunk) => plain.update(chunk)),
    createGzip({ level: 1 }),
    tap((chunk) => packed.update(chunk)),
    createWriteStream(temporary),
  )
  const hex = packed.digest('hex')
  const path = join(folder, 'blobs', 'sha256', hex)
  await rename(temporary, path)
  return {
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    digest: `sha256:${hex}`,
    size: (await stat(path)).size,
    diffId: `sha256:${plain.digest('hex')}`,
  }
}

function tap(look: (chunk: Buffer) => void) {
  return async function* (source: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
    for await (const chunk of source) {
      look(chunk)
      yield chunk
    }
  }
}

async function writeBlob(folder: string, mediaType: string, value: unknown): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(value))
  const hex = createHash('sha256').update(bytes).digest('hex')
  await writeFile(join(folder, 'blobs', 'sha256', hex), bytes)
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length }
}
