/** What `network connect` and `disconnect` change in a container's record, and what they refuse in dockerd's words. Pure. */
import { DewarError } from '../base/errors.ts'
import type { Network } from '../network/network.ts'
import { checkNotConfig } from './config-networks.ts'
import { checkEndpoint } from './endpoint-check.ts'
import type { ContainerRecord } from './record.ts'
import type { EndpointConfig } from './types.ts'

type Lookup = (ref: string) => Network | undefined
/** For the record. */
export type EndpointChange = Pick<ContainerRecord, 'endpoints'> & Partial<Pick<ContainerRecord, 'leftFirst'>>

export function connected(
  record: ContainerRecord,
  network: Network,
  endpoint: EndpointConfig,
): EndpointChange {
  checkNotConfig(network)
  checkAlone(record, network)
  checkEndpoint(network, endpoint)
  const mode = record.hostConfig.networkMode
  const isFirst = [network.name, network.id].includes(mode === 'default' ? 'bridge' : mode)
  return {
    // The network's name as the key, and no longer as one that was left.
    endpoints: { ...record.endpoints, [network.name]: endpoint },
    ...(isFirst ? { leftFirst: false } : {}),
  }
}

/** It is on it under this name; the network itself may be gone. */
export function disconnected(record: ContainerRecord, name: string, lookup: Lookup): EndpointChange {
  const { networkMode } = record.hostConfig
  if (networkMode === 'host' && name === 'host') refuseHost()
  const id = record.networks[name]?.networkID
  const isIt = (ref: string): boolean => ref === name || ref === id || lookup(ref)?.name === name
  const rest = Object.entries(record.endpoints).filter(([ref]) => !isIt(ref))
  return { endpoints: Object.fromEntries(rest), ...(isIt(networkMode) ? { leftFirst: true } : {}) }
}

function checkAlone(record: ContainerRecord, network: Network): void {
  const mode = record.hostConfig.networkMode
  // What it is on, not what its next start wants: who was taken off its only network would be on it again.
  const names = Object.keys(record.networks)
  if (Object.values(record.networks).some((one) => one.networkID === network.id))
    refuse(`endpoint with name ${record.name} already exists in network ${network.name}`)
  if (mode === 'host' || mode.startsWith('container:'))
    refuse(
      'container sharing network namespace with another container or host cannot be connected to any other network',
    )
  if (network.driver === 'host') refuseHost()
  if (names.includes('none') || (network.driver === 'null' && names.length > 0))
    refuse(
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    )
}

function refuseHost(): never {
  refuse('container cannot be disconnected from host network or connected to host network')
}

function refuse(message: string): never {
  throw new DewarError('forbidden', message)
}
