/** From a reference to the one manifest and config that this machine wants. */
import { DewarError } from '../base/errors.ts'
import { digestOf } from '../store/digest.ts'
import type { Digest } from '../store/digest.ts'
import { MEDIA, parseImageConfig, requireHistory, parseManifest } from '../store/image-config.ts'
import type { Descriptor, ImageDocument, Index, Manifest } from '../store/image-config.ts'
import { familiarReference } from '../store/reference.ts'
import type { Reference } from '../store/reference.ts'
import { pullError, RegistryRefused } from './errors.ts'
import { bodyOf } from './http.ts'
import type { Repository } from './repository.ts'

export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}

/** "linux/arm64/v8", "amd64"; Node's names of this machine by default. */
export function parsePlatform(text: string | undefined, nodeArch: string = process.arch): Platform {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', arm: 'arm' }
  const host = names[nodeArch] ?? nodeArch
  if (text === undefined || text === '') return { os: 'linux', architecture: host }
  const parts = text.toLowerCase().split('/')
  const bad = parts.find((part) => !/^[a-z0-9_.-]+$/.test(part))
  if (bad !== undefined) {
    throw new DewarError(
      'invalid-argument',
      `${JSON.stringify(bad)} is an invalid component of ${JSON.stringify(text)}: platform specifier component must match "^[A-Za-z0-9_.-]+(?:\\\\([A-Za-z0-9_.-]*\\\\))?$": invalid argument`,
    )
  }
  if (parts.length > 3)
    throw new DewarError(
      'invalid-argument',
      `${JSON.stringify(text)}: cannot parse platform specifier: invalid argument`,
    )
  const [first = '', second, variant] = parts
  const aliases: Readonly<Record<string, string>> = {
    x86_64: 'amd64',
    aarch64: 'arm64',
    armhf: 'arm',
    i386: '386',
  }
  const known = (name: string): string => aliases[name] ?? name
  if (second === undefined) {
    return first === 'linux'
      ? { os: 'linux', architecture: host }
      : { os: 'linux', architecture: known(first) }
  }
  return { os: first, architecture: known(second), ...(variant === undefined ? {} : { variant }) }
}

/** The first that fits best: an exact variant, then one without, then any of the architecture (the list's order). */
export function choosePlatform(index: Index, wanted: Platform): Descriptor | undefined {
  const fits = index.manifests.filter(
    ({ platform }) =>
      platform !== undefined && platform.os === wanted.os && platform.architecture === wanted.architecture,
  )
  const variant = wanted.variant ?? (wanted.architecture === 'arm64' ? 'v8' : undefined)
  const exact = fits.find(({ platform }) => platform?.variant === variant)
  const plain = fits.find(({ platform }) => platform?.variant === undefined)
  if (wanted.variant !== undefined) return exact ?? (wanted.variant === 'v8' ? plain : undefined)
  return exact ?? plain ?? fits[0]
}

const ACCEPT = [MEDIA.ociIndex, MEDIA.ociManifest, MEDIA.dockerList, MEDIA.dockerManifest].join(', ')
/** distribution's own limit for manifests. */
const MANIFEST_BYTES_MAX = 4 * 1024 * 1024
const CONFIG_BYTES_MAX = 8 * 1024 * 1024

export interface Resolved {
  readonly repository: Repository
  /** Digest that the tag stands for: of the index when there is one. Shown as the image's digest. */
  readonly digest: Digest
  readonly manifest: Manifest
  readonly manifestDigest: Digest
  /** As they came: their digests are over these bytes. */
  readonly manifestBytes: Buffer
  readonly config: ImageDocument
  readonly configBytes: Buffer
}

