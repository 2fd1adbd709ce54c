import { list, object, text } from './shape.ts'
import type { Transport } from './transport.ts'
import { encodeFilters, pruneShape, volumeShape } from './types.ts'
import type { Filters, Pruned, Volume } from './types.ts'

const listShape = object({ Volumes: list(volumeShape), Warnings: list(text) })
const at = (name: string): string => `/volumes/${encodeURIComponent(name)}`

/** `client.volumes`. */
export class VolumesClient {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  async list(filters?: Filters): Promise<readonly Volume[]> {
    const answer = await this.#transport.json({
      method: 'GET',
      path: '/volumes',
      query: { filters: encodeFilters(filters) },
    })
    return listShape(answer, 'volumes').Volumes
  }

  /** `body` is Docker's VolumeCreate request. */
  async create(body: object): Promise<Volume> {
    return volumeShape(
      await this.#transport.json({ method: 'POST', path: '/volumes/create', json: body }),
      'volume',
    )
  }

  inspectRaw(name: string): Promise<string> {
    return this.#transport.text({ method: 'GET', path: at(name) })
  }

  async remove(name: string, options: { force?: boolean } = {}): Promise<void> {
    await this.#transport.text({ method: 'DELETE', path: at(name), query: { force: options.force } })
  }

  async prune(filters?: Filters): Promise<Pruned> {
    return pruneShape(
      await this.#transport.json({
        method: 'POST',
        path: '/volumes/prune',
        query: { filters: encodeFilters(filters) },
      }),
      'prune',
    )
  }
}
