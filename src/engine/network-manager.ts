/** The engine's networks at work: bridges kept ready, addresses and ports given to containers and taken back. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { DewarError } from '../base/errors.ts'
import type { NetworkSteps } from '../isolation/level.ts'
import type { Core } from '../kernel/core-api.ts'
import type { Step } from '../kernel/plan.ts'
import { advertisedInterfaces, ensureBridge, readHostNetwork, subnetsInUse } from '../network/bridge.ts'
import { type Attachment, type ContainerNetwork } from '../network/attachment.ts'
import { bridgeSteps, guardedPorts, loopbackSteps, NO_STEPS, vethName } from '../network/container-steps.ts'
import { networkStep, removeFirewallSteps, removeNetworkStep, tableName } from '../network/firewall.ts'
import type { Subnet } from '../network/address.ts'
import { ensureParent } from '../network/macvlan.ts'
import { nameServerSteps } from '../network/name-steps.ts'
import { hasNames, hasPlaces, type Network } from '../network/network.ts'
import { parsePortRange } from '../network/ports.ts'
import { reconcileNetwork } from '../network/reconcile.ts'
import { guardProblem, removeGuardStep } from '../network/source-guard.ts'
import { Records } from '../store/records.ts'
import { AddressBook } from './address-book.ts'
import type { Container } from './container.ts'
import { endpointState, macFor, type Place } from './endpoint-state.ts'
import { NameService, type Member } from './name-service.ts'
import { isPredefined, parseNetwork, predefinedNetworks, requestedNetwork } from './network-records.ts'
import { privatePool6 } from './network-pools.ts'
import { idleStates, wantedNetworks, type Wanted, type Wishes } from './network-wishes.ts'
import { attachmentOf, hasIpv6, portsOf, removeHostSteps } from './network-plan.ts'
import type { Settings } from './options.ts'
import type { ContainerRecord, RecordedNetwork } from './record.ts'
import type { EndpointConfig, EndpointState, NetworkRequest } from './types.ts'

/** What a start has decided; goes into the record before the shim starts. */
export interface NetworkPlan {
  readonly network: RecordedNetwork
  readonly networks: Readonly<Record<string, EndpointState>>
  readonly ports: ContainerRecord['ports']
  /** Ports that were chosen freely and may be chosen anew when somebody else has them. */
  readonly chosen: ReadonlySet<string>
}

export class NetworkManager {
  readonly table: string
  readonly ipv6: boolean
  /** Why this kernel lets containers send under the addresses of others; undefined: it does not. */
  guardProblem: string | undefined
  readonly #core: Core
  readonly #settings: Settings
  readonly #records: Records<Network>
  readonly #networks = new Map<string, Network>()
  readonly #bridgeIndex = new Map<string, number>()
  readonly #book = new AddressBook()
  readonly names: NameService
  readonly #vethPrefix: string
  #ephemeral: readonly [number, number] = [49153, 65535]
  #advertised: readonly string[] = []

  private constructor(core: Core, settings: Settings) {
    this.#core = core
    this.#settings = settings
    this.#records = new Records(settings.folders.networks, { parse: parseNetwork, kind: 'network' })
    this.#vethPrefix = `dw${settings.instance.slice(0, 4)}`
    this.table = tableName(settings.bridge)
    this.ipv6 = existsSync('/proc/sys/net/ipv6')
    this.names = new NameService(core)
  }

