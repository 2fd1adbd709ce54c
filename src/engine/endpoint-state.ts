/** A container's place on a network as inspect shows it. Pure but for the endpoint's random id. */
import { randomBytes } from 'node:crypto'
import { parseAddress } from '../network/address.ts'
import { formatMac, macOf } from '../network/ipam.ts'
import { hasNames, type IpPool, type Network } from '../network/network.ts'
import { dnsNames } from './name-service.ts'
import type { ContainerRecord, RecordedNetwork } from './record.ts'
import type { EndpointConfig, EndpointState } from './types.ts'

/** Addresses on one network. */
export type Place = RecordedNetwork['attachments'][number]

/** `place` undefined: the container does not run; `network` undefined: there is no such network (any more). */
export function endpointState(
  network: Network | undefined,
  endpoint: EndpointConfig,
  place: Place | undefined,
  container?: Pick<ContainerRecord, 'id' | 'name' | 'config'>,
): EndpointState {
  const size = (pool: IpPool | undefined): number => Number(pool?.subnet.split('/')[1] ?? 0)
  return {
    ...endpoint,
    networkID: network?.id ?? '',
    endpointID: place === undefined ? '' : randomBytes(32).toString('hex'),
    gateway: place?.address === undefined ? '' : (network?.ipv4?.gateway ?? ''),
    ipAddress: place?.address ?? '',
    ipPrefixLen: place?.address === undefined ? 0 : size(network?.ipv4),
    ipv6Gateway: place?.address6 === undefined ? '' : (network?.ipv6?.gateway ?? ''),
    globalIPv6Address: place?.address6 ?? '',
    globalIPv6PrefixLen: place?.address6 === undefined ? 0 : size(network?.ipv6),
    macAddress: place?.mac ?? endpoint.macAddress ?? '',
    dnsNames:
      container === undefined || network === undefined || !hasNames(network)
        ? null
        : dnsNames(container, endpoint),
  }
}

/** Made from the address, so that neighbours' tables stay right when the address is given anew. */
export function macFor(address: string | undefined): string {
  const bytes = address === undefined ? undefined : parseAddress(address)
  return formatMac(macOf(bytes ?? randomBytes(4)))
}
