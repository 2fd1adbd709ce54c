/**
 * A thin, typed client of Docker's Engine API. It works on any engine that speaks it (dewar, dockerd, podman), has no
 * dependency, and decides nothing: one call, one request.
 *
 * @example
 * await using client = await connect({ socket: '/run/dewar/dewar.sock' })
 * const { Id } = await client.containers.create({ Image: 'busybox', Cmd: ['echo', 'hello'] })
 * const waiting = await client.containers.wait(Id, { condition: 'next-exit' })
 * await client.containers.start(Id)
 * console.log((await waiting.result).StatusCode)
 * await demultiplex(await client.containers.logs(Id, { stdout: true, stderr: true }), process.stdout, process.stderr)
 * await client.containers.remove(Id)
 */
import { parseAddress } from './address.ts'
import { ContainersClient } from './containers.ts'
import { ExecsClient } from './execs.ts'
import { ImagesClient } from './images.ts'
import { NetworksClient } from './networks.ts'
import { SystemClient } from './system.ts'
import type { Ping } from './system.ts'
import { Transport } from './transport.ts'
import { VolumesClient } from './volumes.ts'

export { ClientError, isNotFound } from './error.ts'
export { demultiplex, FrameSplitter } from './demultiplex.ts'
export { readJsonStream } from './ndjson.ts'
export { formatAddress, parseAddress } from './address.ts'
export { isRecord } from './shape.ts'
export type { Address } from './address.ts'
export type * from './types.ts'

/** The newest API version we know how to speak: docker 28.2's. */
export const NEWEST_API = '1.50'
/** What an engine speaks that does not say so (Docker before 1.24 did not send the header). */
const OLDEST_API = '1.24'

export interface ConnectOptions {
  /** A unix socket's path, or Docker's notation: unix:///path, tcp://host:port. */
  readonly socket: string
  /** Speak this API version and do not ask the engine. */
  readonly apiVersion?: string
}

export class Client implements AsyncDisposable {
  readonly containers: ContainersClient
  readonly images: ImagesClient
  readonly networks: NetworksClient
  readonly volumes: VolumesClient
  readonly execs: ExecsClient
  readonly system: SystemClient
  /** What the engine said of itself when we connected. */
  readonly engine: Ping
  /** The API version spoken. */
  readonly apiVersion: string
  readonly #transport: Transport

  constructor(transport: Transport, engine: Ping) {
    this.#transport = transport
    this.engine = engine
    this.apiVersion = transport.version ?? NEWEST_API
    this.containers = new ContainersClient(transport)
    this.images = new ImagesClient(transport)
    this.networks = new NetworksClient(transport)
    this.volumes = new VolumesClient(transport)
    this.execs = new ExecsClient(transport)
    this.system = new SystemClient(transport)
  }

  /** Closes the idle connections; calls under way fail. */
  close(): void {
    this.#transport.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }
}

/** Connects and agrees on an API version. Throws ClientError (`unreachable`) when nothing answers. */
export async function connect(options: ConnectOptions): Promise<Client> {
  const transport = new Transport(parseAddress(options.socket))
  try {
    const engine = await new SystemClient(transport).ping()
    transport.version =
      options.apiVersion ?? older(NEWEST_API, engine.apiVersion === '' ? OLDEST_API : engine.apiVersion)
    return new Client(transport, engine)
  } catch (error) {
    transport.close()
    throw error
  }
}

/** The older of two API versions ("1.9" is older than "1.24"). */
export function older(a: string, b: string): string {
  const minor = (version: string): number => Number(version.split('.')[1] ?? 0)
  return minor(a) <= minor(b) ? a : b
}
