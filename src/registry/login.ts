/** Checks a user's credentials with a registry, as `docker login` wants it. */
import { DewarError } from '../base/errors.ts'
import { basicHeader, fetchToken, parseChallenges } from './auth.ts'
import type { Credentials } from './auth.ts'
import { endpointsOf } from './endpoints.ts'
import type { Endpoint, RegistryOptions } from './endpoints.ts'
import { refusal, RegistryRefused } from './errors.ts'
import { ConnectionFailed, drain, exchange } from './http.ts'

/** The name Docker's clients keep Docker Hub's credentials under. */
export const HUB_SERVER = 'https://index.docker.io/v1/'

/** "https://registry.example:5000/v2/" → "registry.example:5000"; nothing → Docker Hub. */
export function domainOfServer(server: string | undefined): string {
  if (server === undefined || server === '') return 'docker.io'
  const host = server.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? 'docker.io' : host
}

/** Throws `unauthorized` when the registry refuses them. */
export async function verifyCredentials(
  server: string | undefined,
  credentials: Credentials,
  options: RegistryOptions,
): Promise<{ readonly status: string; readonly identityToken: string }> {
  const endpoints = endpointsOf(domainOfServer(server), options, true)
  let last: unknown
  for (const endpoint of endpoints) {
    try {
      const identityToken = await verifyAt(endpoint, credentials, options)
      return { status: 'Login Succeeded', identityToken }
    } catch (error) {
      if (error instanceof RegistryRefused) {
        const why = `Get "${new URL('/v2/', endpoint.base).href}": ${error.message}`
        throw new DewarError(error.status === 401 ? 'unauthorized' : 'system', why, { cause: error })
      }
      if (!(error instanceof ConnectionFailed)) throw error
      last = last ?? error
    }
  }
  throw new DewarError('system', last instanceof Error ? last.message : 'no endpoint', { cause: last })
}

async function verifyAt(
  endpoint: Endpoint,
  credentials: Credentials,
  options: RegistryOptions,
): Promise<string> {
  const http = { stallMs: options.stallMs, insecure: endpoint.insecure }
  const url = new URL(`${endpoint.base.pathname.replace(/\/$/, '')}/v2/`, endpoint.base)
  const open = await exchange({ method: 'GET', url, ...http })
  if (open.status !== 401) {
    drain(open)
    if (open.status === 200) return ''
    throw await refusal(open)
  }
  const challenges = parseChallenges(open.headers['www-authenticate'])
  drain(open)
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
  let authorization = basicHeader(credentials) ?? ''
  let identityToken = ''
  if (bearer !== undefined) {
    const got = await fetchToken({
      challenge: bearer,
      registry: endpoint.base,
      scope: undefined,
      credentials,
      http,
    })
    authorization = `Bearer ${got.token}`
    identityToken = got.identityToken
  }
  const proven = await exchange({ method: 'GET', url, headers: { authorization }, ...http })
  if (proven.status !== 200) throw await refusal(proven)
  drain(proven)
  return identityToken
}
