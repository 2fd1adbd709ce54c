import type { Readable } from 'node:stream'
import { readJsonStream } from './ndjson.ts'
import { list } from './shape.ts'
import type { Call, Query, Transport } from './transport.ts'
import {
  encodeFilters,
  historyShape,
  imageSummaryShape,
  progressShape,
  pruneShape,
  removedShape,
} from './types.ts'
import type { Filters, HistoryLine, ImageSummary, Progress, Pruned, RegistryAuth, Removed } from './types.ts'

// Image names keep their slashes in paths: /images/registry:5000/team/app/json.
const at = (name: string, rest = ''): string =>
  `/images/${name
    .split('/')
    .map((part) => encodeURIComponent(part))
    .join('/')}${rest}`

/** `client.images`. Progress comes as it happens; an `error` line is the engine's failure and left to the caller. */
export class ImagesClient {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  async list(
    options: { all?: boolean; digests?: boolean; filters?: Filters } = {},
  ): Promise<readonly ImageSummary[]> {
    const query = { all: options.all, digests: options.digests, filters: encodeFilters(options.filters) }
    return list(imageSummaryShape)(
      await this.#transport.json({ method: 'GET', path: '/images/json', query }),
      'images',
    )
  }

  /** `platform` as JSON here and below, {"os":"linux","architecture":"arm64"}: not found when it is for another. */
  inspectRaw(name: string, { platform }: { platform?: string | undefined } = {}): Promise<string> {
    return this.#transport.text({ method: 'GET', path: at(name, '/json'), query: { platform } })
  }

  async history(
    name: string,
    { platform }: { platform?: string | undefined } = {},
  ): Promise<readonly HistoryLine[]> {
    return list(historyShape)(
      await this.#transport.json({ method: 'GET', path: at(name, '/history'), query: { platform } }),
      'history',
    )
  }

  /**
   * `fromImage` without tag; `tag` a tag or digest, empty for all tags.
   *
   * @example
   * for await (const line of client.images.pull({ fromImage: 'docker.io/library/nginx', tag: 'latest' })) {
   *   console.log(line.id, line.status)
   * }
   */
  pull(options: {
    fromImage: string
    tag?: string
    platform?: string
    auth?: RegistryAuth
    signal?: AbortSignal
  }): AsyncGenerator<Progress> {
    const query = { fromImage: options.fromImage, tag: options.tag, platform: options.platform }
    const signal = options.signal === undefined ? {} : { signal: options.signal }
    return this.#progress({
      method: 'POST',
      path: '/images/create',
      query,
      headers: authHeader(options.auth),
      ...signal,
    })
  }

  /** Makes an image of a tar archive: a stream, or a URL that the engine fetches (`source`). */
  import(options: {
    source: string
    body?: Readable
    repo?: string
    tag?: string
    message?: string
    changes?: readonly string[]
    platform?: string
  }): AsyncGenerator<Progress> {
    const { source, body, repo, tag, message, changes, platform } = options
    const query = { fromSrc: source, repo, tag, message, changes, platform }
    return this.#progress({
      method: 'POST',
      path: '/images/create',
      query,
      ...(body === undefined ? {} : { body }),
    })
  }

  /**
   * Builds an image. `context` is a tar; `query` has the parameters of `POST /build` as Docker spells them; `auths`
   * what the engine may log in with, by registry.
   */
  build(options: {
    context: Readable
    query: Query
    auths?: Readonly<Record<string, RegistryAuth>>
    signal?: AbortSignal
  }): AsyncGenerator<Progress> {
    const registries = headerOf(options.auths ?? {})
    return this.#progress({
      method: 'POST',
      path: '/build',
      query: options.query,
      body: options.context,
      headers: { 'Content-Type': 'application/x-tar', 'X-Registry-Config': registries },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    })
  }

  push(
    name: string,
    options: { tag?: string; platform?: string; auth?: RegistryAuth },
  ): AsyncGenerator<Progress> {
    return this.#progress({
      method: 'POST',
      path: at(name, '/push'),
      query: { tag: options.tag, platform: options.platform },
      headers: authHeader(options.auth),
    })
  }

  /** A tar archive in docker format with these images. */
  save(names: readonly string[], options: { platform?: string } = {}): Promise<Readable> {
    return this.#transport.send({
      method: 'GET',
      path: '/images/get',
      query: { names, platform: options.platform },
    })
  }

  load(body: Readable, options: { quiet?: boolean; platform?: string } = {}): AsyncGenerator<Progress> {
    return this.#progress({
      method: 'POST',
      path: '/images/load',
      query: { quiet: options.quiet, platform: options.platform },
      body,
    })
  }

  async tag(source: string, repo: string, tag: string): Promise<void> {
    await this.#transport.text({ method: 'POST', path: at(source, '/tag'), query: { repo, tag } })
  }

  async remove(
    name: string,
    options: { force?: boolean; noPrune?: boolean; platforms?: readonly string[] } = {},
  ): Promise<readonly Removed[]> {
    const query = { force: options.force, noprune: options.noPrune, platforms: options.platforms }
    return list(removedShape)(
      await this.#transport.json({ method: 'DELETE', path: at(name), query }),
      'removed',
    )
  }

  async prune(filters: Filters): Promise<Pruned> {
    return pruneShape(
      await this.#transport.json({
        method: 'POST',
        path: '/images/prune',
        query: { filters: encodeFilters(filters) },
      }),
      'prune',
    )
  }

  async *#progress(call: Call): AsyncGenerator<Progress> {
    const body = await this.#transport.send(call)
    for await (const value of readJsonStream(body)) yield progressShape(value, 'progress')
  }
}

/** An empty object says "anonymous", as Docker's client does. */
function authHeader(auth: RegistryAuth | undefined): Record<string, string> {
  return { 'X-Registry-Auth': headerOf(auth ?? {}) }
}

/** base64url with its padding: without, podman refuses the request and dockerd takes it for no login. */
function headerOf(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}
