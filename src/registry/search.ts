/** `search`: the old index API, which Docker Hub has and few registries else. */
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import { basicHeader, type Credentials } from './auth.ts'
import { endpointsOf, type RegistryOptions } from './endpoints.ts'
import { bodyOf, ConnectionFailed, drain, exchange } from './http.ts'

const BYTES_MAX = 8 * 1024 * 1024
const HUB_INDEX = 'https://index.docker.io/'

const ANSWER = z.object({
  results: z
    .array(
      z.object({
        name: z.string().default(''),
        description: z.string().nullish(),
        star_count: z.number().default(0),
        is_official: z.boolean().default(false),
      }),
    )
    .nullish(),
})

export interface SearchResult {
  readonly name: string
  readonly description: string
  readonly stars: number
  readonly official: boolean
}

export interface SearchOptions {
  /** 1 to 100. */
  readonly limit: number
  readonly credentials: Credentials | undefined
  readonly registry: RegistryOptions
  readonly signal: AbortSignal
}

/** `term`: words, or HOST/words for another registry than Docker Hub. Throws system in dockerd's words. */
export async function searchRegistry(term: string, options: SearchOptions): Promise<SearchResult[]> {
  const { domain, words } = splitTerm(term)
  const endpoints =
    domain === 'docker.io'
      ? [{ base: new URL(HUB_INDEX), insecure: false }]
      : endpointsOf(domain, options.registry, true)
  let last: ConnectionFailed | undefined
  for (const { base, insecure } of endpoints) {
    try {
      return await ask(
        new URL(`/v1/search?q=${encodeURIComponent(words)}&n=${options.limit}`, base),
        insecure,
        options,
      )
    } catch (error) {
      if (!(error instanceof ConnectionFailed)) throw error
      last = error
    }
  }
  throw new DewarError('system', last?.message ?? `no endpoint for ${domain}`, {
    cause: last,
    remedy: `check that ${domain} can be reached and has a search index`,
  })
}

function splitTerm(term: string): { domain: string; words: string } {
  if (term.includes('://')) {
    throw new DewarError(
      'invalid-argument',
      `invalid repository name: repository name (${term}) should not have a scheme`,
    )
  }
  const at = term.indexOf('/')
  const first = term.slice(0, Math.max(at, 0))
  if (at === -1 || !(/[.:]/.test(first) || first === 'localhost'))
    return { domain: 'docker.io', words: term.replace(/^library\//, '') }
  return { domain: first, words: term.slice(at + 1) }
}

async function ask(
  url: URL,
  insecure: boolean,
  { credentials, registry, signal }: SearchOptions,
): Promise<SearchResult[]> {
  const authorization = basicHeader(credentials)
  const response = await exchange({
    method: 'GET',
    url,
    headers: { 'x-docker-token': 'true', ...(authorization === undefined ? {} : { authorization }) },
    insecure,
    stallMs: registry.stallMs,
    signal,
  })
  if (response.status !== 200) {
    drain(response)
    throw new DewarError('system', `Unexpected status code ${response.status}`, {
      remedy: `${url.host} has no search index`,
    })
  }
  const parsed = ANSWER.safeParse(parse(await bodyOf(response, BYTES_MAX)))
  if (!parsed.success) throw new DewarError('system', `error decoding registry search results of ${url.host}`)
  return (parsed.data.results ?? []).map((result) => ({
    name: result.name,
    description: result.description ?? '',
    stars: result.star_count,
    official: result.is_official,
  }))
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
