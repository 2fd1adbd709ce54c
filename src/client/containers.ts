import type { Duplex, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Writable } from 'node:stream'
import { ClientError } from './error.ts'
import { readJsonStream } from './ndjson.ts'
import { list } from './shape.ts'
import { readText } from './transport.ts'
import type { Query, Transport } from './transport.ts'
import {
  changeShape,
  containerInspectShape,
  containerSummaryShape,
  createdShape,
  encodeFilters,
  pathStatShape,
  pruneShape,
  statsShape,
  topShape,
  waitShape,
} from './types.ts'
import type {
  Change,
  ContainerInspect,
  ContainerSummary,
  Filters,
  PathStat,
  Processes,
  Pruned,
  Stats,
  WaitResult,
} from './types.ts'

export interface AttachOptions {
  readonly stdin?: boolean
  readonly stdout?: boolean
  readonly stderr?: boolean
  readonly logs?: boolean
  /** "ctrl-p,ctrl-q" form; only for a terminal. */
  readonly detachKeys?: string
  readonly signal?: AbortSignal
}

export interface LogOptions {
  readonly follow?: boolean
  readonly stdout?: boolean
  readonly stderr?: boolean
  /** Seconds since the epoch with a fraction, as text. */
  readonly since?: string
  readonly until?: string
  readonly timestamps?: boolean
  readonly details?: boolean
  /** "all" or a number of lines. */
  readonly tail?: string
  readonly signal?: AbortSignal
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed'

const at = (id: string, rest = ''): string => `/containers/${encodeURIComponent(id)}${rest}`

/** `client.containers`: everything that is addressed by a container's name or id. */
export class ContainersClient {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  /**
   * @example
   * for (const c of await client.containers.list({ all: true })) console.log(c.Id, c.State)
   */
  async list(
    options: { all?: boolean; limit?: number; size?: boolean; filters?: Filters } = {},
  ): Promise<readonly ContainerSummary[]> {
    const query = {
      all: options.all,
      limit: options.limit,
      size: options.size,
      filters: encodeFilters(options.filters),
    }
    return list(containerSummaryShape)(
      await this.#transport.json({ method: 'GET', path: '/containers/json', query }),
      'containers',
    )
  }

  /**
   * `body` is Docker's create request: the container's config with HostConfig and NetworkingConfig in it.
   *
   * @example
   * const { Id } = await client.containers.create({ Image: 'busybox', Cmd: ['true'] }, { name: 'one' })
   */
  async create(
    body: object,
    options: { name?: string; platform?: string } = {},
  ): Promise<{ readonly Id: string; readonly Warnings: readonly string[] }> {
    const query = { name: options.name, platform: options.platform }
    return createdShape(
      await this.#transport.json({ method: 'POST', path: '/containers/create', query, json: body }),
      'created',
    )
  }

  async inspect(id: string): Promise<ContainerInspect> {
    return containerInspectShape(
      await this.#transport.json({ method: 'GET', path: at(id, '/json') }),
      'container',
    )
  }

  /** The engine's own text, for showing it unchanged. */
  inspectRaw(id: string, options: { size?: boolean } = {}): Promise<string> {
    return this.#transport.text({ method: 'GET', path: at(id, '/json'), query: { size: options.size } })
  }

  async start(id: string, options: { detachKeys?: string } = {}): Promise<void> {
    await this.#post(id, '/start', { detachKeys: options.detachKeys })
  }

  /** `timeout` in seconds until SIGKILL; -1 = wait for ever. */
  async stop(id: string, options: { signal?: string; timeout?: number } = {}): Promise<void> {
    await this.#post(id, '/stop', { signal: options.signal, t: options.timeout })
  }

  async restart(id: string, options: { signal?: string; timeout?: number } = {}): Promise<void> {
    await this.#post(id, '/restart', { signal: options.signal, t: options.timeout })
  }

  async kill(id: string, signal?: string): Promise<void> {
    await this.#post(id, '/kill', { signal })
  }

  async pause(id: string): Promise<void> {
    await this.#post(id, '/pause')
  }

  async unpause(id: string): Promise<void> {
    await this.#post(id, '/unpause')
  }

  async rename(id: string, name: string): Promise<void> {
    await this.#post(id, '/rename', { name })
  }

  /** Rows and columns of the container's terminal. */
  async resize(id: string, size: { rows: number; columns: number }): Promise<void> {
    await this.#post(id, '/resize', { h: size.rows, w: size.columns })
  }

  async remove(
    id: string,
    options: { force?: boolean; volumes?: boolean; link?: boolean } = {},
  ): Promise<void> {
    const query = { force: options.force, v: options.volumes, link: options.link }
    await this.#transport.text({ method: 'DELETE', path: at(id), query })
  }

  /** Changes limits and restart policy of a container; gives the engine's warnings. */
  async update(id: string, body: object): Promise<readonly string[]> {
    const answer = await this.#transport.json({ method: 'POST', path: at(id, '/update'), json: body })
    return createdShape(answer, 'updated').Warnings
  }

