/** Which versions of the Engine API are served, and how a request asks for one: `/v1.43/containers/json`. */
import { DewarError } from '../base/errors.ts'

export const API_VERSION = '1.51'
export const MIN_API_VERSION = '1.24'
const NEWEST = 51
const OLDEST = 24
/** Every call of `podman --remote` goes there. */
const LIBPOD = /^(?:\/v[0-9.]+)?\/libpod(?:[/?]|$)/
const PREFIX = /^\/v([0-9.]+)(?=\/)/

/** The path without its version, for routing. */
export function withoutVersion(url: string): string {
  return url.startsWith('/v') ? url.replace(PREFIX, '') : url
}

/**
 * The minor version a path asks for; the newest when it names none. All versions are 1.x, so the minor number
 * is what handlers compare. Throws invalid-argument for one that is not served, in dockerd's words.
 */
export function minorVersion(url: string): number {
  if (LIBPOD.test(url)) {
    throw new DewarError('not-implemented', "Dewar does not speak podman's own API (libpod)", {
      remedy:
        "use docker or docker compose with DOCKER_HOST; `podman --remote` works with podman's service alone",
    })
  }
  const asked = PREFIX.exec(url)?.[1]
  if (asked === undefined) return NEWEST
  const [major = 0, minor = 0] = asked.split('.').map(Number)
  if (major < 1 || (major === 1 && minor < OLDEST)) {
    throw new DewarError(
      'invalid-argument',
      `client version ${asked} is too old. Minimum supported API version is ${MIN_API_VERSION}, please upgrade your client to a newer version`,
    )
  }
  if (major > 1 || minor > NEWEST) {
    throw new DewarError(
      'invalid-argument',
      `client version ${asked} is too new. Maximum supported API version is ${API_VERSION}`,
    )
  }
  return minor
}
