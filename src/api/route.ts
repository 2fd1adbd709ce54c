/** What every route handler has at hand. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { EngineApi } from '../engine/types.ts'
import { minorVersion } from './api-version.ts'
import { readJson } from './read-json.ts'
import type { Product } from './system-view.ts'

export interface Room {
  readonly app: FastifyInstance
  readonly engine: EngineApi
  readonly product: Product
}

/** One request, parsed as far as every handler needs it. */
export class Call {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly query: URLSearchParams

  constructor(request: FastifyRequest, reply: FastifyReply) {
    this.request = request
    this.reply = reply
    this.query = searchOf(request.query)
  }

  /** A part of the path, decoded; "" when the route has none of that name. */
  param(name: string): string {
    const { params } = this.request
    if (typeof params !== 'object' || params === null) return ''
    const value: unknown = Reflect.get(params, name)
    return typeof value === 'string' ? value : ''
  }

  /** 43 for API 1.43. */
  get minor(): number {
    return minorVersion(this.request.originalUrl)
  }

  json(): Promise<unknown> {
    return readJson(this.request.raw)
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name]
    return Array.isArray(value) ? value[0] : value
  }
}

/** The server's query parser wraps the parameters, because fastify wants a plain record and clients repeat keys. */
function searchOf(query: unknown): URLSearchParams {
  const search: unknown =
    typeof query === 'object' && query !== null ? Reflect.get(query, 'search') : undefined
  return search instanceof URLSearchParams ? search : new URLSearchParams()
}

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
export type Handler = (call: Call) => Promise<FastifyReply> | FastifyReply

/** Adds one route. */
export function on(app: FastifyInstance, method: Method, url: string, handler: Handler): void {
  app.route({ method, url, handler: (request, reply) => handler(new Call(request, reply)) })
}
