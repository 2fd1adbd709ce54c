/** Contents of a container's /etc/hosts, /etc/hostname and /etc/resolv.conf, as dockerd 28 writes them. Pure. */
import { isIPv6 } from 'node:net'
import { DewarError } from '../base/errors.ts'
import { isLoopback, parseAddress } from './address.ts'

export interface HostsRequest {
  readonly hostname: string
  readonly domainname: string
  /** The container's own addresses; none for `--network none`. */
  readonly addresses: readonly string[]
  /** `--add-host`, "name:address" or "name=address"; the address may be host-gateway. */
  readonly extraHosts: readonly string[]
  /** Lines for `--link` on the default bridge. */
  readonly links?: readonly string[]
  /** What host-gateway stands for: addresses of the bridge. */
  readonly hostGateway: readonly string[]
}

const LOCAL_HOSTS = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::\tip6-localnet',
  'ff00::\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
]

/** Throws invalid-argument for an `--add-host` that is none. */
export function hostsFile(request: HostsRequest): string {
  const extra = request.extraHosts.flatMap((text) => parseExtraHost(text, request.hostGateway))
  const names = hostNames(request.hostname, request.domainname)
  const own = request.addresses.map((address) => `${address}\t${names}`)
  return [...LOCAL_HOSTS, ...extra, ...(request.links ?? []), ...own].map((line) => `${line}\n`).join('')
}

/** `--network host`: the host's own file, unless hosts are added. */
export function hostNetworkHostsFile(
  hostFile: string,
  extraHosts: readonly string[],
  hostGateway: readonly string[],
): string {
  if (extraHosts.length === 0) return hostFile
  return hostsFile({ hostname: '', domainname: '', addresses: [], extraHosts, hostGateway })
}

/** The full name first, then the first label; a hostname may itself be a full one. */
export function hostNames(hostname: string, domainname: string): string {
  const full = domainname === '' ? hostname : `${hostname}.${domainname}`
  const dot = full.indexOf('.')
  return dot < 0 ? full : `${full} ${full.slice(0, dot)}`
}

function parseExtraHost(text: string, hostGateway: readonly string[]): string[] {
  const at = text.search(/[=:]/)
  const name = text.slice(0, Math.max(at, 0))
  const value = text.slice(at + 1).replace(/^\[(.*)\]$/, '$1')
  if (at <= 0 || /\s/.test(name)) {
    throw new DewarError('invalid-argument', `bad format for add-host: ${JSON.stringify(text)}`, {
      remedy: 'write it as name:address',
    })
  }
  if (value === 'host-gateway') {
    if (hostGateway.length > 0) return hostGateway.map((address) => `${address}\t${name}`)
    throw new DewarError('invalid-argument', 'unable to derive the IP value for host-gateway', {
      remedy: 'the container has no bridge; give an address',
    })
  }
  if (parseAddress(value) === undefined) {
    throw new DewarError('invalid-argument', `invalid IP address in add-host: ${JSON.stringify(value)}`)
  }
  return [`${value}\t${name}`]
}

export const hostnameFile = (hostname: string): string => `${hostname}\n`

export interface ResolvConfRequest {
  /** The host's file, '' when it has none. */
  readonly host: string
  /** Where it came from, for the comment; see `resolvConfPath`. */
  readonly hostPath: string
  readonly dns: readonly string[]
  readonly search: readonly string[]
  readonly options: readonly string[]
  /** The container has an IPv6 address. */
  readonly ipv6: boolean
  /** `--network host`: loopback servers of the host are reachable and stay. */
  readonly hostNetwork: boolean
  /** The engine's own name server is asked, and asks the others. */
  readonly internal?: boolean
}

interface ResolvConf {
  readonly nameservers: readonly string[]
  readonly search: readonly string[]
  readonly options: readonly string[]
  readonly other: readonly string[]
}

const STUB = '/run/systemd/resolve/resolv.conf'

/**
 * Which file of the host counts: systemd-resolved's own list of servers when /etc/resolv.conf only names its stub
 * listener, which no container can reach.
 */
export function resolvConfPath(etcResolvConf: string): string {
  const { nameservers } = parseResolvConf(etcResolvConf)
  return nameservers.length === 1 && nameservers[0] === '127.0.0.53' ? STUB : '/etc/resolv.conf'
}

