/** An image for another platform than was asked for. Pure. */
import { DewarError } from '../base/errors.ts'
import { parsePlatform } from '../registry/manifest.ts'
import type { ImageDocument } from '../store/image-config.ts'

/** Throws not-found when an image is not for the platform that was asked for. */
export function requirePlatform(
  document: Pick<ImageDocument, 'os' | 'architecture'>,
  ref: string,
  platform: string | undefined,
): void {
  if (platform === undefined || platform === '') return
  const wanted = parsePlatform(platform)
  if (document.os === wanted.os && document.architecture === wanted.architecture) return
  throw new DewarError(
    'not-found',
    `image with reference ${ref} was found but does not match the specified platform: ` +
      `wanted ${wanted.os}/${wanted.architecture}, actual: ${document.os}/${document.architecture}`,
  )
}
