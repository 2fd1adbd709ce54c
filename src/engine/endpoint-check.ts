/** Refusals of what is asked for one endpoint, in dockerd's words. Pure. */
import { DewarError } from '../base/errors.ts'
import { contains, parseAddress } from '../network/address.ts'
import { hasNames, poolOf, type IpPool, type Network } from '../network/network.ts'
import { interfaceSettings } from './endpoint-sysctls.ts'
import { isUnguarded } from './network-options.ts'
import type { EndpointConfig } from './types.ts'

/** Throws invalid-argument with all that is wrong. */
export function checkEndpoint(network: Network, endpoint: EndpointConfig): void {
  const { ipamConfig, aliases } = endpoint
  const { ipv4Address = '', ipv6Address = '' } = ipamConfig ?? {}
  isUnguarded(network, endpoint)
  interfaceSettings(endpoint)
  const linkLocal = ipamConfig?.linkLocalIps ?? []
  const asked = `${ipv4Address}${ipv6Address}` !== ''
  const problems = hasNames(network)
    ? [
        ...problemOf('IPv4', ipv4Address, 4, network.ipv4),
        ...problemOf('IPv6', ipv6Address, 16, network.ipv6),
        ...linkLocal.flatMap(linkLocalProblem),
      ]
    : [
        ...(asked ? ['user specified IP address is supported on user defined networks only'] : []),
        ...((aliases?.length ?? 0) > 0
          ? ['network-scoped alias is supported only for containers in user defined networks']
          : []),
      ]
  if (problems.length > 0) refuse(`invalid endpoint settings:\n${problems.join('\n')}`)
}

function problemOf(family: string, text: string, length: number, pool: IpPool | undefined): string[] {
  if (text === '') return []
  const address = parseAddress(text)
  if (address === undefined || address.length !== length) return [`invalid ${family} address: ${text}`]
  if (pool?.chosen === true)
    return [
      'user specified IP address is supported only when connecting to networks with user configured subnets',
    ]
  if (pool === undefined || !contains(poolOf(pool).subnet, address))
    return [`no configured subnet or ip-range contain the IP address ${text}`]
  return []
}

function linkLocalProblem(text: string): string[] {
  const address = parseAddress(text)
  if (address === undefined) return [`invalid link-local IP address: ${text}`]
  const [first = 0, second = 0] = address
  const isLinkLocal =
    address.length === 4 ? first === 169 && second === 254 : first === 0xfe && (second & 0xc0) === 0x80
  return isLinkLocal ? [] : [`invalid link local IP address: ${text}`]
}

function refuse(message: string): never {
  throw new DewarError('invalid-argument', message)
}
