import { parseLine, readLines } from './ndjson.ts'
import type { Transport } from './transport.ts'
import {
  authShape,
  diskUsageShape,
  encodeFilters,
  eventShape,
  infoShape,
  pruneShape,
  versionShape,
} from './types.ts'
import type { DiskUsage, EngineEvent, Filters, Info, Pruned, RegistryAuth, VersionInfo } from './types.ts'

export interface Ping {
  /** The newest API version the engine speaks. */
  readonly apiVersion: string
  readonly osType: string
  readonly experimental: boolean
}

/** `client.system`: what concerns the engine as a whole. */
export class SystemClient {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  async ping(): Promise<Ping> {
    const response = await this.#transport.send({ method: 'HEAD', path: '/_ping' })
    response.resume()
    const header = (name: string): string => {
      const value = response.headers[name]
      return typeof value === 'string' ? value : ''
    }
    return {
      apiVersion: header('api-version'),
      osType: header('ostype'),
      experimental: header('docker-experimental') === 'true',
    }
  }

  async info(): Promise<Info> {
    return infoShape(await this.#transport.json({ method: 'GET', path: '/info' }), 'info')
  }

  infoRaw(): Promise<string> {
    return this.#transport.text({ method: 'GET', path: '/info' })
  }

  async version(): Promise<VersionInfo> {
    return versionShape(await this.#transport.json({ method: 'GET', path: '/version' }), 'version')
  }

  async diskUsage(): Promise<DiskUsage> {
    return diskUsageShape(await this.#transport.json({ method: 'GET', path: '/system/df' }), 'disk usage')
  }

  /**
   * What happens in the engine (`raw` and `line` as it was sent: timeNano is beyond what a number holds exactly), until the signal aborts or `until` is reached. Times are seconds since the epoch.
   *
   * @example
   * for await (const event of client.system.events({ since: '0', until: '1700000000' })) console.log(event.Action)
   */
  async *events(
    options: { since?: string; until?: string; filters?: Filters; signal?: AbortSignal } = {},
  ): AsyncGenerator<EngineEvent & { readonly raw: unknown; readonly line: string }> {
    const query = { since: options.since, until: options.until, filters: encodeFilters(options.filters) }
    const signal = options.signal === undefined ? {} : { signal: options.signal }
    const body = await this.#transport.send({ method: 'GET', path: '/events', query, ...signal })
    for await (const line of readLines(body)) {
      const raw = parseLine(line)
      yield { ...eventShape(raw, 'event'), raw, line }
    }
  }

  /** Checks a name and password with a registry. */
  async auth(auth: RegistryAuth): Promise<{ readonly Status: string; readonly IdentityToken: string }> {
    return authShape(await this.#transport.json({ method: 'POST', path: '/auth', json: auth }), 'auth')
  }

  async pruneBuildCache(options: { all?: boolean; filters?: Filters } = {}): Promise<Pruned> {
    const query = { all: options.all, filters: encodeFilters(options.filters) }
    return pruneShape(await this.#transport.json({ method: 'POST', path: '/build/prune', query }), 'prune')
  }
}
