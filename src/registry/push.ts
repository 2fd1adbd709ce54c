/** Pushes one image under one name: layers first, then config, then the manifest that makes them an image. */
import { DewarError } from '../base/errors.ts'
import type { Blobs } from '../store/blobs.ts'
import type { Digest } from '../store/digest.ts'
import type { ImageRecord } from '../store/image-store.ts'
import { parseManifest } from '../store/image-config.ts'
import type { Descriptor } from '../store/image-config.ts'
import { familiarName, repositoryOf } from '../store/reference.ts'
import type { Reference } from '../store/reference.ts'
import type { Credentials } from './auth.ts'
import type { RegistryOptions } from './endpoints.ts'
import { RegistryRefused } from './errors.ts'
import { drain } from './http.ts'
import { Meter, shortId } from './progress.ts'
import type { OnProgress } from './progress.ts'
import { withRepository } from './repository.ts'
import type { Repository } from './repository.ts'
import { Gate } from './shared-work.ts'

export interface PushRequest {
  readonly image: ImageRecord
  /** With a tag. */
  readonly reference: Reference
  readonly credentials: Credentials | undefined
  readonly registry: RegistryOptions
  readonly blobs: Blobs
  /** Repository paths in the same registry that may hold the same layers: "library/debian". */
  readonly mountFrom: readonly string[]
  readonly onProgress: OnProgress
  readonly signal: AbortSignal
}

const UPLOADS = 5

/** Resolves with the digest of the manifest, which is the one the image was pulled with, if it was. */
export async function push(request: PushRequest): Promise<Digest> {
  const { reference, image, onProgress } = request
  const access = {
    actions: 'pull,push' as const,
    credentials: request.credentials,
    registry: request.registry,
  }
  const manifestBytes = await request.blobs.read(image.manifest)
  const { manifest } = parseManifest(manifestBytes, `the manifest of ${image.id}`)
  if (manifest === undefined) throw new Error('an image record names a manifest')
  onProgress({ status: `The push refers to repository [${repositoryOf(reference)}]` })
  try {
    return await withRepository(reference, access, async (repository) => {
      const upload: Upload = { ...request, repository }
      // The first question finds out whether this endpoint answers and lets us in; nothing was sent before it.
      await exists(upload, manifest.config.digest)
      await pushLayers(upload, manifest.layers)
      await pushBlob(upload, manifest.config)
      await pushManifest(upload, manifest.mediaType ?? '', manifestBytes)
      onProgress({ status: `${reference.tag}: digest: ${image.manifest} size: ${manifestBytes.length}` })
      onProgress({ aux: { Tag: reference.tag, Digest: image.manifest, Size: manifestBytes.length } })
      return image.manifest
    })
  } catch (error) {
    throw error instanceof RegistryRefused ? pushError(error, reference) : error
  }
}

function pushError(error: RegistryRefused, reference: Reference): DewarError {
  if (error.code === 'DENIED' || error.status === 403) {
    return new DewarError('system', error.message, {
      cause: error,
      remedy: `log in with a user who may push to ${familiarName(reference)}`,
    })
  }
  return new DewarError('system', error.message, { cause: error })
}

interface Upload extends PushRequest {
  readonly repository: Repository
}

async function pushLayers(upload: Upload, layers: readonly Descriptor[]): Promise<void> {
  const unique = new Map(
    layers.map((layer, at) => [layer.digest, { layer, diffId: upload.image.diffIds[at] }]),
  )
  for (const { diffId } of unique.values()) {
    upload.onProgress({ status: 'Preparing', id: shortId(diffId ?? '') })
  }
  const gate = new Gate(UPLOADS)
  const results = await Promise.allSettled(
    [...unique.values()].map(({ layer, diffId }) =>
      gate.pass(() => pushLayer(upload, layer, shortId(diffId ?? layer.digest))),
    ),
  )
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

async function pushLayer(upload: Upload, layer: Descriptor, id: string): Promise<void> {
  if (await exists(upload, layer.digest)) {
    upload.onProgress({ status: 'Layer already exists', id })
    return
  }
  const start = await startUpload(upload, layer.digest)
  if (start.mountedFrom !== undefined) {
    upload.onProgress({ status: `Mounted from ${start.mountedFrom}`, id })
    return
  }
  const meter = new Meter(upload.onProgress, 'Pushing', id, layer.size)
  await sendBlob(upload, layer, start.location, (sent) => meter.at(sent))
  upload.onProgress({ status: 'Pushed', id })
}

async function pushBlob(upload: Upload, blob: Descriptor): Promise<void> {
  if (await exists(upload, blob.digest)) return
  const { location, mountedFrom } = await startUpload({ ...upload, mountFrom: [] }, blob.digest)
  if (mountedFrom === undefined) await sendBlob(upload, blob, location, () => undefined)
}

async function exists({ repository, signal }: Upload, digest: Digest): Promise<boolean> {
  const response = await repository.ask({
    method: 'HEAD',
    path: `blobs/${digest}`,
    expect: [200, 404],
    signal,
  })
  drain(response)
  return response.status === 200
}

/** Asks the registry to take the blob from another of its repositories first, where one may have it. */
async function startUpload(
  { repository, signal, mountFrom }: Upload,
  digest: Digest,
): Promise<{ readonly location: URL; readonly mountedFrom?: string }> {
  const from = mountFrom[0]
  const query = from === undefined ? '' : `?${new URLSearchParams({ mount: digest, from }).toString()}`
  const response = await repository.ask({
    method: 'POST',
    path: `blobs/uploads/${query}`,
    headers: { 'content-length': '0' },
    expect: [201, 202],
    signal,
  })
  drain(response)
  const location = repository.location(response)
  return response.status === 201 && from !== undefined ? { location, mountedFrom: from } : { location }
}

/** All of it in one chunk, then the end with the digest: what every registry understands, as Docker sends it. */
async function sendBlob(
  { repository, blobs, signal }: Upload,
  blob: Descriptor,
  location: URL,
  told: (sent: number) => void,
): Promise<void> {
  async function* body(): AsyncGenerator<Buffer> {
    let sent = 0
    for await (const bytes of blobs.stream(blob.digest)) {
      yield bytes
      sent += bytes.length
      told(sent)
    }
  }
  const patched = await repository.ask({
    method: 'PATCH',
    path: location,
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(blob.size) },
    body: body(),
    expect: [202, 204],
    signal,
  })
  drain(patched)
  const end = repository.location(patched)
  end.searchParams.set('digest', blob.digest)
  drain(
    await repository.ask({
      method: 'PUT',
      path: end,
      headers: { 'content-length': '0' },
      expect: [201, 204],
      signal,
    }),
  )
}

async function pushManifest(
  { repository, reference, signal, image }: Upload,
  type: string,
  bytes: Buffer,
): Promise<void> {
  const response = await repository.ask({
    method: 'PUT',
    path: `manifests/${reference.tag}`,
    headers: { 'content-type': type, 'content-length': String(bytes.length) },
    body: bytes,
    expect: [201, 200, 202],
    signal,
  })
  drain(response)
  const stored = response.headers['docker-content-digest']
  if (stored === undefined || stored === image.manifest) return
  throw new DewarError(
    'system',
    `Pushing ${familiarName(reference)} failed: the registry stored it as ${String(stored)}`,
    {
      remedy: `its digest is ${image.manifest}; the registry changed the manifest`,
    },
  )
}
