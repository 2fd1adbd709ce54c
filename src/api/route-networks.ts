/** Networks and volumes. */
import type { FastifyReply } from 'fastify'
import { DewarError } from '../base/errors.ts'
import type { EngineApi, NetworkRequest, NetworkView } from '../engine/types.ts'
import {
  CONNECT,
  DISCONNECT,
  NETWORK_CREATE,
  networkJson,
  VOLUME_CREATE,
  volumeJson,
} from './network-view.ts'
import { filtersOf, flagOf, textOf } from './query.ts'
import { checkNetworkRef, checkRef, checkVolumeRef } from './ref.ts'
import { sendEmpty, sendJson } from './respond.ts'
import { on } from './route.ts'
import type { Call, Handler, Room } from './route.ts'

const NETWORK_FILTERS = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']
const VOLUME_FILTERS = ['dangling', 'driver', 'label', 'name']

export function networkRoutes({ app, engine }: Room): void {
  const { networks } = engine
  const list: Handler = async (call) => {
    const rows = await networks.list(filtersOf(call.query, NETWORK_FILTERS))
    return sendJson(
      call.reply,
      rows.map((network) => networkJson(network, { minor: call.minor, containers: false })),
    )
  }
  on(app, 'GET', '/networks', list)
  on(app, 'GET', '/networks/', list)
  on(app, 'GET', '/networks/*', async (call) => {
    const network = await networks.inspect(refOf(call))
    checkInspect(call, network)
    return sendJson(call.reply, networkJson(network, { minor: call.minor, containers: true }))
  })
  on(app, 'POST', '/networks/create', async (call) => {
    const { id, warning } = await networks.create(networkRequest(await call.json()))
    return sendJson(call.reply, { Id: id, Warning: warning }, 201)
  })
  on(app, 'DELETE', '/networks/*', async (call) => {
    await networks.remove(refOf(call))
    return sendEmpty(call.reply, 204)
  })
  on(app, 'POST', '/networks/:id/connect', async (call) => {
    const { container, endpointConfig = {} } = CONNECT.decode((await call.json()) ?? {})
    await networks.connect(checkNetworkRef(call.param('id')), checkRef(container), endpointConfig)
    return sendEmpty(call.reply, 200)
  })
  on(app, 'POST', '/networks/:id/disconnect', async (call) => {
    const { container, force } = DISCONNECT.decode((await call.json()) ?? {})
    await networks.disconnect(checkNetworkRef(call.param('id')), checkRef(container), force)
    return sendEmpty(call.reply, 200)
  })
  on(app, 'POST', '/networks/prune', async (call) => {
    const { deleted } = await networks.prune(filtersOf(call.query, ['label', 'label!', 'until']))
    return sendJson(call.reply, { NetworksDeleted: deleted.length === 0 ? null : deleted })
  })
}

/** `verbose` has no more to say than is said in any case; `scope` names the only scope there is, or another. */
function checkInspect({ query }: Call, { name, scope }: NetworkView): void {
  const verbose = textOf(query, 'verbose')
  if (verbose !== undefined && !/^([01tf]|true|false)$/i.test(verbose))
    throw new DewarError(
      'invalid-argument',
      `invalid value for verbose: ${verbose}: strconv.ParseBool: parsing ${JSON.stringify(verbose)}: invalid syntax`,
    )
  const asked = textOf(query, 'scope')
  if (asked !== undefined && asked !== scope) throw new DewarError('not-found', `network ${name} not found`)
}

function refOf(call: Call): string {
  return checkNetworkRef(call.param('*'))
}

function networkRequest(body: unknown): NetworkRequest {
  if (body === undefined)
    throw new DewarError('invalid-argument', 'invalid JSON: got EOF while reading request body')
  const { configFrom, scope = '', ...request } = NETWORK_CREATE.decode(body)
  // dockerd's words for a swarm's networks where there is no swarm.
  if (scope === 'swarm')
    throw new DewarError('forbidden', 'cannot create a swarm scoped network when swarm is not active')
  return { ...request, scopeGiven: scope !== '', configFrom: configFrom?.network ?? '' }
}

export function volumeRoutes({ app, engine }: Room): void {
  const { volumes } = engine
  const list: Handler = async (call) => {
    const rows = await volumes.list(filtersOf(call.query, VOLUME_FILTERS))
    return sendJson(call.reply, { Volumes: rows.map(volumeJson), Warnings: null })
  }
  on(app, 'GET', '/volumes', list)
  on(app, 'GET', '/volumes/*', async (call) =>
    sendJson(call.reply, volumeJson(await volumes.inspect(checkVolumeRef(call.param('*'))))),
  )
  on(app, 'POST', '/volumes/create', async (call) =>
    sendJson(
      call.reply,
      volumeJson(await volumes.create(VOLUME_CREATE.decode((await call.json()) ?? {}))),
      201,
    ),
  )
  on(app, 'DELETE', '/volumes/*', async (call) => {
    await volumes.remove(checkVolumeRef(call.param('*')), flagOf(call.query, 'force'))
    return sendEmpty(call.reply, 204)
  })
  on(app, 'POST', '/volumes/prune', (call) => pruneVolumes(call, engine))
}

/** Since API 1.42 only anonymous volumes go unless `all` is asked for; before, all unused ones. */
async function pruneVolumes(call: Call, engine: EngineApi): Promise<FastifyReply> {
  const filters = new Map(filtersOf(call.query, ['all', 'label', 'label!']))
  if (call.minor < 42) filters.set('all', ['true'])
  const { deleted, reclaimed } = await engine.volumes.prune(filters)
  return sendJson(call.reply, {
    VolumesDeleted: deleted,
    SpaceReclaimed: reclaimed,
  })
}
