import { splitCsv } from './mounts.ts'
import { cut } from './ports.ts'

/** One --network: a name, or name=x,alias=y,ip=… */
export interface NetworkAttachment {
  readonly target: string
  readonly aliases: readonly string[]
  readonly links: readonly string[]
  readonly ip: string
  readonly ip6: string
  readonly mac: string
  readonly linkLocal: readonly string[]
  readonly driverOptions: Readonly<Record<string, string>>
  readonly gatewayPriority: number
  readonly long: boolean
}

const EMPTY: NetworkAttachment = {
  target: '',
  aliases: [],
  links: [],
  ip: '',
  ip6: '',
  mac: '',
  linkLocal: [],
  driverOptions: {},
  gatewayPriority: 0,
  long: false,
}

export function parseNetwork(word: string): NetworkAttachment {
  if (!/\w+=\w+/.test(word)) return { ...EMPTY, target: word }
  const network = splitCsv(word).reduce(addField, { ...EMPTY, long: true })
  if (network.target === '') throw new Error('network name/id is not specified')
  return network
}

function addField(network: NetworkAttachment, field: string): NetworkAttachment {
  const [rawKey, rawValue] = cut(field.toLowerCase(), '=')
  if (rawValue === undefined || rawKey === '') throw new Error(`invalid field ${field}`)
  const [key, value] = [rawKey.trim(), rawValue.trim()]
  switch (key) {
    case 'name':
      return { ...network, target: value }
    case 'alias':
      return { ...network, aliases: [...network.aliases, value] }
    case 'ip':
      return { ...network, ip: value }
    case 'ip6':
      return { ...network, ip6: value }
    case 'mac-address':
      return { ...network, mac: value }
    case 'link-local-ip':
      return { ...network, linkLocal: [...network.linkLocal, value] }
    case 'driver-opt':
      return { ...network, driverOptions: { ...network.driverOptions, ...driverOption(value) } }
    case 'gw-priority':
      if (!/^[+-]?\d+$/.test(value)) throw new Error(`invalid gw-priority (${value}): invalid syntax`)
      return { ...network, gatewayPriority: Number(value) }
    default:
      throw new Error(`invalid field key ${key}`)
  }
}

function driverOption(value: string): Record<string, string> {
  const [key, rest] = cut(value, '=')
  if (rest === undefined || key === '') throw new Error('invalid key value pair format in driver options')
  return { [key.trim()]: rest.trim() }
}

/** The flags that belong to the first network. */
export interface FirstNetworkFlags {
  readonly aliases: readonly string[]
  readonly links: readonly string[]
  readonly ip: string
  readonly ip6: string
  readonly mac: string
  readonly linkLocal: readonly string[]
}

/** NetworkingConfig.EndpointsConfig. Docker leaves a single network without options out of it. */
export function endpointsOf(
  networks: readonly NetworkAttachment[],
  flags: FirstNetworkFlags,
): Record<string, object> {
  const endpoints: Record<string, object> = {}
  const first = networks[0] ?? { ...EMPTY, target: 'default' }
  const all = [withFlags(first, flags), ...networks.slice(1)]
  for (const network of all) {
    if (endpoints[network.target] !== undefined)
      throw new Error(`network ${JSON.stringify(network.target)} is specified multiple times`)
    checkAttachment(network)
    const given = networks.length
    if (given === 1 && isPlain(network)) continue
    endpoints[network.target] = endpointJson(network)
  }
  const own = networks.map(({ target }) => isUserDefined(target))
  if (own.includes(true) && own.includes(false)) {
    throw new Error('conflicting options: cannot attach both user-defined and non-user-defined network-modes')
  }
  return endpoints
}

function withFlags(network: NetworkAttachment, flags: FirstNetworkFlags): NetworkAttachment {
  const both = (mine: string | readonly string[], other: string | readonly string[], what: string): void => {
    if (mine.length > 0 && other.length > 0)
      throw new Error(`conflicting options: cannot specify both ${what}`)
  }
  both(network.aliases, flags.aliases, '--network-alias and per-network alias')
  both(network.ip, flags.ip, '--ip and per-network IPv4 address')
  both(network.ip6, flags.ip6, '--ip6 and per-network IPv6 address')
  both(network.mac, flags.mac, '--mac-address and per-network MAC address')
  both(network.linkLocal, flags.linkLocal, '--link-local-ip and per-network link-local IP addresses')
  return {
    ...network,
    aliases: flags.aliases.length > 0 ? flags.aliases : network.aliases,
    // On the default bridge --link is the old kind of link and stays in HostConfig.
    links: isUserDefined(network.target) && flags.links.length > 0 ? flags.links : network.links,
    ip: flags.ip === '' ? network.ip : flags.ip,
    ip6: flags.ip6 === '' ? network.ip6 : flags.ip6,
    mac: flags.mac === '' ? network.mac : flags.mac,
    linkLocal: flags.linkLocal.length > 0 ? flags.linkLocal : network.linkLocal,
  }
}

function checkAttachment(network: NetworkAttachment): void {
  if (network.target.trim() === '') throw new Error('no name set for network')
  if (network.mac !== '' && !/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(network.mac))
    throw new Error(`${network.mac} is not a valid mac address`)
  if (isUserDefined(network.target)) return
  if (network.aliases.length > 0)
    throw new Error('network-scoped aliases are only supported for user-defined networks')
  if (network.links.length > 0) throw new Error('links are only supported for user-defined networks')
}

function isPlain(network: NetworkAttachment): boolean {
  const { aliases, links, ip, ip6, mac, linkLocal, driverOptions, gatewayPriority } = network
  return (
    aliases.length + links.length + linkLocal.length + Object.keys(driverOptions).length === 0 &&
    `${ip}${ip6}${mac}` === '' &&
    gatewayPriority === 0
  )
}

export function isUserDefined(target: string): boolean {
  return !['default', 'bridge', 'host', 'none'].includes(target) && !target.startsWith('container:')
}

function endpointJson(network: NetworkAttachment): object {
  const { ip, ip6, linkLocal } = network
  const ipam =
    ip === '' && ip6 === '' && linkLocal.length === 0
      ? null
      : {
          ...(ip === '' ? {} : { IPv4Address: ip }),
          ...(ip6 === '' ? {} : { IPv6Address: ip6 }),
          ...(linkLocal.length === 0 ? {} : { LinkLocalIPs: linkLocal }),
        }
  return {
    IPAMConfig: ipam,
    Links: network.links.length > 0 ? network.links : null,
    Aliases: network.aliases.length > 0 ? network.aliases : null,
    MacAddress: network.mac,
    DriverOpts: Object.keys(network.driverOptions).length > 0 ? network.driverOptions : null,
    GwPriority: network.gatewayPriority,
    NetworkID: '',
    EndpointID: '',
    Gateway: '',
    IPAddress: '',
    IPPrefixLen: 0,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    DNSNames: null,
  }
}
