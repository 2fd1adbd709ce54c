/** Refusals of what is asked for one endpoint, in dockerd's words. Pure. */
import { DewarError } from '../base/errors.ts'
import { parseAddress } from '../network/address.ts'
import { hasNames, type IpPool, type Network } from '../network/network.ts'
import type { EndpointConfig } from './types.ts'

export function checkEndpoint(network: Network, endpoint: EndpointConfig): void {
  const { ipamConfig, aliases } = endpoint
  const { ipv4Address = '', ipv6Address = '' } = ipamConfig ?? {}
  if (!hasNames(network)) {
    if ((aliases?.length ?? 0) > 0)
      refuse('network-scoped aliases are only supported for user-defined networks')
    if (ipv4Address !== '' || ipv6Address !== '')
      refuse('user specified IP address is supported on user defined networks only')
    return
  }
  const problems = [
    ...problemOf('IPv4', ipv4Address, 4, network.ipv4),
    ...problemOf('IPv6', ipv6Address, 16, network.ipv6),
  ]
  if (problems.length === 0) return
  refuse(`invalid config for network ${network.name}: invalid endpoint settings:\n${problems.join('\n')}`)
}

function problemOf(family: string, text: string, length: number, pool: IpPool | undefined): string[] {
  if (text === '') return []
  const address = parseAddress(text)
  if (address === undefined || address.length !== length) return [`invalid ${family} address: ${text}`]
  if (pool?.chosen !== true) return []
  return [
    'user specified IP address is supported only when connecting to networks with user configured subnets',
  ]
}

function refuse(message: string): never {
  throw new DewarError('invalid-argument', message)
}
