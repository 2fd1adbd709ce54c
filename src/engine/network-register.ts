/** The networks there are: recorded, with their bridges and parents ready on the host. */
import { existsSync } from 'node:fs'
import { DewarError } from '../base/errors.ts'
import type { Core } from '../kernel/core-api.ts'
import type { Step } from '../kernel/plan.ts'
import type { Subnet } from '../network/address.ts'
import { advertisedInterfaces, ensureBridge, readHostNetwork, subnetsInUse } from '../network/bridge.ts'
import { networkStep, removeFirewallSteps, removeNetworkStep, tableName } from '../network/firewall.ts'
import { ensureParent } from '../network/macvlan.ts'
import { hasPlaces, type Network } from '../network/network.ts'
import { guardProblem, removeGuardStep } from '../network/source-guard.ts'
import { Records } from '../store/records.ts'
import { hasIpv6, removeHostSteps } from './network-plan.ts'
import { privatePool6 } from './network-pools.ts'
import { isPredefined, parseNetwork, predefinedNetworks, requestedNetwork } from './network-records.ts'
import type { Settings } from './options.ts'
import type { NetworkRequest } from './types.ts'

export class NetworkRegister {
  readonly table: string
  readonly ipv6: boolean
  /** Why this kernel lets containers send under the addresses of others; undefined: it does not. */
  guardProblem: string | undefined
  readonly #core: Core
  readonly #settings: Settings
  readonly #records: Records<Network>
  readonly #networks = new Map<string, Network>()
  readonly #bridgeIndex = new Map<string, number>()
  /** Being removed: nobody finds them, and their names and addresses are still taken. */
  readonly #going = new Set<string>()
  #advertised: readonly string[] = []

  private constructor(core: Core, settings: Settings) {
    this.#core = core
    this.#settings = settings
    this.#records = new Records(settings.folders.networks, { parse: parseNetwork, kind: 'network' })
    this.table = tableName(settings.bridge)
    this.ipv6 = existsSync('/proc/sys/net/ipv6')
  }

  /** Bridges are ready when this resolves. */
  static async open(core: Core, settings: Settings): Promise<NetworkRegister> {
    const register = new NetworkRegister(core, settings)
    const host = await readHostNetwork(core)
    register.#advertised = advertisedInterfaces(host)
    register.guardProblem = await guardProblem(core, register.table)
    const { records } = await register.#records.load()
    for (const network of records.values()) register.#networks.set(network.id, network)
    await register.#rememberPredefined(subnetsInUse(host, settings.bridge))
    for (const network of register.list().filter(hasPlaces)) {
      if (isPredefined(network)) await register.#raise(network)
      // Its parent may come later (a card, a VLAN), or another interface has its name now; who starts on it is told.
      else await register.#raise(network).catch(() => undefined)
    }
    return register
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
    return [...this.#networks.values()].filter(({ id }) => !this.#going.has(id))
  }

  /** By id, name, or unique id prefix. `default` is the bridge. */
  lookup(ref: string): Network | undefined {
    const name = ref === 'default' ? 'bridge' : ref
    const exact = this.byId(ref) ?? this.list().find((network) => network.name === name)
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
      others: [...this.#networks.values()],
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
    // First, so that no container is placed on it while it goes.
    this.#going.add(network.id)
    try {
      if (steps.length > 0) await this.#core.run({ steps })
      await this.#forget(network)
    } finally {
      this.#going.delete(network.id)
    }
  }

  /** Nothing for one that was not there to be used: what has its name is somebody else's. */
  #removeHostSteps(network: Network): Step[] {
    return this.#bridgeIndex.has(network.id) ? removeHostSteps(network) : []
  }

  async #forget(network: Network): Promise<void> {
    await this.#records.remove(network.id)
    this.#networks.delete(network.id)
    this.#bridgeIndex.delete(network.id)
  }

  /** Known at once, so that no other gets its name while it is written; what cannot be written is as it was. */
  async #remember(network: Network): Promise<void> {
    const before = this.#networks.get(network.id)
    this.#networks.set(network.id, network)
    try {
      await this.#records.write(network.id, network)
    } catch (error) {
      if (before === undefined) this.#networks.delete(network.id)
      else this.#networks.set(network.id, before)
      throw error
    }
  }

  async #raise(network: Network): Promise<void> {
    const index =
      network.macvlan !== undefined
        ? await ensureParent(this.#core, network)
        : await ensureBridge(this.#core, network, { ipv6: this.ipv6, advertised: this.#advertised })
    this.#bridgeIndex.set(network.id, index)
  }

  /** Looks for its parent again, and for what was not there when the engine opened. */
  async readyFor(network: Network): Promise<void> {
    const isMissing = hasPlaces(network) && !this.#bridgeIndex.has(network.id)
    if (network.macvlan !== undefined || isMissing) await this.#raise(network)
  }

  /** Of the interface that its containers' are plugged into; 0 while there is none. */
  interfaceOf(network: Network): number {
    return this.#bridgeIndex.get(network.id) ?? 0
  }

  byId(id: string): Network | undefined {
    return this.#going.has(id) ? undefined : this.#networks.get(id)
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
}
