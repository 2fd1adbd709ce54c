/**
 * The `platform` parameters of requests for images: JSON like {"os":"linux","architecture":"arm64"}. An image here is for
 * one platform, so what asks for another is told that it is not there, rather than given something else.
 */
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import type { Images, ImageView } from '../engine/types.ts'
import { flagOf } from './query.ts'
import type { Call } from './route.ts'

const PLATFORM = z.object({
  os: z.string().default(''),
  architecture: z.string().default(''),
  variant: z.string().default(''),
})
type Platform = z.infer<typeof PLATFORM>

/** Throws not-found when `name` is not for one of the platforms that the request names; older clients name none. */
export async function checkPlatforms(call: Call, images: Images, name: string): Promise<void> {
  const asked = ['platform', 'platforms'].flatMap((key) => call.query.getAll(key)).flatMap(parsePlatforms)
  if (asked.length === 0) return
  if (flagOf(call.query, 'manifests')) {
    throw new DewarError(
      'invalid-argument',
      'conflicting options: manifests and platform options cannot both be set',
    )
  }
  const image = await images.inspect(name)
  if (asked.some((platform) => isFor(image, platform))) return
  const [wanted] = asked.map((platform) => shown(platform))
  throw new DewarError(
    'not-found',
    `image with reference ${name} was found but does not match the specified platform: wanted ${wanted}, actual: ${shown(image)}`,
  )
}

function parsePlatforms(text: string): Platform[] {
  if (text === '') return []
  try {
    const json: unknown = JSON.parse(text)
    return (Array.isArray(json) ? json : [json]).map((one) => PLATFORM.parse(one))
  } catch (cause) {
    throw new DewarError('invalid-argument', `failed to parse platform ${JSON.stringify(text)}`, {
      cause,
      remedy: 'it is JSON like {"os":"linux","architecture":"amd64"}',
    })
  }
}

function isFor(image: ImageView, { os, architecture, variant }: Platform): boolean {
  return (
    image.os === os &&
    image.architecture === architecture &&
    (variant === '' || (image.variant ?? '') === variant)
  )
}

function shown({ os, architecture, variant = '' }: Partial<Platform>): string {
  return [os, architecture, variant].filter((part) => part !== '').join('/')
}
