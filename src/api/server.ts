/** The HTTP server of the Engine API. It listens on nothing by itself: src/daemon gives it its socket. */
import type { Server } from 'node:http'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { EngineApi } from '../engine/types.ts'
import { API_VERSION, minorVersion, withoutVersion } from './api-version.ts'
import { answerFor } from './error-answer.ts'
import { absentRoutes } from './route-absent.ts'
import { buildRoutes } from './route-build.ts'
import { containerRoutes } from './route-containers.ts'
import { execRoutes } from './route-execs.ts'
import { imageRoutes } from './route-images.ts'
import { networkRoutes, volumeRoutes } from './route-networks.ts'
import { registryRoutes } from './route-registry.ts'
import { streamRoutes } from './route-streams.ts'
import { systemRoutes } from './route-system.ts'
import { sendJson } from './respond.ts'
import type { Product } from './system-view.ts'
import { serveUpgrades } from './upgrade.ts'

/** Go's limit for a request's headers, which X-Registry-Config of many registries can come near. */
const MAX_HEADER_BYTES = 1024 * 1024

/** Ready to listen. Close with `server.close()`, then `closeAllConnections()`. */
export async function createApiServer(engine: EngineApi, product: Product): Promise<Server> {
  const headers = {
    'Api-Version': API_VERSION,
    'Docker-Experimental': 'false',
    Ostype: 'linux',
    Server: `Dewar/${product.version} (linux)`,
  }
  const app = createApp(headers)
  const room = { app, engine, product }
  systemRoutes(room)
  containerRoutes(room)
  streamRoutes(room)
  registryRoutes(room)
  execRoutes(room)
  imageRoutes(room)
  buildRoutes(room)
  networkRoutes(room)
  volumeRoutes(room)
  absentRoutes(room)
  const server = app.server
  // fastify takes a 0 for its own default, 72 s.
  server.keepAliveTimeout = 0
  serveUpgrades(
    server,
    engine,
    Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join(''),
  )
  await app.ready()
  return server
}

function createApp(headers: Readonly<Record<string, string>>): FastifyInstance {
  const app: FastifyInstance = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    // Uploads (load, cp) take as long as they take; clients keep idle connections and must not find them closed.
    requestTimeout: 0,
    connectionTimeout: 0,
    http: { maxHeaderSize: MAX_HEADER_BYTES },
    rewriteUrl: (request) => withoutVersion(request.url ?? '/'),
    routerOptions: {
      maxParamLength: 4096,
      querystringParser: (text) => ({ search: new URLSearchParams(text) }),
    },
    frameworkErrors: (error, _request, reply) => {
      sendError(reply, error)
    },
  })
  const entries = Object.entries(headers)
  app.addHook('onRequest', (request, reply, done) => {
    for (const [name, value] of entries) reply.raw.setHeader(name, value)
    minorVersion(request.originalUrl)
    done()
  })
  // Bodies are read by the handlers: some are JSON, some are tars of any size, and dockerd has its own rules for types.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined))
  // A client that left before its request was whole is there neither to be told of it, nor a defect of ours.
  app.setErrorHandler((error, request, reply) =>
    error === request.raw.errored ? reply.hijack() : sendError(reply, error),
  )
  app.setNotFoundHandler((_request, reply) => sendJson(reply, { message: 'page not found' }, 404))
  return app
}

function sendError(reply: FastifyReply, error: unknown): FastifyReply {
  const { status, message } = answerFor(error)
  if (status === 304) return reply.code(304).send()
  // The rest of an oversized body is not waited for.
  if (status === 413) reply.header('connection', 'close')
  return sendJson(reply, { message }, status)
}