  /** Bridges are ready and containers' addresses known when this resolves; `settle` comes once shims are found. */
  static async open(core: Core, settings: Settings): Promise<NetworkManager> {
    const manager = new NetworkManager(core, settings)
    const host = await readHostNetwork(core)
    manager.#advertised = advertisedInterfaces(host)
    manager.guardProblem = await guardProblem(core, manager.table)
    manager.#ephemeral = parsePortRange(
      await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').catch(() => ''),
    )
    const { records } = await manager.#records.load()
    for (const network of records.values()) manager.#networks.set(network.id, network)
    await manager.#rememberPredefined(subnetsInUse(host, settings.bridge))
    for (const network of manager.list().filter(hasPlaces)) {
      if (isPredefined(network)) await manager.#raise(network)
      // Its parent may come later (a card, a VLAN), or another interface has its name now; who starts on it is told.
      else await manager.#raise(network).catch(() => undefined)
    }
    return manager
  }

  /** The host may have got or lost IPv6 since the bridge was recorded. */
  async #rememberPredefined(taken: readonly Subnet[]): Promise<void> {
    const { bridge, subnet, instance } = this.#settings
    const ipv6 = hasIpv6() ? privatePool6(instance) : undefined
    for (const network of predefinedNetworks({ bridge, subnet, taken, ipv6 })) {
      const known = this.lookup(network.name)
      if (known === undefined) await this.#remember(network)
      else if (known.ipv6?.subnet !== network.ipv6?.subnet) {
        const { ipv6: _, ...rest } = known
        await this.#remember({ ...rest, ...(network.ipv6 === undefined ? {} : { ipv6: network.ipv6 }) })
      }
    }
  }

  list(): Network[] {
    return [...this.#networks.values()]
  }

  /** By id, name, or unique id prefix. `default` is the bridge. */
  lookup(ref: string): Network | undefined {
    const name = ref === 'default' ? 'bridge' : ref
    const exact = this.#networks.get(ref) ?? this.list().find((network) => network.name === name)
    if (exact !== undefined || !/^[0-9a-f]{1,63}$/.test(ref)) return exact
    const matches = this.list().filter((network) => network.id.startsWith(ref))
    if (matches.length > 1)
      throw new DewarError(
        'invalid-argument',
        `network ${ref} is ambiguous (${matches.length} matches found on ID prefix)`,
      )
    return matches[0]
  }

  find(ref: string): Network {
    const network = this.lookup(ref)
    if (network === undefined) throw new DewarError('not-found', `network ${ref} not found`)
    return network
  }

  async create(request: NetworkRequest): Promise<Network> {
    const host = await readHostNetwork(this.#core)
    const network = requestedNetwork(request, {
      others: this.list(),
      taken: subnetsInUse(host, this.#settings.bridge),
      links: host.links.map(({ name }) => name),
      instance: this.#settings.instance,
    })
    // First, so that no other can have its name, and an engine that is killed now leaves nothing that nobody knows of.
    await this.#remember(network)
    try {
      if (hasPlaces(network)) await this.#raise(network)
      if (network.driver === 'bridge')
        await this.#core.run({ steps: [networkStep('host', this.table, network, this.ipv6)] })
    } catch (error) {
      await this.#core.run({ steps: removeHostSteps(network) }).catch(() => undefined)
      await this.#forget(network)
      throw error
    }
    return network
  }

  async remove(network: Network): Promise<void> {
    const rules =
      network.driver === 'bridge' ? [removeNetworkStep('host', this.table, network, this.ipv6)] : []
    const steps = [...rules, ...this.#removeHostSteps(network)]
    if (steps.length > 0) await this.#core.run({ steps })
    await this.#forget(network)
  }

  /** Nothing for one that was not there to be used: what has its name is somebody else's. */
  #removeHostSteps(network: Network): Step[] {
    return this.#bridgeIndex.has(network.id) ? removeHostSteps(network) : []
  }

  async #forget(network: Network): Promise<void> {
    this.#networks.delete(network.id)
    this.#bridgeIndex.delete(network.id)
    this.names.forgetNetwork(network.id)
    await this.#records.remove(network.id)
  }

  async #remember(network: Network): Promise<void> {
    this.#networks.set(network.id, network)
    await this.#records.write(network.id, network)
  }

  async #raise(network: Network): Promise<void> {
    const index =
      network.macvlan !== undefined
        ? await ensureParent(this.#core, network)
        : await ensureBridge(this.#core, network, { ipv6: this.ipv6, advertised: this.#advertised })
    this.#bridgeIndex.set(network.id, index)
  }

  /** Looks for the parents of a container's networks again, and for what was not there when the engine opened. */
  async ready(record: Wishes): Promise<void> {
    for (const { network } of this.wanted(record)) await this.readyFor(network)
  }

  async readyFor(network: Network): Promise<void> {
    const isMissing = hasPlaces(network) && !this.#bridgeIndex.has(network.id)
    if (network.macvlan !== undefined || isMissing) await this.#raise(network)
  }

  /** Networks a container asks for, the default route's first. Empty for none, host and container modes. */
  wanted(record: Wishes): Wanted[] {
    return wantedNetworks(record, (ref) => this.find(ref))
  }

  /** Decides addresses and ports and holds them until `free`. `busy`: ports found taken while trying. */
  plan(container: Container, busy: ReadonlySet<string>): NetworkPlan {
    this.free(container.id)
    const { record } = container
    const wanted = this.wanted(record)
    const attachments: Place[] = []
    try {
      for (const [slot, { network, endpoint }] of wanted.entries())
        attachments.push(this.place(network, endpoint, slot))
      const members = wanted.map((one, n) => ({ ...one, ...attachments[n] }))
      const decided = portsOf(container, members, {
        taken: () => this.#book.published(),
        busy,
        ephemeral: this.#ephemeral,
      })
      const resolver = wanted.some(({ network }) => hasNames(network))
      const network = { attachments, published: decided.published, resolver }
      this.#book.hold(container.id, network)
      this.names.set(record, members, resolver)
      const states = wanted.map(
        ({ network: one, endpoint }, n) =>
          [one.name, endpointState(one, endpoint, attachments[n], record)] as const,
      )
      return {
        network,
        networks: states.length > 0 ? Object.fromEntries(states) : this.idle(record),
        ports: decided.ports,
        chosen: decided.chosen,
      }
    } catch (error) {
      this.#book.release(attachments)
      throw error
    }
  }

  /** How the networks of a container that does not run are shown. */
  idle(record: Wishes): Record<string, EndpointState> {
    return idleStates(record, (ref) => this.lookup(ref))
  }

  /** Takes an address of each family; `release` gives them back. */
  place(network: Network, endpoint: EndpointConfig, slot: number): Place {
    const address = this.#book.give(network.id, network.ipv4, endpoint.ipamConfig?.ipv4Address)
    const address6 = this.#book.give(network.id, network.ipv6, endpoint.ipamConfig?.ipv6Address)
    return {
      networkId: network.id,
      ...(address === undefined ? {} : { address }),
      ...(address6 === undefined ? {} : { address6 }),
      mac: endpoint.macAddress || macFor(address ?? address6),
      slot,
    }
  }

  release(place: Place): void {
    this.#book.release([place])
  }

  /** Recorded addresses and ports of a container that runs are in use, and its names known. */
  adopt(record: ContainerRecord): void {
    this.#book.hold(record.id, record.network)
    this.names.set(record, this.#members(record), this.servesNames(record))
  }

  /** The container is on a network whose names the engine serves, or was when its resolv.conf was written. */
  servesNames({ network }: ContainerRecord): boolean {
    if (network.resolver !== undefined) return network.resolver
    return network.attachments.some(({ networkId }) => {
      const one = this.#networks.get(networkId)
      return one !== undefined && hasNames(one)
    })
  }

  #members(record: ContainerRecord): Member[] {
    const states = Object.values(record.networks)
    return record.network.attachments.flatMap((place) => {
      const network = this.#networks.get(place.networkId)
      const endpoint = states.find((state) => state.networkID === place.networkId)
      return network === undefined || endpoint === undefined ? [] : [{ ...place, network, endpoint }]
    })
  }

  free(id: string): void {
    this.#book.free(id)
    this.names.delete(id)
  }

  /** The container's interfaces as steps are made of. */
  attachments(record: ContainerRecord): Attachment[] {
    const states = Object.values(record.networks)
    return record.network.attachments.flatMap((place, n) => {
      const network = this.#networks.get(place.networkId)
      const state = states.find((one) => one.networkID === place.networkId)
      const filled = { ...place, slot: place.slot ?? n }
      return network === undefined ? [] : [this.attachment(network, filled, state ?? {})]
    })
  }

  attachment(network: Network, place: Place, endpoint: EndpointConfig): Attachment {
    return attachmentOf(network, this.#bridgeIndex.get(network.id) ?? 0, place, endpoint)
  }

  /** What steps for a container of this record need to know. */
  frame(record: ContainerRecord, startedAt: number): ContainerNetwork {
    return {
      containerId: record.id,
      start: startedAt,
      vethPrefix: this.#vethPrefix,
      table: this.table,
      ipv6: this.ipv6,
      guard: this.guardProblem === undefined,
      attachments: this.attachments(record),
      published: record.network.published,
    }
  }

  /** The same record gives the same steps, so that what a killed shim left can be undone. */
  steps(record: ContainerRecord, startedAt: number): NetworkSteps {
    const mode = record.hostConfig.networkMode
    if (mode === 'host' || mode.startsWith('container:')) return NO_STEPS
    const frame = this.frame(record, startedAt)
    if (frame.attachments.length === 0) return loopbackSteps()
    const steps = bridgeSteps(frame)
    if (!this.servesNames(record)) return steps
    return { ...steps, guest: [...steps.guest, ...nameServerSteps('guest', record.id)] }
  }

  /** Nothing runs and the engine goes: bridges and rules go with it; the next engine makes them again. */
  async takeDown(): Promise<void> {
    await this.#core.run({
      steps: [
        ...this.list().flatMap((network) => this.#removeHostSteps(network)),
        ...removeFirewallSteps('host', this.table),
        removeGuardStep('host', this.table),
      ],
    })
  }

  /** Removes interfaces and published ports that belong to no running container. */
  async settle(running: readonly ContainerRecord[]): Promise<string[]> {
    return reconcileNetwork(this.#core, {
      networks: this.list().filter((network) => network.driver === 'bridge'),
      veths: new Set(
        running.flatMap(({ id, network }) =>
          network.attachments.map(({ slot }, n) => vethName(this.#vethPrefix, id, slot ?? n)),
        ),
      ),
      published: running.flatMap((record) => record.network.published),
      vethPrefix: this.#vethPrefix,
      table: this.table,
      ipv6: this.ipv6,
      guarded:
        this.guardProblem === undefined
          ? running.flatMap((record) => guardedPorts(this.frame(record, 0)))
          : undefined,
    })
  }
}
