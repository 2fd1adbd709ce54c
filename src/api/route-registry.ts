/** What registries are asked without a pull: distribution inspect, search. */
import type { FastifyReply } from 'fastify'
import { DewarError } from '../base/errors.ts'
import type { Images } from '../engine/types.ts'
import { parseAuthHeader } from './auth-header.ts'
import { filtersOf, flagOf, textOf, wholeOf } from './query.ts'
import { checkImageRef } from './ref.ts'
import { abortOnClose, sendJson } from './respond.ts'
import { on } from './route.ts'
import type { Call, Room } from './route.ts'

const SEARCH_FILTERS = ['is-automated', 'is-official', 'stars']
const DEFAULT_LIMIT = 25

export function registryRoutes({ app, engine }: Room): void {
  on(app, 'GET', '/distribution/*', (call) => distribution(call, engine.images))
  on(app, 'GET', '/images/search', (call) => search(call, engine.images))
}

async function distribution(call: Call, images: Images): Promise<FastifyReply> {
  const path = call.param('*')
  if (!path.endsWith('/json')) throw new DewarError('not-found', 'page not found')
  const name = checkImageRef(path.slice(0, -'/json'.length))
  if (/^(sha256:)?[0-9a-f]{64}$/.test(name))
    throw new DewarError('system', 'no manifest found for full image ID')
  const auth = parseAuthHeader(call.header('x-registry-auth'))
  const found = await images.distribution(name, auth, abortOnClose(call.reply.raw))
  return sendJson(call.reply, {
    Descriptor: { mediaType: found.mediaType, digest: found.digest, size: found.size },
    Platforms: found.platforms,
  })
}

async function search(call: Call, images: Images): Promise<FastifyReply> {
  const { query } = call
  const limit = wholeOf(query, 'limit') ?? DEFAULT_LIMIT
  if (limit < 0 || limit > 100)
    throw new DewarError('invalid-argument', `limit ${limit} is outside the range of [1, 100]`)
  const filters = filtersOf(query, SEARCH_FILTERS)
  const stars = (filters.get('stars') ?? []).map((text) => starsOf(text))
  const official = boolOf(filters.get('is-official'))
  // No longer kept by anyone: what is asked for with it is not there.
  if (boolOf(filters.get('is-automated')) === true) return sendJson(call.reply, [])
  const found = await images.search(textOf(query, 'term') ?? '', {
    limit: limit === 0 ? DEFAULT_LIMIT : limit,
    auth: parseAuthHeader(call.header('x-registry-auth')),
    signal: abortOnClose(call.reply.raw),
  })
  const least = Math.max(0, ...stars)
  const wanted = found.filter(
    (result) => result.stars >= least && (official === undefined || result.official === official),
  )
  return sendJson(
    call.reply,
    wanted.map(({ name, description, stars: count, official: is }) => ({
      star_count: count,
      is_official: is,
      name,
      is_automated: false,
      description,
    })),
  )
}

function starsOf(text: string): number {
  if (/^[0-9]{1,9}$/.test(text)) return Number(text)
  throw new DewarError('invalid-argument', `invalid filter 'stars=${text}'`)
}

function boolOf(values: readonly string[] | undefined): boolean | undefined {
  const [value] = values ?? []
  return value === undefined ? undefined : flagOf(new URLSearchParams({ value }), 'value')
}
