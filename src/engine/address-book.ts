/** Which addresses and host ports running containers hold. Memory only: the containers' records are what is kept. */
import type { Published } from '../network/firewall.ts'
import { allocateAddress, claimAddress } from '../network/ipam.ts'
import { poolOf, type IpPool } from '../network/network.ts'
import type { RecordedNetwork } from './record.ts'

type Place = RecordedNetwork['attachments'][number]

export class AddressBook {
  readonly #used = new Map<string, Set<string>>()
  readonly #held = new Map<string, RecordedNetwork>()
  readonly #published = new Map<string, readonly Published[]>()
  /** Given, and in no container's record yet. */
  #coming: readonly Place[] = []

  /** A free address, or the wanted one; taken from now on. undefined when the network has no such family. */
  give(networkId: string, pool: IpPool | undefined, wanted: string | undefined): string | undefined {
    if (pool === undefined) return undefined
    const used = this.#usedOf(networkId)
    for (const other of Object.values(pool.auxiliary ?? {})) used.add(other)
    const address = wanted ? claimAddress(poolOf(pool), wanted, used) : allocateAddress(poolOf(pool), used)
    used.add(address)
    return address
  }

  expect(place: Place): void {
    this.#coming = [...this.#coming, place]
  }

  /** Whether a container is on the network or about to be. */
  isPlaced(networkId: string): boolean {
    const places = [...this.#held.values()].flatMap(({ attachments }) => attachments)
    return [...places, ...this.#coming].some((place) => place.networkId === networkId)
  }

  hold(containerId: string, network: RecordedNetwork): void {
    this.#held.set(containerId, network)
    this.#arrived(network.attachments)
    for (const place of network.attachments) {
      for (const address of addressesOf(place)) this.#usedOf(place.networkId).add(address)
    }
    if (network.published.length > 0) this.#published.set(containerId, network.published)
  }

  free(containerId: string): void {
    this.release(this.#held.get(containerId)?.attachments ?? [])
    this.#held.delete(containerId)
    this.#published.delete(containerId)
  }

  #arrived(places: readonly Place[]): void {
    this.#coming = this.#coming.filter(
      (one) => !places.some(({ networkId, mac }) => one.networkId === networkId && one.mac === mac),
    )
  }

  release(places: readonly Place[]): void {
    this.#arrived(places)
    for (const place of places) {
      for (const address of addressesOf(place)) this.#usedOf(place.networkId).delete(address)
    }
  }

  published(): Published[] {
    return [...this.#published.values()].flat()
  }

  #usedOf(networkId: string): Set<string> {
    const used = this.#used.get(networkId) ?? new Set<string>()
    this.#used.set(networkId, used)
    return used
  }
}

function addressesOf(place: Place): string[] {
  return [place.address, place.address6].filter((address) => address !== undefined)
}
