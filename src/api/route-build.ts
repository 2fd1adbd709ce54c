/** `POST /build` as dockerd's classic builder speaks it. */
import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import { DewarError } from '../base/errors.ts'
import type { BuildRequest } from '../engine/build-types.ts'
import type { AuthConfig, HostConfig } from '../engine/types.ts'
import { parsePlatform } from '../registry/manifest.ts'
import { AUTH } from './auth-header.ts'
import { flagOf, textOf, wholeOf } from './query.ts'
import { sendEmpty, sendJson, sendProgress } from './respond.ts'
import { on } from './route.ts'
import type { Call, Room } from './route.ts'

export function buildRoutes({ app, engine }: Room): void {
  on(app, 'POST', '/build', async (call) => {
    const request = requestOf(call)
    return sendProgress(call.reply, async (onProgress, signal, ready) => {
      await engine.builds.build(request, onProgress, signal, ready)
    })
  })
  // Only BuildKit has a cache beside images: what the classic builder keeps are images.
  on(app, 'POST', '/build/prune', async (call) => {
    const { reclaimed } = await engine.builds.prune()
    return sendJson(call.reply, { CachesDeleted: null, SpaceReclaimed: reclaimed })
  })
  on(app, 'POST', '/build/cancel', (call) => cancel(call))
}

/** Builds of the classic builder have no ids: they end with their client's connection. */
function cancel(call: Call): FastifyReply {
  if (textOf(call.query, 'id') === undefined)
    throw new DewarError('invalid-argument', 'build ID not provided')
  return sendEmpty(call.reply, 200)
}

function requestOf(call: Call): BuildRequest {
  const { query } = call
  refuseOthers(query)
  const remote = textOf(query, 'remote')
  return {
    ...(remote === undefined ? { context: call.request.raw } : { remote }),
    dockerfile: textOf(query, 'dockerfile') ?? '',
    tags: query.getAll('t').filter((tag) => tag !== ''),
    buildArgs: jsonOf(query, 'buildargs', z.record(z.string(), z.string().nullable())) ?? {},
    labels: jsonOf(query, 'labels', z.record(z.string(), z.string())) ?? {},
    target: textOf(query, 'target') ?? '',
    noCache: flagOf(query, 'nocache'),
    pull: flagOf(query, 'pull'),
    quiet: flagOf(query, 'q'),
    // Clients before API 1.12 did not send it; the default is to remove.
    remove: flagOf(query, 'rm', true),
    forceRemove: flagOf(query, 'forcerm'),
    cacheFrom: jsonOf(query, 'cachefrom', z.array(z.string())) ?? [],
    platform: platformOf(query),
    hostConfig: hostConfigOf(query),
    auth: authOf(call.header('x-registry-config')),
  }
}

/** Refused before anything is sent, so that it is an answer with its status. */
function platformOf(query: URLSearchParams): string {
  const platform = (textOf(query, 'platform') ?? '').toLowerCase()
  if (platform !== '') parsePlatform(platform)
  return platform
}

function refuseOthers(query: URLSearchParams): void {
  if (textOf(query, 'version') === '2')
    throw new DewarError('not-implemented', 'building with BuildKit is not supported by Dewar', {
      remedy: 'set DOCKER_BUILDKIT=0, or use `dewar build`',
    })
  if (textOf(query, 'remote') === 'client-session')
    throw new DewarError('not-implemented', 'contexts of BuildKit sessions are not supported by Dewar', {
      remedy: 'set DOCKER_BUILDKIT=0, or use `dewar build`',
    })
  // As dockerd: whoever builds may not open what steps are closed in.
  if (query.getAll('securityopt').some((option) => option !== ''))
    throw new DewarError('invalid-argument', 'security options are not supported on linux')
  if (flagOf(query, 'squash'))
    throw new DewarError('invalid-argument', 'squash is only supported with experimental mode')
  if (jsonOf(query, 'outputs', z.array(z.unknown()))?.length)
    throw new DewarError('invalid-argument', 'outputs are only supported with BuildKit')
}

const ULIMITS = z.array(z.object({ Name: z.string(), Soft: z.number(), Hard: z.number() }))

function hostConfigOf(query: URLSearchParams): Partial<HostConfig> {
  const isolation = textOf(query, 'isolation')
  const ulimits = jsonOf(query, 'ulimits', ULIMITS)
  const hosts = query
    .getAll('extrahosts')
    .flatMap((line) => line.split(','))
    .filter((line) => line !== '')
  return {
    networkMode: textOf(query, 'networkmode') ?? 'default',
    memory: wholeOf(query, 'memory') ?? 0,
    memorySwap: wholeOf(query, 'memswap') ?? 0,
    cpuShares: wholeOf(query, 'cpushares') ?? 0,
    cpuPeriod: wholeOf(query, 'cpuperiod') ?? 0,
    cpuQuota: wholeOf(query, 'cpuquota') ?? 0,
    cpusetCpus: textOf(query, 'cpusetcpus') ?? '',
    cpusetMems: textOf(query, 'cpusetmems') ?? '',
    cgroupParent: textOf(query, 'cgroupparent') ?? '',
    ...(wholeOf(query, 'shmsize') ? { shmSize: wholeOf(query, 'shmsize') ?? 0 } : {}),
    ...(hosts.length === 0 ? {} : { extraHosts: hosts }),
    ...(ulimits === undefined
      ? {}
      : { ulimits: ulimits.map(({ Name, Soft, Hard }) => ({ name: Name, soft: Soft, hard: Hard })) }),
    ...(isolation === undefined ? {} : { isolation }),
  }
}

/** A parameter that is JSON; null is as good as nothing. */
function jsonOf<T extends z.ZodType>(
  query: URLSearchParams,
  name: string,
  schema: T,
): z.infer<T> | undefined {
  const text = textOf(query, name)
  if (text === undefined) return undefined
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new DewarError('invalid-argument', `error reading ${name}: it is not JSON`, { cause })
  }
  if (json === null) return undefined
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  throw new DewarError(
    'invalid-argument',
    `error reading ${name}: ${parsed.error.issues[0]?.message ?? 'it has the wrong shape'}`,
  )
}

/** All the credentials a client has, by registry. What cannot be read is as good as none, as for dockerd. */
function authOf(header: string | undefined): Record<string, AuthConfig> {
  if (header === undefined || header === '') return {}
  try {
    const json: unknown = JSON.parse(Buffer.from(header, 'base64url').toString('utf8'))
    const parsed = z.record(z.string(), z.unknown()).parse(json)
    return Object.fromEntries(Object.entries(parsed).map(([name, auth]) => [name, AUTH.decode(auth)]))
  } catch {
    return {}
  }
}