  /**
   * Resolves as soon as the engine has accepted the wait (so that `start` cannot win the race); the exit comes with
   * `result`.
   *
   * @example
   * const waiting = await client.containers.wait(Id, { condition: 'next-exit' })
   * await client.containers.start(Id)
   * const { StatusCode } = await waiting.result
   */
  async wait(
    id: string,
    options: { condition?: WaitCondition; signal?: AbortSignal } = {},
  ): Promise<{ readonly result: Promise<WaitResult> }> {
    const signal = options.signal === undefined ? {} : { signal: options.signal }
    const response = await this.#transport.send({
      method: 'POST',
      path: at(id, '/wait'),
      query: { condition: options.condition },
      ...signal,
    })
    const result = readText(response).then((body) => {
      if (body.trim() === '')
        throw new ClientError(0, `waiting for ${id} failed: the engine closed the connection`)
      return waitShape(JSON.parse(body), 'wait')
    })
    // Who starts the container may fail and never look at the result: that is no unhandled rejection.
    result.catch(() => undefined)
    return { result }
  }

  /**
   * Takes over a connection to the container's streams: raw with a terminal, else multiplexed (see `demultiplex`).
   * `end()` closes the container's stdin only.
   */
  attach(id: string, options: AttachOptions): Promise<Duplex> {
    const { stdin, stdout, stderr, logs, detachKeys } = options
    const signal = options.signal === undefined ? {} : { signal: options.signal }
    return this.#transport.hijack({
      method: 'POST',
      path: at(id, '/attach'),
      query: { stream: true, stdin, stdout, stderr, logs, detachKeys },
      ...signal,
    })
  }

  /** The log: raw bytes for a container with a terminal, else multiplexed. */
  async logs(id: string, options: LogOptions): Promise<Readable> {
    const { signal, ...query } = options
    return this.#transport.send({
      method: 'GET',
      path: at(id, '/logs'),
      query,
      ...(signal === undefined ? {} : { signal }),
    })
  }

  async top(id: string, psArgs?: string): Promise<Processes> {
    return topShape(
      await this.#transport.json({ method: 'GET', path: at(id, '/top'), query: { ps_args: psArgs } }),
      'top',
    )
  }

  async changes(id: string): Promise<readonly Change[]> {
    return list(changeShape)(
      await this.#transport.json({ method: 'GET', path: at(id, '/changes') }),
      'changes',
    )
  }

  /** One reading after the other until the signal aborts; with `stream: false` one (taken over a second, so that it has a CPU share). */
  async *stats(id: string, options: { stream: boolean; signal?: AbortSignal }): AsyncGenerator<Stats> {
    const signal = options.signal === undefined ? {} : { signal: options.signal }
    const query = { stream: options.stream ? '1' : '0' }
    const body = await this.#transport.send({ method: 'GET', path: at(id, '/stats'), query, ...signal })
    for await (const value of readJsonStream(body)) yield statsShape(value, 'stats')
  }

  /** What is at a path in the container; undefined when nothing is. */
  async statPath(id: string, path: string): Promise<PathStat> {
    const response = await this.#transport.send({ method: 'HEAD', path: at(id, '/archive'), query: { path } })
    response.resume()
    return statHeader(response.headers['x-docker-container-path-stat'])
  }

  /** A tar stream of a path in the container, and what the path is. */
  async getArchive(id: string, path: string): Promise<{ readonly stat: PathStat; readonly body: Readable }> {
    const response = await this.#transport.send({ method: 'GET', path: at(id, '/archive'), query: { path } })
    return { stat: statHeader(response.headers['x-docker-container-path-stat']), body: response }
  }

  /** Unpacks a tar stream into a folder of the container. */
  async putArchive(
    id: string,
    path: string,
    body: Readable,
    options: { allowOverwriteDirWithFile?: boolean; copyUidGid?: boolean } = {},
  ): Promise<void> {
    const query = {
      path,
      noOverwriteDirNonDir: !options.allowOverwriteDirWithFile && 'true',
      copyUIDGID: options.copyUidGid && 'true',
    }
    const response = await this.#transport.send({ method: 'PUT', path: at(id, '/archive'), query, body })
    await drain(response)
  }

  /** The container's files as one tar stream. */
  export(id: string): Promise<Readable> {
    return this.#transport.send({ method: 'GET', path: at(id, '/export') })
  }

  /** Makes an image of a container; gives its id. */
  async commit(
    id: string,
    options: {
      repo?: string
      tag?: string
      comment?: string
      author?: string
      pause?: boolean
      changes?: readonly string[]
    },
  ): Promise<string> {
    const query = {
      container: id,
      repo: options.repo,
      tag: options.tag,
      comment: options.comment,
      author: options.author,
      pause: options.pause === false ? '0' : undefined,
      changes: options.changes,
    }
    return createdShape(
      await this.#transport.json({ method: 'POST', path: '/commit', query, json: {} }),
      'commit',
    ).Id
  }

  async prune(filters?: Filters): Promise<Pruned> {
    return pruneShape(
      await this.#transport.json({
        method: 'POST',
        path: '/containers/prune',
        query: { filters: encodeFilters(filters) },
      }),
      'prune',
    )
  }

  async #post(id: string, action: string, query: Query = {}): Promise<void> {
    await this.#transport.text({ method: 'POST', path: at(id, action), query })
  }
}

function statHeader(header: string | readonly string[] | undefined): PathStat {
  if (typeof header !== 'string')
    throw new ClientError(0, 'reading the path failed: the engine sent no X-Docker-Container-Path-Stat')
  return pathStatShape(JSON.parse(Buffer.from(header, 'base64').toString('utf8')), 'path')
}

async function drain(body: Readable): Promise<void> {
  await pipeline(body, new Writable({ write: (_chunk, _encoding, done) => done() }))
}
