/** Containers on the engine's networks: addresses, names and ports given to them and taken back. */
import { readFile } from 'node:fs/promises'
import { messageOf } from '../base/errors.ts'
import type { NetworkSteps } from '../isolation/level.ts'
import type { Core } from '../kernel/core-api.ts'
import { type Attachment, type ContainerNetwork } from '../network/attachment.ts'
import { bridgeSteps, deleteSteps, guardedPorts, NO_STEPS, vethName } from '../network/container-steps.ts'
import { formatMac, parseMac } from '../network/ipam.ts'
import { nameServerSteps } from '../network/name-steps.ts'
import { hasNames, type Network } from '../network/network.ts'
import { parsePortRange } from '../network/ports.ts'
import { reconcileNetwork } from '../network/reconcile.ts'
import { AddressBook } from './address-book.ts'
import type { Container } from './container.ts'
import { endpointState, macFor, type Place } from './endpoint-state.ts'
import { interfaceSettings } from './endpoint-sysctls.ts'
import { GuardSweep } from './guard-sweep.ts'
import { NameService, type Member } from './name-service.ts'
import { attachmentOf, portsOf } from './network-plan.ts'
import { NetworkRegister } from './network-register.ts'
import { idleStates, wantedNetworks, type Wanted, type Wishes } from './network-wishes.ts'
import type { Settings } from './options.ts'
import type { ContainerRecord, RecordedNetwork } from './record.ts'
import type { EndpointConfig, EndpointState } from './types.ts'

/** What a start has decided; goes into the record before the shim starts. */
export interface NetworkPlan {
  readonly network: RecordedNetwork
  readonly networks: Readonly<Record<string, EndpointState>>
  readonly ports: ContainerRecord['ports']
  /** Ports that were chosen freely and may be chosen anew when somebody else has them. */
  readonly chosen: ReadonlySet<string>
}

export class NetworkManager {
  readonly known: NetworkRegister
  readonly names: NameService
  readonly guards: GuardSweep
  readonly #core: Core
  readonly #book = new AddressBook()
  readonly #vethPrefix: string
  readonly #ephemeral: readonly [number, number]

  private constructor(
    core: Core,
    settings: Settings,
    known: NetworkRegister,
    options: { readonly portRange: string; readonly warn: (text: string) => void },
  ) {
    this.#core = core
    this.known = known
    this.#vethPrefix = `dw${settings.instance.slice(0, 4)}`
    this.#ephemeral = parsePortRange(options.portRange)
    this.names = new NameService(core)
    this.guards = new GuardSweep(core, known.table, (error) =>
      options.warn(`Taking back what ended containers could send as failed: ${messageOf(error)}`),
    )
  }

  /** Bridges are ready when this resolves; `settle` comes once shims are found. */
  static async open(core: Core, settings: Settings, warn: (text: string) => void): Promise<NetworkManager> {
    const [known, portRange] = await Promise.all([
      NetworkRegister.open(core, settings),
      readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').catch(() => ''),
    ])
    return new NetworkManager(core, settings, known, { portRange, warn })
  }

  async remove(network: Network): Promise<void> {
    await this.known.remove(network)
    this.names.forgetNetwork(network.id)
  }

  /** Looks for the parents of a container's networks again, and for what was not there when the engine opened. */
  async ready(record: Wishes): Promise<void> {
    for (const { network } of this.wanted(record)) await this.known.readyFor(network)
  }

  /** Networks a container asks for, the default route's first. Empty for none, host and container modes. */
  wanted(record: Wishes): Wanted[] {
    return wantedNetworks(record, (ref) => this.known.find(ref))
  }

