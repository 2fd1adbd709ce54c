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

/** For who asked for no platform, and gets an image that this machine may not run: "exec format error" would be all. */
export function platformWarnings(
  { os, architecture, variant }: Pick<ImageDocument, 'os' | 'architecture' | 'variant'>,
  platform: string | undefined,
): readonly string[] {
  const host = parsePlatform(undefined)
  const isAsked = platform !== undefined && platform !== ''
  // An old import need not say what it is for.
  if (isAsked || architecture === '' || (os === host.os && architecture === host.architecture)) return []
  const image = [os, architecture, ...(variant === undefined ? [] : [variant])].join('/')
  return [
    `The requested image's platform (${image}) does not match the detected host platform ` +
      `(${host.os}/${host.architecture}) and no specific platform was requested`,
  ]
}
