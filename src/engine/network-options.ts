/** What is asked of a new network, checked, with dockerd's words for what cannot be. Pure. */
import { DewarError } from '../base/errors.ts'
import { contains, formatSubnet, parseAddress, parseSubnet, type Subnet } from '../network/address.ts'
import type { Network } from '../network/network.ts'
import type { EndpointConfig, NetworkView } from './types.ts'

export const BRIDGE_NAME = 'com.docker.network.bridge.name'
export const MTU = 'com.docker.network.driver.mtu'
/** Of a network or of one endpoint: `false` lets containers send under any address. */
export const SOURCE_GUARD = 'dewar.source-guard'

/** What is said for the endpoint goes before what is said for its network. */
export function isUnguarded(network: Pick<Network, 'unguarded'>, endpoint: EndpointConfig): boolean {
  return !flagOf(endpoint.driverOpts ?? {}, SOURCE_GUARD, network.unguarded !== true)
}

export function checkDriver(driver: string): void {
  if (driver === 'bridge' || driver === 'macvlan') return
  if (driver === 'host' || driver === 'null')
    throw new DewarError('forbidden', `only one instance of "${driver}" network is allowed`)
  if (driver === 'ipvlan') {
    throw new DewarError(
      'not-implemented',
      `making a network of the driver ${driver} failed: this engine has none`,
      { remedy: 'use macvlan, or a bridge and publish ports' },
    )
  }
  if (driver === 'overlay') {
    throw new DewarError(
      'forbidden',
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    )
  }
  throw new DewarError('not-found', `plugin "${driver}" not found`)
}

export function checkRequest(request: Partial<NetworkView>): void {
  if (request.ingress === true)
    throw new DewarError('forbidden', 'Ingress network can only be global scope network')
  const driver = request.ipam?.driver ?? ''
  if (driver !== '' && driver !== 'default') {
    throw new DewarError('not-found', `plugin "${driver}" not found`, {
      remedy: 'addresses are given by the IPAM driver default alone',
    })
  }
  const problems = (request.ipam?.config ?? []).flatMap(poolProblems)
  if (problems.length > 0)
    throw new DewarError('invalid-argument', `invalid network config:\n${problems.join('\n')}`)
}

type AskedPool = NetworkView['ipam']['config'][number]

/** In dockerd's words, which its client prints as a list. */
function poolProblems({
  subnet = '',
  gateway = '',
  ipRange = '',
  auxiliaryAddresses = {},
}: AskedPool): string[] {
  if (subnet === '') return []
  let parsed: Subnet
  try {
    parsed = parseSubnet(subnet)
  } catch {
    return [`invalid subnet ${subnet}: invalid CIDR block notation`]
  }
  const problems: string[] = []
  if (formatSubnet(parsed) !== subnet && parsed.base.length === 4)
    problems.push(`invalid subnet ${subnet}: it should be ${formatSubnet(parsed)}`)
  const isInside = (text: string): boolean => {
    const address = parseAddress(text)
    return address !== undefined && contains(parsed, address)
  }
  if (gateway !== '' && !isInside(gateway)) {
    problems.push(
      parseAddress(gateway) === undefined
        ? `invalid gateway ${gateway}: invalid address`
        : `invalid gateway ${gateway}: parent subnet ${subnet} doesn't contain this address`,
    )
  }
  if (ipRange !== '' && !isPart(parsed, ipRange))
    problems.push(`invalid ip-range ${ipRange}: parent subnet ${subnet} doesn't contain ip-range`)
  for (const [name, address] of Object.entries(auxiliaryAddresses)) {
    if (!isInside(address))
      problems.push(`invalid auxiliary address ${name}: parent subnet ${subnet} doesn't contain this address`)
  }
  return problems
}

function isPart(subnet: Subnet, text: string): boolean {
  try {
    const part = parseSubnet(text)
    return part.prefix >= subnet.prefix && contains(subnet, part.base)
  } catch {
    return false
  }
}

/** Options of dockerd's bridge driver that would change what a network does, and are not built. */
const NOT_BUILT: readonly (readonly [option: string, harmless: readonly string[]])[] = [
  ['com.docker.network.bridge.gateway_mode_ipv4', ['', 'nat']],
  ['com.docker.network.bridge.gateway_mode_ipv6', ['', 'nat']],
  ['com.docker.network.bridge.inhibit_ipv4', ['', 'false', '0']],
  ['com.docker.network.bridge.trusted_host_interfaces', ['']],
  ['com.docker.network.container_iface_prefix', ['', 'eth']],
]

/** Taken silently they would leave more open, or less reachable, than was asked for. */
export function checkBridgeOptions(options: Readonly<Record<string, string>>): void {
  for (const [option, harmless] of NOT_BUILT) {
    const value = options[option]
    if (value === undefined || harmless.includes(value)) continue
    throw new DewarError(
      'not-implemented',
      `making a network with ${option}=${value} failed: this engine has no such bridges`,
      {
        remedy:
          'leave the option out; for bridges that are not masqueraded there is com.docker.network.bridge.enable_ip_masquerade=false',
      },
    )
  }
}

export function hostBindingOf(options: Readonly<Record<string, string>>): string {
  const key = 'com.docker.network.bridge.host_binding_ipv4'
  const value = options[key] ?? ''
  if (value === '' || parseAddress(value) !== undefined) return value
  throw new DewarError('invalid-argument', `failed to parse ${key} value: ${value} (nil ip)`)
}

/** As Go's strconv.ParseBool. */
export function flagOf(options: Readonly<Record<string, string>>, key: string, otherwise: boolean): boolean {
  const value = options[key]
  if (value === undefined) return otherwise
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true
  if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false
  throw new DewarError(
    'invalid-argument',
    `failed to parse ${key} value: ${value} (strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax)`,
  )
}

export function mtuOf(text: string | undefined): number {
  if (text === undefined) return 1500
  if (!/^[+-]?\d+$/.test(text)) {
    throw new DewarError(
      'invalid-argument',
      `failed to parse ${MTU} value: ${text} (strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax)`,
    )
  }
  const mtu = Number(text)
  if (mtu === 0) return 1500
  if (mtu >= 68 && mtu <= 65_535) return mtu
  throw new DewarError('invalid-argument', `invalid MTU number: ${text}`, {
    remedy: 'use 68 to 65535',
  })
}
