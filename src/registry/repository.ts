/** One repository of one registry: requests with proof of identity, redirects followed with care. */
import { DewarError } from '../base/errors.ts'
import type { Reference } from '../store/reference.ts'
import { basicHeader, fetchToken, parseChallenges } from './auth.ts'
import type { Challenge, Credentials } from './auth.ts'
import { endpointsOf } from './endpoints.ts'
import type { Endpoint, RegistryOptions } from './endpoints.ts'
import { refusal, RegistryRefused } from './errors.ts'
import { ConnectionFailed, drain, exchange } from './http.ts'
import type { HttpRequest, HttpResponse } from './http.ts'

export type Actions = 'pull' | 'pull,push'

export interface RepositoryOptions {
  readonly endpoint: Endpoint
  readonly path: string
  readonly actions: Actions
  readonly credentials: Credentials | undefined
  readonly registry: RegistryOptions
}

export interface Ask {
  readonly method: string
  /** Relative to /v2/NAME/, or a whole URL the registry gave (upload location). */
  readonly path: string | URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer | AsyncIterable<Buffer>
  /** Statuses that are answers; everything else throws RegistryRefused. */
  readonly expect: readonly number[]
  readonly signal?: AbortSignal
}

const REDIRECTS_MAX = 10
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export class Repository {
  readonly #options: RepositoryOptions
  #authorization: string | undefined
  /** One token request at a time: three layers ask at once. */
  #renewing: Promise<string | undefined> | undefined

  constructor(options: RepositoryOptions) {
    this.#options = options
    const { registryToken } = options.credentials ?? {}
    if (registryToken !== undefined && registryToken !== '') this.#authorization = `Bearer ${registryToken}`
  }

  get endpoint(): Endpoint {
    return this.#options.endpoint
  }

  async ask(ask: Ask): Promise<HttpResponse> {
    const url = this.#url(ask.path)
    const used = this.#authorization
    let response = await this.#follow(url, ask, used)
    if (response.status === 401 && response.url.origin === this.#options.endpoint.base.origin) {
      if (ask.body !== undefined && !Buffer.isBuffer(ask.body)) throw await refusal(response)
      const renewed = await this.#renew(response, used, ask.signal)
      if (renewed === undefined) throw await refusal(response)
      drain(response)
      response = await this.#follow(url, ask, renewed)
    }
    if (ask.expect.includes(response.status)) return response
    throw await refusal(response)
  }

  #url(path: string | URL): URL {
    const { endpoint } = this.#options
    if (typeof path === 'string') {
      const base = endpoint.base.pathname.replace(/\/$/, '')
      return new URL(`${base}/v2/${this.#options.path}/${path}`, endpoint.base)
    }
    return path
  }

  /** An upload location as a registry gives it, absolute or not. */
  location(response: HttpResponse): URL {
    const text = response.headers.location
    if (text === undefined || !URL.canParse(text, response.url.href)) {
      throw new DewarError(
        'system',
        `Uploading to ${response.url.host} failed: the registry gave no location`,
      )
    }
    return new URL(text, response.url)
  }

  async #follow(first: URL, ask: Ask, authorization: string | undefined): Promise<HttpResponse> {
    const { base, insecure } = this.#options.endpoint
    let url = first
    for (let hop = 0; hop <= REDIRECTS_MAX; hop += 1) {
      // The origin, not the host: another port is another server.
      const ours = url.origin === base.origin
      const headers = { ...ask.headers, ...(ours && authorization !== undefined ? { authorization } : {}) }
      const response = await exchange({
        method: ask.method,
        url,
        headers,
        ...(ask.body === undefined ? {} : { body: ask.body }),
        ...this.#http(ask.signal),
        insecure: insecure && ours,
      })
      if (!REDIRECTS.has(response.status) || ask.expect.includes(response.status)) return response
      drain(response)
      if (ask.method !== 'GET' && ask.method !== 'HEAD') {
        throw new DewarError('system', `Uploading to ${url.host} failed: the registry redirects uploads`)
      }
      url = this.#redirected(url, response)
    }
    throw new DewarError('system', `Getting ${first.href} failed: more than ${REDIRECTS_MAX} redirects`)
  }

  #redirected(from: URL, response: HttpResponse): URL {
    const text = response.headers.location ?? ''
    const to = URL.canParse(text, from.href) ? new URL(text, from) : undefined
    if (to === undefined || (to.protocol !== 'https:' && to.protocol !== 'http:')) {
      throw new DewarError('system', `Getting ${from.href} failed: it redirects to ${JSON.stringify(text)}`)
    }
    if (from.protocol === 'https:' && to.protocol === 'http:') {
      throw new DewarError('system', `Getting ${from.href} failed: it redirects from https to ${to.origin}`, {
        remedy: 'a registry must not leave TLS; configure it as insecure registry if it is yours',
      })
    }
    return to
  }

  #http(signal: AbortSignal | undefined): Pick<HttpRequest, 'stallMs' | 'signal' | 'insecure'> {
    const { stallMs } = this.#options.registry
    return { stallMs, insecure: this.#options.endpoint.insecure, ...(signal === undefined ? {} : { signal }) }
  }

  async #renew(
    response: HttpResponse,
    used: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    if (this.#authorization !== used) return this.#authorization
    this.#renewing ??= this.#prove(parseChallenges(response.headers['www-authenticate']), used, signal)
    try {
      this.#authorization = await this.#renewing
      return this.#authorization
    } finally {
      this.#renewing = undefined
    }
  }

  async #prove(
    challenges: readonly Challenge[],
    used: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string | undefined> {
    const { credentials, endpoint, path, actions } = this.#options
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
    if (bearer !== undefined) {
      const { token } = await fetchToken({
        challenge: bearer,
        registry: endpoint.base,
        scope: `repository:${path}:${actions}`,
        credentials,
        http: this.#http(signal),
      })
      return `Bearer ${token}`
    }
    if (challenges.length === 0) return undefined
    const basic = basicHeader(credentials)
    if (basic === undefined) throw new RegistryRefused('', 401, 'no basic auth credentials')
    // The same once more would be refused once more.
    return basic === used ? undefined : basic
  }
}