export async function resolveManifest(
  repository: Repository,
  reference: Reference,
  platform: Platform,
  signal: AbortSignal,
): Promise<Resolved> {
  const name = familiarReference(reference)
  try {
    const top = await getManifest(repository, reference.digest ?? reference.tag ?? 'latest', signal)
    const parsed = parseManifest(top.bytes, `the manifest of ${name}`)
    if (parsed.manifest !== undefined) {
      return await withConfig({
        repository,
        digest: top.digest,
        top,
        manifest: parsed.manifest,
        name,
        signal,
      })
    }
    const chosen = choosePlatform(parsed.index, platform)
    if (chosen === undefined) throw noPlatform(platform)
    const inner = await getManifest(repository, chosen.digest, signal)
    const { manifest } = parseManifest(inner.bytes, `the manifest of ${name}`)
    if (manifest === undefined) {
      throw new DewarError(
        'invalid-argument',
        `Reading the manifest of ${name} failed: an index names another index`,
      )
    }
    return await withConfig({ repository, digest: top.digest, top: inner, manifest, name, signal })
  } catch (error) {
    throw error instanceof RegistryRefused ? pullError(error, reference) : error
  }
}

function noPlatform({ os, architecture, variant }: Platform): DewarError {
  const shown = `${os}/${architecture}${variant === undefined ? '' : `/${variant}`}`
  return new DewarError('not-found', `no matching manifest for ${shown} in the manifest list entries`)
}

export interface Fetched {
  readonly bytes: Buffer
  readonly digest: Digest
}

export async function getManifest(
  repository: Repository,
  name: string,
  signal: AbortSignal,
): Promise<Fetched> {
  const response = await repository.ask({
    method: 'GET',
    path: `manifests/${name}`,
    headers: { accept: ACCEPT },
    expect: [200],
    signal,
  })
  const bytes = await bodyOf(response, MANIFEST_BYTES_MAX)
  const digest = digestOf(bytes)
  const told = response.headers['docker-content-digest']
  // By digest, what we asked for counts; by tag, what the registry says it is must be what it is.
  const expected = name.startsWith('sha256:') ? name : told
  if (expected !== undefined && expected !== digest) {
    throw new DewarError(
      'system',
      `Verifying manifest ${name} failed: manifest verification failed for digest ${String(expected)}`,
      {
        remedy: `what came has digest ${digest}; the registry or the way to it changed the content`,
      },
    )
  }
  return { bytes, digest }
}

async function withConfig(found: {
  readonly repository: Repository
  readonly digest: Digest
  readonly top: Fetched
  readonly manifest: Manifest
  readonly name: string
  readonly signal: AbortSignal
}): Promise<Resolved> {
  const { repository, digest, top, manifest, name, signal } = found
  const { config: descriptor } = manifest
  if (descriptor.mediaType !== MEDIA.dockerConfig && descriptor.mediaType !== MEDIA.ociConfig) {
    throw new DewarError(
      'invalid-argument',
      `Pulling ${name} failed: ${descriptor.mediaType} is not an image`,
      {
        remedy: 'it may be a chart or another artifact; only container images can be pulled',
      },
    )
  }
  if (descriptor.size > CONFIG_BYTES_MAX) throw badConfig(name, `it claims ${descriptor.size} bytes`)
  const response = await repository.ask({
    method: 'GET',
    path: `blobs/${descriptor.digest}`,
    expect: [200],
    signal,
  })
  const configBytes = await bodyOf(response, descriptor.size)
  if (digestOf(configBytes) !== descriptor.digest) {
    throw badConfig(name, `image config verification failed for digest ${descriptor.digest}`)
  }
  const config = parseImageConfig(configBytes, `the config of ${name}`)
  requireHistory(config, `the config of ${name}`)
  const diffIds = config.rootfs.diff_ids ?? []
  if (diffIds.length !== manifest.layers.length) {
    throw badConfig(name, `it names ${diffIds.length} layers and the manifest ${manifest.layers.length}`)
  }
  return {
    repository,
    digest,
    manifest,
    manifestDigest: top.digest,
    manifestBytes: top.bytes,
    config,
    configBytes,
  }
}

function badConfig(name: string, why: string): DewarError {
  return new DewarError('system', `Reading the config of ${name} failed: ${why}`, {
    remedy: 'the registry is inconsistent; push the image again',
  })
}
