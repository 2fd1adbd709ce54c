/** Who answers to which name on which network. Memory only: it is made of the records of running containers. */
import { formatAddress, parseAddress } from './address.ts'

/** One container on one network. */
export interface Holder {
  readonly containerId: string
  /** Its own name: what an address is called. */
  readonly name: string
  /** All it answers to there: name, aliases, short id, hostname. */
  readonly names: readonly string[]
  readonly address?: string
  readonly address6?: string
}

export interface Addresses {
  readonly v4: readonly Uint8Array[]
  readonly v6: readonly Uint8Array[]
}

/** The names of one network. */
export class Zone {
  readonly networkName: string
  readonly #holders = new Map<string, Holder>()
  readonly #byName = new Map<string, Set<Holder>>()
  readonly #byAddress = new Map<string, Holder>()

  constructor(networkName: string) {
    this.networkName = networkName
  }

  get isEmpty(): boolean {
    return this.#holders.size === 0
  }

  set(holder: Holder): void {
    this.delete(holder.containerId)
    this.#holders.set(holder.containerId, holder)
    for (const name of new Set(holder.names.map((one) => one.toLowerCase()))) {
      const known = this.#byName.get(name) ?? new Set()
      this.#byName.set(name, known.add(holder))
    }
    for (const address of [holder.address, holder.address6]) {
      if (address !== undefined) this.#byAddress.set(canonical(address), holder)
    }
  }

  delete(containerId: string): void {
    const holder = this.#holders.get(containerId)
    if (holder === undefined) return
    this.#holders.delete(containerId)
    for (const name of new Set(holder.names.map((one) => one.toLowerCase()))) {
      const known = this.#byName.get(name)
      known?.delete(holder)
      if (known?.size === 0) this.#byName.delete(name)
    }
    for (const address of [holder.address, holder.address6]) {
      if (address !== undefined && this.#byAddress.get(canonical(address)) === holder)
        this.#byAddress.delete(canonical(address))
    }
  }

  get(containerId: string): Holder | undefined {
    return this.#holders.get(containerId)
  }

  /** undefined: nobody has the name. */
  find(name: string): Addresses | undefined {
    const holders = this.#byName.get(name.toLowerCase())
    if (holders === undefined) return undefined
    const bytes = (texts: (string | undefined)[]): Uint8Array[] =>
      texts.flatMap((text) => (text === undefined ? [] : (parseAddress(text) ?? [])))
    const all = [...holders]
    return { v4: bytes(all.map((one) => one.address)), v6: bytes(all.map((one) => one.address6)) }
  }

  /** The full name of who has the address. */
  nameOf(address: Uint8Array): string | undefined {
    const holder = this.#byAddress.get(formatAddress(address))
    return holder === undefined ? undefined : `${holder.name}.${this.networkName}`
  }
}

const canonical = (text: string): string => formatAddress(parseAddress(text) ?? new Uint8Array(4))
