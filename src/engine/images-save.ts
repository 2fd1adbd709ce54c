/** `docker save`: a docker archive that is an OCI layout too, as Docker 25 and later write it. */
import { DewarError } from '../base/errors.ts'
import type { Blobs } from '../store/blobs.ts'
import { hexOf } from '../store/digest.ts'
import type { Digest } from '../store/digest.ts'
import { MEDIA, parseManifest } from '../store/image-config.ts'
import type { ImageRecord, ImageStore } from '../store/image-store.ts'
import {
  canonical,
  familiarName,
  familiarReference,
  parseReference,
  repositoryOf,
} from '../store/reference.ts'
import type { Reference } from '../store/reference.ts'
import { encodeTarHeader, TAR_END, tarPadding } from '../store/tar-write.ts'

interface Saved {
  readonly image: ImageRecord
  readonly names: Reference[]
}

/** What is to be saved; throws `not-found` before anything is written. A name without a tag means all its tags, as with Docker. */
export function chooseImages(images: ImageStore, refs: readonly string[]): Saved[] {
  const chosen = new Map<Digest, Saved>()
  const choose = (image: ImageRecord, name?: Reference): void => {
    const saved = chosen.get(image.id) ?? { image, names: [] }
    chosen.set(image.id, saved)
    if (name?.tag === undefined || name.digest !== undefined) return
    if (saved.names.every((other) => canonical(other) !== canonical(name))) saved.names.push(name)
  }
  for (const ref of refs) {
    const all = namesWithin(images, ref)
    for (const { image, name } of all) choose(image, name)
    if (all.length > 0) continue
    const image = images.find(ref)
    if (image === undefined) throw new DewarError('not-found', `No such image: ${ref}`)
    const byId = image.id.startsWith(ref) || image.id.startsWith(`sha256:${ref}`)
    choose(image, byId ? undefined : parseReference(ref))
  }
  if (chosen.size === 0) throw new DewarError('invalid-argument', 'Saving images failed: no image was named')
  return [...chosen.values()]
}

/** All that a name without tag or digest stands for, sorted; nothing when it is an id. */
function namesWithin(
  images: ImageStore,
  ref: string,
): readonly { readonly image: ImageRecord; readonly name: Reference }[] {
  if (/^sha256:/.test(ref)) return []
  const wanted = parseReference(ref)
  if (wanted.tag !== undefined || wanted.digest !== undefined) return []
  return images
    .list()
    .flatMap((image) => images.namesOf(image.id).map((name) => ({ image, name })))
    .filter(({ name }) => repositoryOf(name) === repositoryOf(wanted))
    .toSorted((a, b) => (canonical(a.name) < canonical(b.name) ? -1 : 1))
}

export async function* saveImages(blobs: Blobs, saved: readonly Saved[]): AsyncGenerator<Buffer> {
  yield header('blobs/', 0, 'dir')
  yield header('blobs/sha256/', 0, 'dir')
  const written = new Set<Digest>()
  for (const { image } of saved) {
    for (const digest of [...image.layers.map((layer) => layer.digest), image.id, image.manifest]) {
      if (written.has(digest)) continue
      written.add(digest)
      yield* blobEntry(blobs, digest)
    }
  }
  yield* jsonEntry('index.json', await indexOf(blobs, saved))
  yield* jsonEntry('manifest.json', saved.map(archiveEntry))
  yield* jsonEntry('oci-layout', { imageLayoutVersion: '1.0.0' })
  if (saved.some(({ names }) => names.length > 0)) yield* jsonEntry('repositories', repositoriesOf(saved))
  yield TAR_END
}

function archiveEntry({ image, names }: Saved): object {
  return {
    Config: pathOf(image.id),
    RepoTags: names.length === 0 ? null : names.map(familiarReference),
    Layers: image.layers.map(({ digest }) => pathOf(digest)),
  }
}

async function indexOf(blobs: Blobs, saved: readonly Saved[]): Promise<object> {
  const manifests: object[] = []
  for (const { image, names } of saved) {
    const bytes = await blobs.read(image.manifest)
    const { manifest } = parseManifest(bytes, `the manifest of ${image.id}`)
    const descriptor = {
      mediaType: manifest?.mediaType ?? MEDIA.ociManifest,
      digest: image.manifest,
      size: bytes.length,
    }
    if (names.length === 0) manifests.push(descriptor)
    for (const name of names) {
      const annotations = {
        'io.containerd.image.name': canonical(name),
        'org.opencontainers.image.ref.name': name.tag,
      }
      manifests.push({ ...descriptor, annotations })
    }
  }
  return { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests }
}

/** Docker's oldest form: name → tag → topmost layer. */
function repositoriesOf(saved: readonly Saved[]): object {
  const repositories: Record<string, Record<string, string>> = {}
  for (const { image, names } of saved) {
    const top = image.layers.at(-1)
    for (const name of names) {
      repositories[familiarName(name)] = {
        ...repositories[familiarName(name)],
        [name.tag ?? 'latest']: hexOf(top?.digest ?? image.id),
      }
    }
  }
  return repositories
}

function pathOf(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`
}

async function* blobEntry(blobs: Blobs, digest: Digest): AsyncGenerator<Buffer> {
  const size = await blobs.size(digest)
  if (size === undefined) throw new DewarError('system', `Saving images failed: blob ${digest} is missing`)
  yield header(pathOf(digest), size, 'file')
  yield* blobs.stream(digest)
  yield tarPadding(size)
}

function* jsonEntry(name: string, value: object): Generator<Buffer> {
  const bytes = Buffer.from(JSON.stringify(value))
  yield header(name, bytes.length, 'file')
  yield bytes
  yield tarPadding(bytes.length)
}

function header(name: string, size: number, kind: 'file' | 'dir'): Buffer {
  return encodeTarHeader({
    kind,
    name,
    size,
    link: '',
    mode: kind === 'dir' ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    mtime: { sec: 0, ns: 0 },
    major: 0,
    minor: 0,
    xattrs: [],
  })
}
