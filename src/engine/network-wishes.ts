/** Which networks a container wants to be on, and how that is shown while it does not run. Pure. */
import { hasPlaces, type Network } from '../network/network.ts'
import { checkNotConfig } from './config-networks.ts'
import { endpointState } from './endpoint-state.ts'
import type { ContainerRecord } from './record.ts'
import type { EndpointConfig, EndpointState } from './types.ts'

export type Wishes = Pick<ContainerRecord, 'hostConfig' | 'endpoints' | 'config' | 'leftFirst'>

export interface Wanted {
  readonly network: Network
  readonly endpoint: EndpointConfig
}

/** The default route's first. Empty for none, host and container modes. `find` throws for a network that is not there. */
export function wantedNetworks(record: Wishes, find: (ref: string) => Network): Wanted[] {
  const mode = record.hostConfig.networkMode
  const isShared = mode.startsWith('container:') || mode === 'host' || mode === 'none'
  if (isShared || record.config.networkDisabled === true) return []
  const found = new Map<string, Wanted>()
  // Who has been taken off all networks is on its first again at the next start, as with dockerd.
  if (record.leftFirst !== true || Object.keys(record.endpoints).length === 0) {
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
  const first = record.leftFirst === true ? [] : [[mode, {}] as const]
  for (const [ref, endpoint] of [...first, ...Object.entries(record.endpoints)]) {
    const network = lookup(ref)
    const isExtra = ref !== mode && network !== undefined && !hasPlaces(network)
    if (!isExtra) places.set(network?.name ?? ref, endpointState(network, endpoint, undefined))
  }
  if (mode === 'host' || mode === 'none') return Object.fromEntries([...places].slice(0, 1))
  return Object.fromEntries(places)
}
