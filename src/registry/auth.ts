/**
 * Proving to a registry who asks: basic credentials, or a token from the realm that the registry names.
 *
 * The enemy may be the registry, or a host it redirects to. Credentials go to the registry itself and to the realm
 * it names in its own answer, never to a host reached by redirect (CVE-2020-15157), and never in plain when the
 * registry was reached by TLS. NOT protected: a registry that was given credentials can misuse them.
 */
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import { bodyOf, exchange } from './http.ts'
import type { HttpRequest } from './http.ts'
import { refusal } from './errors.ts'

/** As in Docker's X-Registry-Auth. */
export interface Credentials {
  readonly username?: string
  readonly password?: string
  /** base64 of "user:password", as in config.json. */
  readonly auth?: string
  readonly identityToken?: string
  readonly registryToken?: string
}

export interface Challenge {
  readonly scheme: 'basic' | 'bearer'
  readonly parameters: ReadonlyMap<string, string>
}

/** RFC 7235 challenges; unknown schemes are left out. */
export function parseChallenges(header: string | undefined): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = []
  const pattern = /([A-Za-z][\w-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([A-Za-z][\w-]*)(?=\s|$)/g
  for (const [, key, quoted, plain, scheme] of (header ?? '').slice(0, 8192).matchAll(pattern)) {
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() })
    else if (key !== undefined) {
      challenges.at(-1)?.parameters.set(key.toLowerCase(), plain ?? (quoted ?? '').replaceAll(/\\(.)/g, '$1'))
    }
  }
  return challenges.flatMap(({ scheme, parameters }) =>
    scheme === 'basic' || scheme === 'bearer' ? [{ scheme, parameters }] : [],
  )
}

/** "Basic …", or undefined without a user. */
export function basicHeader(credentials: Credentials | undefined): string | undefined {
  if (credentials?.username !== undefined && credentials.username !== '') {
    const pair = `${credentials.username}:${credentials.password ?? ''}`
    return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`
  }
  const packed = credentials?.auth
  return packed === undefined || packed === '' ? undefined : `Basic ${packed}`
}

const TOKEN = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
  refresh_token: z.string().optional(),
})
const TOKEN_BYTES_MAX = 1024 * 1024

export interface TokenRequest {
  readonly challenge: Challenge
  /** Where the challenge came from. */
  readonly registry: URL
  readonly scope: string | undefined
  readonly credentials: Credentials | undefined
  readonly http: Pick<HttpRequest, 'stallMs' | 'signal' | 'insecure'>
}

/** The token, and the long-lived one some realms give for logging in. */
export async function fetchToken(
  request: TokenRequest,
): Promise<{ readonly token: string; readonly identityToken: string }> {
  const realm = realmOf(request)
  const service = request.challenge.parameters.get('service') ?? ''
  const { identityToken } = request.credentials ?? {}
  const useOauth = identityToken !== undefined && identityToken !== ''
  const response = await exchange(
    useOauth ? oauthRequest(realm, service, identityToken, request) : basicRequest(realm, service, request),
  )
  if (response.status !== 200) throw await refusal(response)
  const body = TOKEN.safeParse(jsonOf(await bodyOf(response, TOKEN_BYTES_MAX)))
  const token = body.success ? (body.data.token ?? body.data.access_token) : undefined
  if (token === undefined || /[^\x21-\x7e]/.test(token)) {
    throw new DewarError('system', `Getting a token from ${realm.origin} failed: it did not include a token`)
  }
  return { token, identityToken: (body.success ? body.data.refresh_token : undefined) ?? '' }
}

function realmOf({ challenge, registry }: TokenRequest): URL {
  const text = challenge.parameters.get('realm') ?? ''
  const realm = URL.canParse(text) ? new URL(text) : undefined
  if (realm === undefined || (realm.protocol !== 'https:' && realm.protocol !== 'http:')) {
    throw new DewarError(
      'system',
      `Getting a token for ${registry.host} failed: its realm ${JSON.stringify(text)} is not a URL`,
    )
  }
  if (registry.protocol === 'https:' && realm.protocol !== 'https:') {
    throw new DewarError(
      'system',
      `Getting a token for ${registry.host} failed: its realm ${realm.href} is not https`,
      {
        remedy: 'credentials are not sent in plain for a registry that is spoken to by TLS',
      },
    )
  }
  return realm
}

function basicRequest(realm: URL, service: string, request: TokenRequest): HttpRequest {
  const url = new URL(realm)
  if (service !== '') url.searchParams.set('service', service)
  if (request.scope !== undefined) url.searchParams.set('scope', request.scope)
  const basic = basicHeader(request.credentials)
  if (basic !== undefined) url.searchParams.set('account', request.credentials?.username ?? '')
  return { method: 'GET', url, headers: basic === undefined ? {} : { authorization: basic }, ...request.http }
}

function oauthRequest(realm: URL, service: string, refresh: string, request: TokenRequest): HttpRequest {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    service,
    client_id: 'dewar',
    refresh_token: refresh,
    ...(request.scope === undefined ? {} : { scope: request.scope }),
  })
  return {
    method: 'POST',
    url: realm,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
    ...request.http,
  }
}

function jsonOf(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString('utf8'))
  } catch {
    return undefined
  }
}
