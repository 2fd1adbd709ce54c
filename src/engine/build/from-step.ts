/** FROM: an earlier stage, nothing, or an image that is here or at a registry. */
import { DewarError, messageOf } from '../../base/errors.ts'
import { parsePlatform } from '../../registry/manifest.ts'
import { familiarReference, parseReference, withDefaultTag } from '../../store/reference.ts'
import type { BaseImage } from '../images-step.ts'
import type { AuthConfig } from '../types.ts'
import type { Build } from './build.ts'
import { expandWord } from './expand.ts'
import type { From } from './instruction.ts'

/** Undefined for `scratch`. */
export async function fromImage(build: Build, from: From): Promise<BaseImage | undefined> {
  const { args, escape, done, steps, request } = build
  const platform = platformOf(expandWord(from.platform, args.globals, escape)) ?? request.platform
  const name = expandWord(from.image, args.globals, escape)
  if (name === '') throw new DewarError('invalid-argument', `base name (${from.image}) should not be blank`)
  const stage = done.find((earlier) => earlier.name === name.toLowerCase() && earlier.name !== '')
  if (stage !== undefined) return stage.imageId === undefined ? undefined : steps.base(stage.imageId)
  if (name === 'scratch') return undefined
  return imageOf(build, name, platform)
}

function platformOf(text: string): string | undefined {
  if (text === '') return undefined
  try {
    parsePlatform(text)
    return text
  } catch (cause) {
    throw new DewarError('invalid-argument', `failed to parse platform ${text}: ${messageOf(cause)}`, {
      cause,
    })
  }
}

/** Here, or pulled. */
export async function imageOf(build: Build, name: string, platform: string): Promise<BaseImage> {
  const { request, resolved, steps } = build
  const key = `${name} ${platform}`
  const known = resolved.get(key)
  if (known !== undefined) return known
  const here = request.pull ? undefined : localImage(build, name, platform)
  const image = here ?? (await pulled(build, name, platform))
  resolved.set(key, image)
  return steps.base(image.id)
}

function localImage({ steps }: Build, name: string, platform: string): BaseImage | undefined {
  const id = steps.find(name)
  if (id === undefined) return undefined
  const image = steps.base(id)
  if (platform === '') return image
  const wanted = parsePlatform(platform)
  return image.os === wanted.os && image.architecture === wanted.architecture ? image : undefined
}

async function pulled(build: Build, name: string, platform: string): Promise<BaseImage> {
  const { images, steps, out, signal, request } = build
  const reference = withDefaultTag(parseReference(name))
  const full = familiarReference(reference)
  const auth = authFor(request.auth, reference.domain)
  await images.pull(full, {
    ...(platform === '' ? {} : { platform }),
    ...(auth === undefined ? {} : { auth }),
    onProgress: out.onProgress,
    signal,
  })
  return steps.base(full)
}

/** Clients send all the credentials they have, by registry. */
function authFor(all: Readonly<Record<string, AuthConfig>>, domain: string): AuthConfig | undefined {
  const hub = 'https://index.docker.io/v1/'
  return all[domain] ?? (domain === 'docker.io' ? all[hub] : undefined) ?? all[`https://${domain}`]
}
