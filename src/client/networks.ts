import { list } from './shape.ts'
import type { Transport } from './transport.ts'
import { createdShape, encodeFilters, networkShape, pruneShape } from './types.ts'
import type { Filters, Network, Pruned } from './types.ts'

const at = (name: string, rest = ''): string => `/networks/${encodeURIComponent(name)}${rest}`

/** `client.networks`. */
export class NetworksClient {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  async list(filters?: Filters): Promise<readonly Network[]> {
    return list(networkShape)(
      await this.#transport.json({
        method: 'GET',
        path: '/networks',
        query: { filters: encodeFilters(filters) },
      }),
      'networks',
    )
  }

  /** `body` is Docker's NetworkCreate request. */
  async create(body: object): Promise<{ readonly Id: string; readonly Warning: string }> {
    const answer = await this.#transport.json({ method: 'POST', path: '/networks/create', json: body })
    return { Id: createdShape(answer, 'network').Id, Warning: '' }
  }

  async inspect(name: string): Promise<Network> {
    return networkShape(await this.#transport.json({ method: 'GET', path: at(name) }), 'network')
  }

  inspectRaw(name: string, options: { verbose?: boolean } = {}): Promise<string> {
    return this.#transport.text({
      method: 'GET',
      path: at(name),
      query: { verbose: options.verbose && 'true' },
    })
  }

  async remove(name: string): Promise<void> {
    await this.#transport.text({ method: 'DELETE', path: at(name) })
  }

  async connect(name: string, container: string, endpoint: object): Promise<void> {
    const json = { Container: container, EndpointConfig: endpoint }
    await this.#transport.text({ method: 'POST', path: at(name, '/connect'), json })
  }

  async disconnect(name: string, container: string, options: { force?: boolean } = {}): Promise<void> {
    const json = { Container: container, Force: options.force ?? false }
    await this.#transport.text({ method: 'POST', path: at(name, '/disconnect'), json })
  }

  async prune(filters?: Filters): Promise<Pruned> {
    return pruneShape(
      await this.#transport.json({
        method: 'POST',
        path: '/networks/prune',
        query: { filters: encodeFilters(filters) },
      }),
      'prune',
    )
  }
}
