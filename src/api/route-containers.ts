/** A container's life: list, create, inspect, start … remove. Streams are in route-streams.ts. */
import type { FastifyReply } from 'fastify'
import { DewarError } from '../base/errors.ts'
import type {
  Containers,
  ContainerView,
  CreateContainer,
  EndpointConfig,
  EngineApi,
} from '../engine/types.ts'
import { CREATE, UPDATE } from './container-schema.ts'
import { inspectJson, summaryJson } from './container-view.ts'
import { createByVersion } from './create-by-version.ts'
import { filtersOf, flagOf, textOf, wholeOf } from './query.ts'
import { checkRef } from './ref.ts'
import { sendEmpty, sendJson } from './respond.ts'
import { on } from './route.ts'
import type { Call, Room } from './route.ts'

const LIST_FILTERS = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
]
const PRUNE_FILTERS = ['label', 'label!', 'until']

export function containerRoutes({ app, engine }: Room): void {
  const { containers } = engine
  on(app, 'GET', '/containers/json', (call) => list(call, engine))
  on(app, 'POST', '/containers/create', (call) => create(call, containers))
  on(app, 'POST', '/containers/prune', async (call) => {
    const { deleted, reclaimed } = await containers.prune(filtersOf(call.query, PRUNE_FILTERS))
    return sendJson(call.reply, {
      ContainersDeleted: deleted.length === 0 ? null : deleted,
      SpaceReclaimed: reclaimed,
    })
  })
  on(app, 'GET', '/containers/:id/json', async (call) => {
    const view = await containers.inspect(idOf(call), { size: flagOf(call.query, 'size') })
    return sendJson(call.reply, inspectJson(view, call.minor))
  })
  on(app, 'GET', '/containers/:id/top', async (call) => {
    const { titles, processes } = await containers.top(idOf(call), textOf(call.query, 'ps_args') ?? '-ef')
    return sendJson(call.reply, { Processes: processes, Titles: titles })
  })
  on(app, 'GET', '/containers/:id/changes', async (call) => {
    const changes = await containers.changes(idOf(call))
    return sendJson(
      call.reply,
      changes.length === 0 ? null : changes.map(({ path, kind }) => ({ Path: path, Kind: kind })),
    )
  })
  on(app, 'POST', '/containers/:id/update', (call) => update(call, containers))
  on(app, 'DELETE', '/containers/:id', async (call) => {
    const link = flagOf(call.query, 'link')
    // A link is named PARENT/ALIAS; some clients write the slash as %2F.
    const [parent, alias] = link
      ? call
          .param('id')
          .replace(/^\//, '')
          .split(/\/(.*)/s)
      : []
    const ref = alias === undefined ? idOf(call) : `${checkRef(parent ?? '')}/${checkRef(alias)}`
    await containers.remove(ref, {
      force: flagOf(call.query, 'force'),
      volumes: flagOf(call.query, 'v'),
      link,
    })
    return sendEmpty(call.reply, 204)
  })
  on(app, 'DELETE', '/containers/:id/:alias', async (call) => {
    if (!flagOf(call.query, 'link')) throw new DewarError('not-found', 'page not found')
    const ref = `${idOf(call)}/${checkRef(call.param('alias'))}`
    await containers.remove(ref, { force: false, volumes: false, link: true })
    return sendEmpty(call.reply, 204)
  })
  stateRoutes({ app }, containers)
}

function stateRoutes({ app }: Pick<Room, 'app'>, containers: Containers): void {
  const post = (action: string, work: (call: Call) => Promise<void>, status = 204): void =>
    on(app, 'POST', `/containers/:id/${action}`, async (call) => {
      await work(call)
      return sendEmpty(call.reply, status)
    })
  post('start', (call) => {
    refuseStartBody(call)
    const detachKeys = textOf(call.query, 'detachKeys')
    return containers.start(idOf(call), detachKeys === undefined ? {} : { detachKeys })
  })
  post('stop', (call) => containers.stop(idOf(call), stopOptions(call)))
  post('restart', (call) => containers.restart(idOf(call), stopOptions(call)))
  post('kill', (call) => containers.kill(idOf(call), textOf(call.query, 'signal') ?? 'SIGKILL'))
  post('pause', (call) => containers.pause(idOf(call)))
  post('unpause', (call) => containers.unpause(idOf(call)))
  post('rename', (call) => {
    const name = textOf(call.query, 'name')
    if (name === undefined) throw new DewarError('invalid-argument', 'Neither old nor new names may be empty')
    return containers.rename(idOf(call), name)
  })
  post('resize', (call) => containers.resize(idOf(call), sizeOf(call, 'h'), sizeOf(call, 'w')), 200)
}

export function idOf(call: Call): string {
  return checkRef(call.param('id'))
}

/** Rows or columns of a terminal. */
export function sizeOf(call: Call, name: 'h' | 'w'): number {
  const size = wholeOf(call.query, name)
  if (size !== undefined && size >= 0 && size <= 0xffff) return size
  const text = JSON.stringify(call.query.get(name) ?? '')
  throw new DewarError(
    'invalid-argument',
    `invalid resize ${name === 'h' ? 'height' : 'width'} ${text}: invalid syntax`,
  )
}

function stopOptions({ query }: Call): { signal?: string; timeout?: number } {
  const signal = textOf(query, 'signal')
  const timeout = wholeOf(query, 't')
  return { ...(signal === undefined ? {} : { signal }), ...(timeout === undefined ? {} : { timeout }) }
}

/** A host config at start was taken until API 1.24. Clients that send "{}" or "null" are let through, as by dockerd. */
function refuseStartBody({ request }: Call): void {
  const length = Number(request.headers['content-length'] ?? 0)
  if (length > 7 || request.headers['transfer-encoding'] !== undefined) {
    throw new DewarError(
      'invalid-argument',
      'starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24',
    )
  }
}

async function list(call: Call, engine: EngineApi): Promise<FastifyReply> {
  const { query, reply, minor } = call
  const limit = wholeOf(query, 'limit') ?? -1
  const views = await engine.containers.list({
    all: flagOf(query, 'all'),
    limit,
    size: flagOf(query, 'size'),
    filters: filtersOf(query, LIST_FILTERS),
  })
  const current = await currentImages(engine, views)
  const now = Date.now()
  const rows = views.map((view) => {
    const { image } = view.config
    const moved = image !== view.imageId && current.get(image) !== view.imageId
    return summaryJson(view, moved ? view.imageId : image, minor, now)
  })
  return sendJson(reply, rows)
}

/** Which image each name in use means today; a name that has gone has none. One look-up per name. */
async function currentImages(
  engine: EngineApi,
  views: readonly ContainerView[],
): Promise<Map<string, string>> {
  const names = [
    ...new Set(views.filter((view) => view.config.image !== view.imageId).map((view) => view.config.image)),
  ]
  const ids = await Promise.all(
    names.map(async (name): Promise<[string, string]> => {
      try {
        return [name, (await engine.images.inspect(name)).id]
      } catch (error) {
        if (error instanceof DewarError) return [name, '']
        throw error
      }
    }),
  )
  return new Map(ids)
}

async function create(call: Call, containers: Containers): Promise<FastifyReply> {
  const body = await call.json()
  if (body === undefined)
    throw new DewarError('invalid-argument', 'invalid JSON: got EOF while reading request body')
  const name = textOf(call.query, 'name')
  const platform = call.minor < 41 ? undefined : textOf(call.query, 'platform')
  const { macAddress, ...given } = createRequest(body)
  const { request, warnings: more } = createByVersion(given, call.minor, macAddress)
  const { id, warnings } = await containers.create({
    ...(name === undefined ? {} : { name }),
    ...(platform === undefined ? {} : { platform }),
    ...request,
  })
  return sendJson(call.reply, { Id: id, Warnings: [...warnings, ...more] }, 201)
}

function createRequest(
  body: unknown,
): Pick<CreateContainer, 'config' | 'hostConfig' | 'endpoints'> & { readonly macAddress?: string } {
  const { hostConfig = {}, networkingConfig, macAddress, image = '', ...config } = CREATE.decode(body)
  if (image === '' && Object.keys(config).length === 0) {
    throw new DewarError('invalid-argument', 'config cannot be empty in order to create a container')
  }
  const endpoints: Record<string, EndpointConfig> = {}
  for (const [network, endpoint] of Object.entries(networkingConfig?.endpointsConfig ?? {}))
    endpoints[network] = endpoint ?? {}
  const address = macAddress === undefined || macAddress === '' ? {} : { macAddress }
  return { config: { ...config, image }, hostConfig, endpoints, ...address }
}

async function update(call: Call, containers: Containers): Promise<FastifyReply> {
  const { restartPolicy, ...limits } = UPDATE.decode((await call.json()) ?? {})
  // The docker client sends a policy without a name when none is to be changed.
  const named = restartPolicy !== undefined && restartPolicy.name !== ''
  const change = named ? { ...limits, restartPolicy } : limits
  const { warnings } = await containers.update(idOf(call), change)
  return sendJson(call.reply, { Warnings: warnings.length === 0 ? null : warnings })
}
