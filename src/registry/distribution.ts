/** What a registry has under a name, without pulling it: `docker manifest inspect`, stacks, image update checks. */
import { z } from 'zod'
import { MEDIA, parseManifest } from '../store/image-config.ts'
import type { Descriptor } from '../store/image-config.ts'
import { familiarReference, withDefaultTag, type Reference } from '../store/reference.ts'
import type { Credentials } from './auth.ts'
import type { RegistryOptions } from './endpoints.ts'
import { pullError, RegistryRefused } from './errors.ts'
import { bodyOf } from './http.ts'
import { getManifest, type Fetched } from './manifest.ts'
import { withRepository, type Repository } from './repository.ts'

const CONFIG_BYTES_MAX = 8 * 1024 * 1024

export interface DistributionPlatform {
  readonly architecture: string
  readonly os: string
  readonly variant?: string
}

export interface Distribution {
  readonly mediaType: string
  readonly digest: string
  /** Bytes of the manifest or index itself. */
  readonly size: number
  readonly platforms: readonly DistributionPlatform[]
}

/** Throws as a pull does: not-found, unauthorized, or system with the registry's words. */
export async function inspectDistribution(
  reference: Reference,
  credentials: Credentials | undefined,
  registry: RegistryOptions,
  signal: AbortSignal,
): Promise<Distribution> {
  const full = withDefaultTag(reference)
  try {
    return await withRepository(full, { actions: 'pull', credentials, registry }, async (repository) => {
      const top = await getManifest(repository, full.digest ?? full.tag ?? 'latest', signal)
      const { manifest, index } = parseManifest(top.bytes, `the manifest of ${familiarReference(full)}`)
      const platforms =
        manifest === undefined
          ? index.manifests.flatMap(({ platform }) => (platform === undefined ? [] : [platformOf(platform)]))
          : await configPlatform(repository, manifest.config, signal)
      return { mediaType: mediaTypeOf(top), digest: top.digest, size: top.bytes.length, platforms }
    })
  } catch (error) {
    throw error instanceof RegistryRefused ? pullError(error, full) : error
  }
}

/** What the document says of itself; OCI's may leave it out. */
function mediaTypeOf({ bytes }: Fetched): string {
  const parsed: unknown = JSON.parse(bytes.toString('utf8'))
  const told: unknown =
    typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, 'mediaType') : undefined
  if (typeof told === 'string' && told !== '') return told
  return typeof parsed === 'object' && parsed !== null && 'manifests' in parsed
    ? MEDIA.ociIndex
    : MEDIA.ociManifest
}

const PLATFORM = z.object({
  architecture: z.string().default(''),
  os: z.string().default(''),
  variant: z.exactOptional(z.string()),
})

function platformOf(platform: unknown): DistributionPlatform {
  return PLATFORM.catch({ architecture: '', os: '' }).parse(platform)
}

/** A config that cannot be had or read says nothing, which is no error, as with dockerd. */
async function configPlatform(
  repository: Repository,
  { digest, size }: Descriptor,
  signal: AbortSignal,
): Promise<DistributionPlatform[]> {
  if (size > CONFIG_BYTES_MAX) return []
  const response = await repository.ask({ method: 'GET', path: `blobs/${digest}`, expect: [200], signal })
  const platform = platformOf(parseOr(await bodyOf(response, CONFIG_BYTES_MAX)))
  return platform.os === '' && platform.architecture === '' ? [] : [platform]
}

function parseOr(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