  /** Decides addresses and ports and holds them until `free`. `busy`: ports found taken while trying. */
  plan(container: Container, busy: ReadonlySet<string>): NetworkPlan {
    this.free(container.id)
    const { record } = container
    const wanted = this.wanted(record)
    const attachments: Place[] = []
    try {
      for (const [slot, { network, endpoint }] of wanted.entries()) {
        interfaceSettings(endpoint)
        attachments.push(this.place(network, endpoint, slot))
      }
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
    return idleStates(record, (ref) => this.known.lookup(ref))
  }

  /** A container is on it or about to be: it starts, or is being connected. */
  isPlaced(network: Network): boolean {
    return this.#book.isPlaced(network.id)
  }

  /** Takes an address of each family; `release` gives them back. */
  place(network: Network, endpoint: EndpointConfig, slot: number): Place {
    // It may have been removed while something was waited for.
    this.known.find(network.id)
    const mac = endpoint.macAddress ? formatMac(parseMac(endpoint.macAddress)) : undefined
    const address = this.#book.give(network.id, network.ipv4, endpoint.ipamConfig?.ipv4Address)
    const address6 = this.#book.give(network.id, network.ipv6, endpoint.ipamConfig?.ipv6Address)
    const place = {
      networkId: network.id,
      ...(address === undefined ? {} : { address }),
      ...(address6 === undefined ? {} : { address6 }),
      mac: mac ?? macFor(address ?? address6),
      slot,
    }
    this.#book.expect(place)
    return place
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
      const one = this.known.byId(networkId)
      return one !== undefined && hasNames(one)
    })
  }

  #members(record: ContainerRecord): Member[] {
    const states = Object.values(record.networks)
    return record.network.attachments.flatMap((place) => {
      const network = this.known.byId(place.networkId)
      const endpoint = states.find((state) => state.networkID === place.networkId)
      return network === undefined || endpoint === undefined ? [] : [{ ...place, network, endpoint }]
    })
  }

  /** A run is over, or has not come about. */
  left(record: ContainerRecord): void {
    const frame = (): ContainerNetwork => this.frame(record, 0)
    this.guards.add(
      record.id,
      () => guardedPorts(frame()),
      () => deleteSteps(frame(), 'host'),
    )
    this.free(record.id)
  }

  free(id: string): void {
    this.#book.free(id)
    this.names.delete(id)
  }

  /** The container's interfaces as steps are made of. */
  attachments(record: ContainerRecord): Attachment[] {
    const states = Object.values(record.networks)
    return record.network.attachments.flatMap((place, n) => {
      const network = this.known.byId(place.networkId)
      const state = states.find((one) => one.networkID === place.networkId)
      const filled = { ...place, slot: place.slot ?? n }
      return network === undefined ? [] : [this.attachment(network, filled, state ?? {})]
    })
  }

  attachment(network: Network, place: Place, endpoint: EndpointConfig): Attachment {
    return attachmentOf(network, this.known.interfaceOf(network), place, endpoint)
  }

  /** What steps for a container of this record need to know. */
  frame(record: ContainerRecord, startedAt: number): ContainerNetwork {
    return {
      containerId: record.id,
      start: startedAt,
      vethPrefix: this.#vethPrefix,
      table: this.known.table,
      ipv6: this.known.ipv6,
      guard: this.known.guardProblem === undefined,
      attachments: this.attachments(record),
      published: record.network.published,
    }
  }

  /** The same record gives the same steps, so that what a killed shim left can be undone. */
  steps(record: ContainerRecord, startedAt: number): NetworkSteps {
    const mode = record.hostConfig.networkMode
    if (mode === 'host' || mode.startsWith('container:')) return NO_STEPS
    const frame = this.frame(record, startedAt)
    if (frame.attachments.length === 0) return NO_STEPS
    const steps = bridgeSteps(frame)
    if (!this.servesNames(record)) return steps
    return { ...steps, guest: [...steps.guest, ...nameServerSteps('guest', record.id)] }
  }

  /** Removes interfaces and published ports that belong to no running container. */
  async settle(running: readonly ContainerRecord[]): Promise<string[]> {
    return reconcileNetwork(this.#core, {
      networks: this.known.list().filter((network) => network.driver === 'bridge'),
      veths: new Set(
        running.flatMap(({ id, network }) =>
          network.attachments.map(({ slot }, n) => vethName(this.#vethPrefix, id, slot ?? n)),
        ),
      ),
      published: running.flatMap((record) => record.network.published),
      vethPrefix: this.#vethPrefix,
      table: this.known.table,
      ipv6: this.known.ipv6,
      guarded:
        this.known.guardProblem === undefined
          ? running.flatMap((record) => guardedPorts(this.frame(record, 0)))
          : undefined,
    })
  }
}
