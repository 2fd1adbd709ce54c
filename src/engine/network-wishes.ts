/** Which networks a container wants to be on, and how that is shown while it does not run. Pure. */
import { hasPlaces, type Network } from '../network/network.ts'
import { checkNotConfig } from './config-networks.ts'
import { endpointState } from './endpoint-state.ts'
import type { ContainerRecord } from './record.ts'
import type { EndpointConfig, EndpointState } from './types.ts'

/** `networks`: how it was shown before. */
export type Wishes = Pick<ContainerRecord, 'hostConfig' | 'endpoints' | 'config' | 'leftFirst'> &
  Partial<Pick<ContainerRecord, 'networks'>>

export interface Wanted {
  readonly network: Network
  readonly endpoint: EndpointConfig
}

/**
 * The default route's first. Empty for who is on none, and for host and container modes. `find` throws for a network that
 * is not there.
 */
export function wantedNetworks(record: Wishes, find: (ref: string) => Network): Wanted[] {
  const mode = record.hostConfig.networkMode
  const leftFirst = record.leftFirst === true
  const isAlone = mode.startsWith('container:') || mode === 'host' || (mode === 'none' && !leftFirst)
  if (isAlone || record.config.networkDisabled === true) return []
  const found = new Map<string, Wanted>()
  if (!leftFirst) {
    const first = find(mode)
    checkNotConfig(first)
    found.set(first.id, { network: first, endpoint: {} })
  }
  for (const [ref, endpoint] of Object.entries(record.endpoints)) {
    const network = find(ref)
    checkNotConfig(network)
    if (hasPlaces(network)) found.set(network.id, { network, endpoint })
  }
  return [...found.values()].filter(({ network }) => hasPlaces(network))
}

/** A network may be gone, or not be there yet: only a start needs it. */
export function idleStates(
  record: Wishes,
  lookup: (ref: string) => Network | undefined,
): Record<string, EndpointState> {
  const mode = record.hostConfig.networkMode
  if (mode.startsWith('container:')) return {}
  if (record.config.networkDisabled === true && mode !== 'host' && mode !== 'none') return {}
  const places = new Map<string, EndpointState>()
  const leftFirst = record.leftFirst === true
  const first = leftFirst ? [] : [[mode, {}] as const]
  for (const [ref, endpoint] of [...first, ...Object.entries(record.endpoints)]) {
    const network = lookup(ref)
    const isExtra = !leftFirst && ref !== mode && network !== undefined && !hasPlaces(network)
    if (isExtra) continue
    const [name, networkID] = network === undefined ? lastKnown(record, ref) : [network.name, network.id]
    places.set(name, { ...endpointState(network, endpoint, undefined), networkID })
  }
  if (!leftFirst && (mode === 'host' || mode === 'none')) return Object.fromEntries([...places].slice(0, 1))
  return Object.fromEntries(places)
}

/** The name and id of a network that is gone: by that name the container can be taken off it. */
function lastKnown({ networks = {} }: Wishes, ref: string): [name: string, id: string] {
  const found = Object.entries(networks).find(([name, { networkID }]) => name === ref || networkID === ref)
  return found === undefined ? [ref, ''] : [found[0], found[1].networkID]
}
