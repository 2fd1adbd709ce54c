/** Names of containers on networks of their own: kept in step with the records, served by the name server. */
import type { Core, Shim } from '../kernel/core-api.ts'
import { PlanFailed } from '../kernel/plan-failed.ts'
import type { ContainerNames } from '../network/name-answer.ts'
import { NameServer } from '../network/name-server.ts'
import { containerOf, enterSteps, nameServerSteps } from '../network/name-steps.ts'
import { Zone } from '../network/name-table.ts'
import { hasNames, type Network } from '../network/network.ts'
import { parseAddress, isLoopback } from '../network/address.ts'
import type { ContainerRecord } from './record.ts'
import type { EndpointConfig } from './types.ts'

/** A container's place on one network, and what was asked for it. */
export interface Member {
  readonly network: Network
  readonly endpoint: EndpointConfig
  readonly address?: string
  readonly address6?: string
}

/** Other ports are tried when somebody in the container has taken the one chosen. */
const PORT_ATTEMPTS = 5

/** All that a container answers to on a network of its own, in dockerd's order. */
export function dnsNames(
  record: Pick<ContainerRecord, 'id' | 'name' | 'config'>,
  endpoint: EndpointConfig,
): string[] {
  const { id, name, config } = record
  return [...new Set([name, ...(endpoint.aliases ?? []), id.slice(0, 12), config.hostname])].filter(
    (one) => one !== '',
  )
}

export class NameService {
  readonly #core: Core
  readonly #zones = new Map<string, Zone>()
  readonly #known = new Map<string, ContainerNames>()
  readonly #server = new NameServer({ names: (id) => this.#known.get(id) })

  constructor(core: Core) {
    this.#core = core
    core.onLent((name, socket) => {
      const id = containerOf(name)
      if (id === undefined) socket.close()
      else this.#server.listen(id, socket)
    })
  }

  /**
   * The container is (or will be in a moment) on these networks and no others. `serves`: its resolv.conf says that it
   * asks us, which it goes on to do when it has left its last network with names.
   */
  set(record: ContainerRecord, members: readonly Member[], serves: boolean): void {
    this.#withdraw(record.id)
    if (!serves) return
    const named = members.filter(({ network }) => hasNames(network))
    const zones = named.map(({ network, endpoint, address, address6 }) => {
      const zone = this.#zones.get(network.id) ?? new Zone(network.name)
      this.#zones.set(network.id, zone)
      zone.set({
        containerId: record.id,
        name: record.name,
        names: dnsNames(record, endpoint),
        ...(address === undefined ? {} : { address }),
        ...(address6 === undefined ? {} : { address6 }),
      })
      return { zone, links: linksOf(endpoint) }
    })
    const { dns, dnsOptions } = record.hostConfig
    this.#known.set(record.id, {
      zones,
      forwards: members.some(({ network }) => !network.internal),
      completesNames: dnsOptions.some((option) => /^ndots:0*[1-9]/.test(option)),
      // Meant for the container's own loopback; on the host's another server would answer.
      servers: dns.length === 0 ? undefined : dns.filter((server) => !isOwnLoopback(server)),
    })
  }

  /** The container has ended: its names and sockets go. */
  delete(containerId: string): void {
    this.#withdraw(containerId)
    this.#server.forget(containerId)
  }

  /** A network was removed: nobody is on it. */
  forgetNetwork(networkId: string): void {
    this.#zones.delete(networkId)
  }

  /**
   * Listens for a container that runs: one that an earlier engine started, or that has just been plugged into its
   * first network of this kind. `shim`: of its first process.
   */
  async open(containerId: string, shim: Shim): Promise<void> {
    if (!this.#known.has(containerId)) return
    this.#server.forget(containerId)
    await shim.whilePid((pid) => this.#listen(containerId, pid))
  }

  async #listen(containerId: string, pid: number): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.#core.run({
          steps: [...enterSteps(pid), ...nameServerSteps('host', containerId, attempt)],
        })
        return
      } catch (error) {
        const isTaken = error instanceof PlanFailed && error.errno === 'EADDRINUSE'
        if (!isTaken || attempt === PORT_ATTEMPTS) throw error
      }
    }
  }

  close(): void {
    this.#server.close()
  }

  #withdraw(containerId: string): void {
    for (const { zone } of this.#known.get(containerId)?.zones ?? []) zone.delete(containerId)
    this.#known.delete(containerId)
  }
}

function isOwnLoopback(server: string): boolean {
  const address = parseAddress(server)
  return address !== undefined && isLoopback(address)
}

/** `--link NEIGHBOUR:ALIAS` on a network of one's own: an alias that only this container knows. */
function linksOf({ links }: EndpointConfig): ReadonlyMap<string, string> {
  return new Map(
    (links ?? []).map((link) => {
      const [target = '', alias = target] = link.split(':')
      return [alias.toLowerCase(), target.toLowerCase()]
    }),
  )
}