export function resolvConfFile(request: ResolvConfRequest): string {
  const host = parseResolvConf(request.host)
  const overrides = [
    ...(request.dns.length > 0 ? ['nameservers'] : []),
    ...(request.search.length > 0 ? ['search'] : []),
    ...(request.options.length > 0 ? ['options'] : []),
  ]
  // dockerd copies the file as it is for the host's own network.
  if (request.hostNetwork && overrides.length === 0) return request.host
  if (request.internal === true) return internalResolvConf(request, host, overrides)
  const servers = nameservers(request, host)
  // A single dot means: no search list at all.
  const search = request.search.length > 0 ? request.search.filter((domain) => domain !== '.') : host.search
  const options = request.options.length > 0 ? request.options : host.options
  const ndots = options.some((option) => option.startsWith('ndots'))
  const origin = request.options.length > 0 ? 'override' : 'host'
  return [
    '# Generated by Dewar.',
    '# This file can be edited; Dewar will not make further changes once it',
    '# has been modified.',
    '',
    ...servers.list.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
    ...host.other,
    '',
    `# Based on host file: '${request.hostPath}'${request.hostNetwork ? '' : ' (legacy)'}`,
    ...(servers.defaults ? ['# Used default nameservers.'] : []),
    `# Overrides: [${overrides.join(' ')}]`,
    ...(ndots ? [`# Option ndots from: ${origin}`] : []),
    '',
  ].join('\n')
}

/**
 * On networks with names. Its search list and options are the host's or what was asked for; without an `ndots` there
 * is 0, so that a neighbour's plain name is asked for as it is before the search list is tried (as dockerd has it).
 */
function internalResolvConf(
  request: ResolvConfRequest,
  host: ResolvConf,
  overrides: readonly string[],
): string {
  const asked = request.search.length > 0 ? request.search.filter((domain) => domain !== '.') : host.search
  const given = request.options.length > 0 ? request.options : host.options
  const hasNdots = given.some((option) => option.startsWith('ndots:'))
  const origin = !hasNdots ? 'internal' : request.options.length > 0 ? 'override' : 'host'
  const servers =
    request.dns.length > 0
      ? request.dns.map(checkServer)
      : host.nameservers.map((server) => `host(${server})`)
  return [
    '# Generated by Dewar.',
    '# This file can be edited; Dewar will not make further changes once it',
    '# has been modified.',
    '',
    `nameserver ${NAME_SERVER}`,
    ...(asked.length > 0 ? [`search ${asked.join(' ')}`] : []),
    `options ${[...given, ...(hasNdots ? [] : ['ndots:0'])].join(' ')}`,
    ...host.other,
    '',
    `# Based on host file: '${request.hostPath}' (internal resolver)`,
    ...(servers.length > 0
      ? [`# ExtServers: [${servers.join(' ')}]`]
      : ['# NO EXTERNAL NAMESERVERS DEFINED']),
    `# Overrides: [${overrides.join(' ')}]`,
    `# Option ndots from: ${origin}`,
    '',
  ].join('\n')
}
const NAME_SERVER = '127.0.0.11'

/** Public resolvers dockerd falls back to when the host names none that a container could reach. */
const DEFAULT_SERVERS = ['8.8.8.8', '8.8.4.4']
const DEFAULT_SERVERS_6 = ['2001:4860:4860::8888', '2001:4860:4860::8844']

function nameservers(
  request: ResolvConfRequest,
  host: ResolvConf,
): { list: readonly string[]; defaults: boolean } {
  if (request.dns.length > 0) return { list: request.dns.map(checkServer), defaults: false }
  if (request.hostNetwork) return { list: host.nameservers, defaults: false }
  const reachable = host.nameservers.filter((server) => isReachable(server, request.ipv6))
  if (reachable.length > 0) return { list: reachable, defaults: false }
  return { list: [...DEFAULT_SERVERS, ...(request.ipv6 ? DEFAULT_SERVERS_6 : [])], defaults: true }
}

function checkServer(server: string): string {
  if (parseAddress(server) !== undefined) return server
  throw new DewarError('invalid-argument', `invalid DNS server address ${JSON.stringify(server)}`)
}

/** A zone (fe80::1%eth0) names an interface of the host. */
function isReachable(server: string, ipv6: boolean): boolean {
  const address = parseAddress(server)
  return address !== undefined && !isLoopback(address) && (address.length === 4 || ipv6)
}

function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = []
  const options: string[] = []
  const other: string[] = []
  let search: string[] = []
  for (const line of text.split('\n')) {
    const [keyword = '', ...values] = line.trim().split(/\s+/)
    if (keyword === '' || keyword.startsWith('#') || keyword.startsWith(';')) continue
    const [first] = values
    if (keyword === 'nameserver') {
      if (first !== undefined && (parseAddress(first) !== undefined || isIPv6(first))) nameservers.push(first)
    } else if (keyword === 'search' || keyword === 'domain') {
      if (first !== undefined) search = values
    } else if (keyword === 'options') options.push(...values)
    else other.push(line)
  }
  return { nameservers, search, options, other }
}