/**
 * Tries the endpoints of a registry in order until one answers. A mirror that refuses is passed over; the registry
 * itself has the last word.
 */
export async function withRepository<T>(
  reference: Reference,
  access: {
    readonly actions: Actions
    readonly credentials: Credentials | undefined
    readonly registry: RegistryOptions
  },
  use: (repository: Repository) => Promise<T>,
): Promise<T> {
  const endpoints = endpointsOf(reference.domain, access.registry, access.actions !== 'pull')
  let first: unknown
  for (const endpoint of endpoints) {
    // Docker's clients send credentials for Docker Hub, not for its mirrors.
    const credentials = endpoint.mirror ? undefined : access.credentials
    try {
      return await use(new Repository({ ...access, endpoint, path: reference.path, credentials }))
    } catch (error) {
      if (!canPassOver(error, endpoint)) throw error
      first = endpoint.mirror ? first : (first ?? error)
    }
  }
  if (first instanceof ConnectionFailed) {
    throw new DewarError('system', first.message, {
      cause: first,
      remedy: `check that the registry ${reference.domain} runs and can be reached`,
    })
  }
  throw first
}

function canPassOver(error: unknown, endpoint: Endpoint): boolean {
  if (error instanceof ConnectionFailed) return true
  if (!(error instanceof RegistryRefused)) return false
  // "Client sent an HTTP request to an HTTPS server": what Go's and nginx's TLS ports answer.
  const speaksTls = endpoint.base.protocol === 'http:' && error.status === 400
  return endpoint.mirror || speaksTls
}
