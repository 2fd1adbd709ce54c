/** The engine's `networks`: what clients ask of them. The work is the manager's. */
import { DewarError } from '../base/errors.ts'
import { HasEnded } from '../kernel/shim-control.ts'
import { hasPlaces, type Network } from '../network/network.ts'
import { checkConfigUnused } from './config-networks.ts'
import type { Container, Running } from './container.ts'
import { endpointState } from './endpoint-state.ts'
import { plugIn, unplug } from './live-networks.ts'
import type { ContainerRecord } from './record.ts'
import type { Services } from './services.ts'
import { endsWithin } from './stopping.ts'
import { matchesLabel } from './events.ts'
import { withoutUntil } from './filter-values.ts'
import { connected, disconnected } from './network-changes.ts'
import { isPredefined } from './network-records.ts'
import { networkView, type NetworkMember } from './network-view.ts'
import type { EndpointConfig, Filters, NetworkRequest, Networks, NetworkView } from './types.ts'

/** s from the end of a process until the engine has recorded it: far more than it takes, also on a busy machine. */
const TOLD_WITHIN = 5

export class NetworkService implements Networks {
  readonly #services: Services

  constructor(services: Services) {
    this.#services = services
  }

  async list(filters: Filters): Promise<NetworkView[]> {
    return this.#services.networks.known
      .list()
      .filter((network) => this.#matches(network, filters))
      .map((network) => networkView(network, this.#members(network)))
  }

  async inspect(ref: string): Promise<NetworkView> {
    const network = this.#services.networks.known.find(ref)
    return networkView(network, this.#members(network))
  }

  async create(options: NetworkRequest): Promise<{ id: string; warning: string }> {
    const network = await this.#services.networks.known.create(options)
    this.#emit(network, 'create')
    return { id: network.id, warning: '' }
  }

  async remove(ref: string): Promise<void> {
    const network = this.#services.networks.known.find(ref)
    if (isPredefined(network)) {
      throw new DewarError('forbidden', `${network.name} is a pre-defined network and cannot be removed`)
    }
    checkConfigUnused(network, this.#services.networks.known.list())
    const members = this.#members(network)
    if (members.length > 0) {
      throw new DewarError(
        'forbidden',
        `error while removing network: network ${network.name} has active endpoints (${members.map((m) => `name:"${m.name}" id:"${m.id.slice(0, 12)}"`).join(', ')})`,
      )
    }
    if (this.#services.networks.isPlaced(network)) {
      const why = `network ${network.name} has active endpoints (a container is just coming)`
      throw new DewarError('forbidden', `error while removing network: ${why}`)
    }
    await this.#services.networks.remove(network)
    this.#emit(network, 'destroy')
  }

  async connect(ref: string, containerRef: string, endpoint: EndpointConfig): Promise<void> {
    const { networks } = this.#services
    const network = networks.known.find(ref)
    const container = this.#services.containers.find(containerRef)
    const runs = await container.lock.run(async () => {
      const { record, running } = container
      const change = connected(record, network, endpoint)
      if (running === undefined) await this.#update(container, change)
      else if (hasPlaces(network)) {
        await networks.known.readyFor(network)
        const wish = { network, endpoint, change }
        const plugged = await whileRunning(running, () => plugIn(this.#services, container, running, wish))
        if (!plugged) await this.#update(container, change)
        return plugged
      } else {
        const state = endpointState(network, endpoint, undefined, record)
        await container.update({ ...change, networks: { ...record.networks, [network.name]: state } })
      }
      return running !== undefined
    })
    // One that does not run is told of when it starts.
    if (runs) this.#emit(network, 'connect', container.id)
  }

  async disconnect(ref: string, containerRef: string, force: boolean): Promise<void> {
    const { networks, containers } = this.#services
    // With force dockerd looks for an endpoint that has no container any more; here there are none.
    if (force && containers.lookup(containerRef) === undefined) {
      networks.known.find(ref)
      throw new DewarError('not-found', `endpoint ${containerRef} not found`)
    }
    const container = containers.find(containerRef)
    const network = await container.lock.run(() =>
      container.running === undefined
        ? this.#leaveStopped(container, ref)
        : this.#leaveRunning(container, container.running, { ref, force }),
    )
    if (network !== undefined) this.#emit(network, 'disconnect', container.id)
  }

  /** Answers which network it was; undefined when that is gone, and was in the way of the next start. */
  async #leaveStopped(container: Container, ref: string): Promise<Network | undefined> {
    const { known } = this.#services.networks
    const { record } = container
    const network = known.lookup(ref)
    const name = network?.name ?? ref
    if (!Object.hasOwn(record.networks, name))
      throw new DewarError('forbidden', `container ${container.id} is not connected to the network ${name}`)
    await this.#update(
      container,
      disconnected(record, name, (one) => known.lookup(one)),
    )
    return network
  }

  async #leaveRunning(
    container: Container,
    running: Running,
    { ref, force }: { ref: string; force: boolean },
  ): Promise<Network> {
    const { known } = this.#services.networks
    const { record, id } = container
    // A network that a running container is on cannot be removed.
    if (force && known.lookup(ref) === undefined)
      throw new DewarError('forbidden', `container ${id} is not connected to the network ${ref}`)
    const network = known.find(ref)
    const rest = Object.entries(record.networks).filter(([, one]) => one.networkID !== network.id)
    if (rest.length === Object.keys(record.networks).length)
      throw new DewarError('forbidden', `container ${id} is not connected to network ${network.name}`)
    const change = disconnected(record, network.name, (one) => known.lookup(one))
    const wish = { network, change }
    if (hasPlaces(network)) {
      if (!(await whileRunning(running, () => unplug(this.#services, container, running, wish))))
        await this.#update(container, change)
    } else await container.update({ ...change, networks: Object.fromEntries(rest) })
    return network
  }

  async prune(filters: Filters): Promise<{ deleted: readonly string[] }> {
    const { networks } = this.#services
    const { rest, oldEnough } = withoutUntil(filters)
    const unused = networks.known
      .list()
      .filter(
        (network) =>
          !isPredefined(network) &&
          network.config === undefined &&
          !networks.isPlaced(network) &&
          oldEnough(network.created) &&
          this.#matches(network, rest),
      )
    const deleted: string[] = []
    for (const network of unused) {
      // While those before it went, a container may have come to it, or somebody else removed it.
      if (networks.known.byId(network.id) === undefined || networks.isPlaced(network)) continue
      await networks.remove(network)
      this.#emit(network, 'destroy')
      deleted.push(network.name)
    }
    this.#services.bus.emit('network', 'prune', '', { reclaimed: '0' })
    return { deleted }
  }

  async #update(container: Container, change: Partial<ContainerRecord>): Promise<void> {
    const networks = this.#services.networks.idle({ ...container.record, ...change })
    await container.update({ ...change, networks })
  }

  #users(network: Network): Container[] {
    return [...this.#services.containers.values()].filter(({ record }) =>
      Object.values(record.networks).some((state) => state.networkID === network.id),
    )
  }

  #members(network: Network): NetworkMember[] {
    return this.#users(network).flatMap((container) => {
      const place = container.record.network.attachments.find((one) => one.networkId === network.id)
      const state = Object.values(container.record.networks).find((one) => one.networkID === network.id)
      if (container.running === undefined || state === undefined) return []
      const { address, address6, mac = '' } = place ?? {}
      return [
        {
          id: container.id,
          name: container.name,
          endpointID: state.endpointID,
          mac,
          ...(address === undefined ? {} : { address }),
          ...(address6 === undefined ? {} : { address6 }),
        },
      ]
    })
  }

  #matches(network: Network, filters: Filters): boolean {
    const tests: Readonly<Record<string, (value: string) => boolean>> = {
      id: (value) => network.id.startsWith(value),
      name: (value) => network.name.includes(value),
      driver: (value) => network.driver === value,
      scope: (value) => value === 'local',
      type: (value) => {
        if (value !== 'custom' && value !== 'builtin')
          throw new DewarError('invalid-argument', `invalid filter: 'type'='${value}'`)
        return (value === 'custom') !== isPredefined(network)
      },
      label: (value) => matchesLabel(network.labels, value),
      'label!': (value) => !matchesLabel(network.labels, value),
      dangling: (value) =>
        isDangling(value) === (!isPredefined(network) && this.#members(network).length === 0),
    }
    return [...filters].every(([key, values]) => {
      const test = tests[key]
      if (test === undefined) throw new DewarError('invalid-argument', `invalid filter '${key}'`)
      return key.startsWith('label') ? values.every(test) : values.some(test)
    })
  }

  #emit(network: Network, action: string, container?: string): void {
    const attributes = {
      name: network.name,
      type: network.driver,
      ...(container === undefined ? {} : { container }),
    }
    this.#services.bus.emit('network', action, network.id, attributes)
  }
}

/** Other words than those for images and volumes, as dockerd's. */
function isDangling(value: string): boolean {
  if (['1', 'true'].includes(value)) return true
  if (['0', 'false'].includes(value)) return false
  throw new DewarError(
    'invalid-argument',
    'invalid value for filter \'dangling\', must be "true" (or "1"), or "false" (or "0")',
  )
}

/**
 * `work` in the network namespace of a container that runs. False when that has ended on the way: then what has been done has
 * gone with it, and what was wanted is for the next start.
 */
async function whileRunning(running: Running, work: () => Promise<void>): Promise<boolean> {
  try {
    await running.shim.whilePid(work)
    return true
  } catch (error) {
    if (error instanceof HasEnded && (await endsWithin(running.ended, TOLD_WITHIN))) return false
    throw error
  }
}
