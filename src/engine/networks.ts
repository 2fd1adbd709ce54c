/** The engine's `networks`: what clients ask of them. The work is the manager's. */
import { DewarError } from '../base/errors.ts'
import { hasPlaces, type Network } from '../network/network.ts'
import { checkConfigUnused, checkNotConfig } from './config-networks.ts'
import type { Container } from './container.ts'
import { checkEndpoint } from './endpoint-check.ts'
import { plugIn, unplug } from './live-networks.ts'
import type { ContainerRecord } from './record.ts'
import type { Services } from './services.ts'
import { matchesLabel } from './events.ts'
import { withoutUntil } from './filter-values.ts'
import { isPredefined } from './network-records.ts'
import { networkView, type NetworkMember } from './network-view.ts'
import type { EndpointConfig, Filters, NetworkRequest, Networks, NetworkView } from './types.ts'

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
    await container.lock.run(async () => {
      const { record, running } = container
      checkConnect(container, network, endpoint)
      // Not what the next start wants: who was taken off its only network would be on it again.
      if (isOn(record, network)) {
        throw new DewarError(
          'forbidden',
          `endpoint with name ${container.name} already exists in network ${network.name}`,
        )
      }
      const change = endpointsWith(record, network, endpoint)
      if (running === undefined) await this.#update(container, change)
      else {
        await networks.known.readyFor(network)
        const wish = { network, endpoint, change }
        await running.shim.whilePid(() => plugIn(this.#services, container, running, wish))
      }
    })
    this.#emit(network, 'connect', container.id)
  }

  async disconnect(ref: string, containerRef: string, force: boolean): Promise<void> {
    const { networks, containers } = this.#services
    const network = networks.known.find(ref)
    // With force dockerd looks for an endpoint that has no container any more; here there are none.
    if (force && containers.lookup(containerRef) === undefined)
      throw new DewarError('not-found', `endpoint ${containerRef} not found`)
    const container = containers.find(containerRef)
    await container.lock.run(async () => {
      const { record, running } = container
      if (!isOn(record, network)) {
        throw new DewarError(
          'forbidden',
          `container ${container.id} is not connected to network ${network.name}`,
        )
      }
      if (!hasPlaces(network)) {
        throw new DewarError(
          'forbidden',
          'container cannot be disconnected from host network or connected to host network',
        )
      }
      const change = endpointsWithout(record, network, (name) => networks.known.lookup(name))
      if (running === undefined) await this.#update(container, change)
      else {
        const wish = { network, change }
        await running.shim.whilePid(() => unplug(this.#services, container, running, wish))
      }
    })
    this.#emit(network, 'disconnect', container.id)
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

/** What can never be connected, in dockerd's words. */
function checkConnect(container: Container, network: Network, endpoint: EndpointConfig): void {
  checkNotConfig(network)
  const { networkMode } = container.record.hostConfig
  if (networkMode === 'host' || network.driver === 'host') {
    throw new DewarError(
      'forbidden',
      'container cannot be disconnected from host network or connected to host network',
    )
  }
  if (networkMode.startsWith('container:')) {
    throw new DewarError(
      'forbidden',
      'container sharing network namespace with another container or host cannot be connected to any other network',
    )
  }
  if (networkMode === 'none' || network.driver === 'null') {
    throw new DewarError(
      'forbidden',
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    )
  }
  checkEndpoint(network, endpoint)
}

function isOn(record: ContainerRecord, network: Network): boolean {
  return Object.values(record.networks).some((one) => one.networkID === network.id)
}

/** The network's name as the key, and no longer as one that was left. */
function endpointsWith(
  record: ContainerRecord,
  network: Network,
  endpoint: EndpointConfig,
): Partial<ContainerRecord> {
  const isFirst = [network.name, network.id].includes(modeName(record.hostConfig.networkMode))
  return {
    endpoints: { ...record.endpoints, [network.name]: endpoint },
    ...(isFirst ? { leftFirst: false } : {}),
  }
}

function endpointsWithout(
  record: ContainerRecord,
  network: Network,
  lookup: (ref: string) => Network | undefined,
): Partial<ContainerRecord> {
  const rest = Object.entries(record.endpoints).filter(([name]) => lookup(name)?.id !== network.id)
  const isFirst = lookup(record.hostConfig.networkMode)?.id === network.id
  return { endpoints: Object.fromEntries(rest), ...(isFirst ? { leftFirst: true } : {}) }
}

const modeName = (mode: string): string => (mode === 'default' ? 'bridge' : mode)
