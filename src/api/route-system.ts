/** _ping, version, info, events, auth, df. */
import type { FastifyReply } from 'fastify'
import { DewarError } from '../base/errors.ts'
import type { EngineApi } from '../engine/types.ts'
import { AUTH } from './auth-header.ts'
import { Bursts } from './bursts.ts'
import { summaryJson } from './container-view.ts'
import { eventLine } from './event-view.ts'
import { counted, imageSummaryJson, layerUse } from './image-view.ts'
import { volumeJson } from './network-view.ts'
import { filtersOf, timeOf } from './query.ts'
import { abortOnClose, sendJson } from './respond.ts'
import { on } from './route.ts'
import type { Call, Room } from './route.ts'
import { infoJson, versionJson } from './system-view.ts'

const EVENT_FILTERS = [
  'config',
  'container',
  'daemon',
  'event',
  'image',
  'label',
  'network',
  'node',
  'plugin',
  'scope',
  'secret',
  'service',
  'type',
  'volume',
]

export function systemRoutes({ app, engine, product }: Room): void {
  on(app, 'GET', '/_ping', (call) => ping(call, 'OK'))
  on(app, 'HEAD', '/_ping', (call) => ping(call, ''))
  on(app, 'GET', '/version', (call) => sendJson(call.reply, versionJson(product)))
  on(app, 'GET', '/info', async (call) =>
    sendJson(call.reply, infoJson(await engine.info(), product, call.minor)),
  )
  on(app, 'GET', '/events', (call) => events(call, engine))
  on(app, 'GET', '/system/df', (call) => diskUsage(call, engine))
  on(app, 'POST', '/auth', async (call) => {
    const { status, identityToken } = await engine.auth(AUTH.decode((await call.json()) ?? {}))
    return sendJson(call.reply, { Status: status, IdentityToken: identityToken })
  })
}

function ping({ reply }: Call, body: string): FastifyReply {
  return reply
    .header('builder-version', '1')
    .header('swarm', 'inactive')
    .header('cache-control', 'no-cache, no-store, must-revalidate')
    .header('pragma', 'no-cache')
    .header('content-type', 'text/plain; charset=utf-8')
    .send(body)
}

async function events(call: Call, engine: EngineApi): Promise<FastifyReply> {
  const since = timeOf(call.query, 'since')
  const until = timeOf(call.query, 'until')
  if (since !== undefined && until !== undefined && until < since) {
    throw new DewarError('invalid-argument', '`since` time cannot be after `until` time')
  }
  const filters = filtersOf(call.query, EVENT_FILTERS)
  const response = call.reply.raw
  const signal = abortOnClose(response)
  const source = engine.events({
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
    filters,
    signal,
  })
  call.reply.hijack()
  response.setHeader('Content-Type', 'application/json')
  response.flushHeaders()
  const bursts = new Bursts(response)
  try {
    for await (const event of source) {
      if (signal.aborted) break
      if (!bursts.write(eventLine(event))) await drained(response, signal)
    }
  } catch (error) {
    if (!signal.aborted) process.stderr.write(`event stream broke: ${String(error)}\n`)
  }
  bursts.end()
  return call.reply
}

function drained(response: Call['reply']['raw'], signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = (): void => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

/** `type` limits the answer since API 1.42; what was not asked for is left out. */
async function diskUsage({ query, reply, minor }: Call, engine: EngineApi): Promise<FastifyReply> {
  const asked = query.getAll('type')
  for (const type of asked) {
    if (!['container', 'image', 'volume', 'build-cache'].includes(type))
      throw new DewarError('invalid-argument', `unknown object type: ${type}`)
  }
  const wants = (type: string): boolean => asked.length === 0 || asked.includes(type)
  const none = new Map<string, readonly string[]>()
  const [images, containers, volumes] = await Promise.all([
    wants('image') ? engine.images.list({ all: true, filters: none, sharedSize: true }) : undefined,
    // Images are shown with how many containers use them.
    wants('container') || wants('image')
      ? engine.containers.list({ all: true, limit: -1, size: wants('container'), filters: none })
      : [],
    wants('volume') ? engine.volumes.list(none, { usage: true }) : undefined,
  ])
  const rows = images === undefined ? undefined : counted(images, containers)
  const use = layerUse(images ?? [])
  const now = Date.now()
  return sendJson(reply, {
    LayersSize: use.total,
    Images:
      rows?.map((image) => imageSummaryJson(image, minor, { counted: true, shared: use.sharedOf(image) })) ??
      null,
    Containers: wants('container')
      ? containers.map((view) => summaryJson(view, view.config.image, minor, now))
      : null,
    Volumes: volumes?.map(volumeJson) ?? null,
    BuildCache: wants('build-cache') && minor >= 42 ? [] : null,
    ...(minor < 42 ? { BuilderSize: 0 } : {}),
  })
}
