/** Which ports of the host lead to a container: from what was asked to what is decided. Pure. */
import { DewarError } from '../base/errors.ts'
import { formatAddress, isLoopback, isUnspecified, parseAddress } from './address.ts'
import type { Published } from './firewall.ts'

export interface PortBinding {
  readonly hostIp: string
  /** '' or '0' for any free port, 'N', or 'N-M' for the first free one of a range. */
  readonly hostPort: string
}

export interface PortRequest {
  /** "80/tcp" → where it is to be published. */
  readonly bindings: Readonly<Record<string, readonly PortBinding[] | null>>
  /** "80/tcp" of the image and of `--expose`. */
  readonly exposed: Readonly<Record<string, object>>
  /** `-P`: publish all exposed ports on free ports of the host. */
  readonly publishAll: boolean
  /** The container's addresses, as far as its network has the family. */
  readonly address?: string
  readonly address6?: string
  /** Host address for bindings without one; '' for all. */
  readonly hostBinding: string
  /** What all other running containers publish. */
  readonly taken: readonly Published[]
  /** Host ports found taken by someone else while trying ("tcp/32768"); they are not chosen again. */
  readonly busy: ReadonlySet<string>
  /** First and last port to choose from: net.ipv4.ip_local_port_range. */
  readonly ephemeral: readonly [first: number, last: number]
  /** For messages: the container's name and the endpoint's id. */
  readonly endpoint: Endpoint
}

export interface Endpoint {
  readonly name: string
  readonly id: string
}

export interface DecidedPorts {
  readonly published: readonly Published[]
  /** As inspect shows it; null for exposed and not published. */
  readonly ports: Readonly<Record<string, readonly PortBinding[] | null>>
  /** "tcp/32768": chosen freely, so when it proves busy the decision may be made again without it. */
  readonly chosen: ReadonlySet<string>
}

export const portKey = (published: Pick<Published, 'protocol' | 'hostPort'>): string =>
  `${published.protocol}/${published.hostPort}`

interface ContainerPort {
  readonly text: string
  readonly protocol: Published['protocol']
  readonly port: number
}

/** Throws invalid-argument for bad numbers and addresses, `system` with Docker's words for a port that is taken. */
export function decidePorts(request: PortRequest): DecidedPorts {
  const published: Published[] = []
  const ports: Record<string, readonly PortBinding[] | null> = {}
  const chosen = new Set<string>()
  for (const [text, bindings] of Object.entries(wantedBindings(request))) {
    const port = parseContainerPort(text)
    const decided = (bindings ?? []).flatMap((binding) => {
      const some = decideBinding(request, port, binding, published)
      if (candidates(request, binding.hostPort).length !== 1) for (const one of some) chosen.add(portKey(one))
      published.push(...some)
      return some
    })
    const view = decided.map((one) => ({ hostIp: one.hostAddress, hostPort: String(one.hostPort) }))
    ports[port.text] = bindings === null ? null : view
  }
  return { published, ports, chosen }
}

function wantedBindings(request: PortRequest): Record<string, readonly PortBinding[] | null> {
  const anyPort = [{ hostIp: '', hostPort: '' }]
  const exposed = Object.keys(request.exposed).map(
    (text) => [text, request.publishAll ? anyPort : null] as const,
  )
  // `-p 80` arrives as an empty list or as one binding without a port; both mean any free port.
  const bound = Object.entries(request.bindings).map(
    ([text, bindings]) => [text, bindings === null || bindings.length === 0 ? anyPort : bindings] as const,
  )
  return { ...Object.fromEntries(exposed), ...Object.fromEntries(bound) }
}

function parseContainerPort(text: string): ContainerPort {
  const [number = '', protocol = 'tcp'] = text.toLowerCase().split('/')
  const port = parsePort(number)
  if (port === undefined || port === 0 || (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')) {
    throw new DewarError('invalid-argument', `invalid port specification: ${JSON.stringify(text)}`, {
      remedy: 'write it as 80/tcp, 53/udp or 9899/sctp',
    })
  }
  return { text: `${port}/${protocol}`, protocol, port }
}

function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined
  const port = Number(text)
  return port <= 65535 ? port : undefined
}

/** The first candidate that is free in every family it is published in, so that IPv4 and IPv6 agree. */
function decideBinding(
  request: PortRequest,
  port: ContainerPort,
  binding: PortBinding,
  already: readonly Published[],
): Published[] {
  const hosts = hostAddresses(request, binding)
  const taken = [...request.taken, ...already]
  const list = candidates(request, binding.hostPort)
  const dynamic = list.length !== 1
  for (const hostPort of list) {
    if (dynamic && request.busy.has(`${port.protocol}/${hostPort}`)) continue
    const wanted = hosts.map(({ hostAddress, address }) => ({
      protocol: port.protocol,
      hostAddress,
      hostPort,
      address,
      port: port.port,
    }))
    if (!wanted.some((one) => taken.some((other) => collide(one, other)))) return wanted
  }
  if (dynamic) throw externalConnectivity(request.endpoint, 'all ports are allocated')
  throw portAllocated(request.endpoint, hosts[0]?.hostAddress ?? '0.0.0.0', list[0] ?? 0)
}

function candidates(request: PortRequest, text: string): number[] {
  const [firstText = '', lastText, ...rest] = text.split('-')
  const first = text === '' ? 0 : parsePort(firstText)
  const last = lastText === undefined ? first : rest.length === 0 ? parsePort(lastText) : undefined
  if (first === undefined || last === undefined || last < first || (first === 0 && last > 0)) {
    throw new DewarError('invalid-argument', `invalid host port ${JSON.stringify(text)}`, {
      remedy: 'give a number up to 65535, or a range such as 8000-8010',
    })
  }
  const [low, high] = first === 0 ? request.ephemeral : [first, last]
  return Array.from({ length: high - low + 1 }, (_, i) => low + i)
}

function hostAddresses(
  request: PortRequest,
  binding: PortBinding,
): { readonly hostAddress: string; readonly address: string }[] {
  const hostIp = binding.hostIp === '' ? request.hostBinding : binding.hostIp
  const { address: v4, address6: v6 } = request
  if (hostIp === '') {
    const both = [
      ...(v4 === undefined ? [] : [{ hostAddress: '0.0.0.0', address: v4 }]),
      ...(v6 === undefined ? [] : [{ hostAddress: '::', address: v6 }]),
    ]
    return both
  }
  const host = withoutMapping(parseAddress(hostIp))
  if (host === undefined)
    throw new DewarError('invalid-argument', `invalid host address ${JSON.stringify(hostIp)}`)
  if (host.length === 16 && isLoopback(host)) {
    throw new DewarError('invalid-argument', 'cannot publish on [::1]: the kernel cannot redirect it', {
      remedy: 'publish on 127.0.0.1; clients that ask for localhost get there',
    })
  }
  const address = host.length === 4 ? v4 : v6
  if (address !== undefined) return [{ hostAddress: formatAddress(host), address }]
  const family = host.length === 4 ? 'IPv4' : 'IPv6'
  throw new DewarError(
    'invalid-argument',
    `cannot publish on ${hostIp}: the container's network has no ${family}`,
    {
      remedy: `use a network with an ${family} subnet`,
    },
  )
}

/** ::ffff:192.0.2.1 is 192.0.2.1, as in Go: the kernel binds no address of the host's by the longer name. */
function withoutMapping(address: Uint8Array | undefined): Uint8Array | undefined {
  if (address?.length !== 16 || address[10] !== 0xff || address[11] !== 0xff) return address
  return address.subarray(0, 10).every((byte) => byte === 0) ? address.subarray(12) : address
}

function collide(a: Published, b: Published): boolean {
  if (a.protocol !== b.protocol || a.hostPort !== b.hostPort) return false
  const [one, other] = [parseAddress(a.hostAddress), parseAddress(b.hostAddress)]
  if (one === undefined || other === undefined || one.length !== other.length) return false
  return a.hostAddress === b.hostAddress || isUnspecified(one) || isUnspecified(other)
}

function externalConnectivity(endpoint: Endpoint, why: string): DewarError {
  return new DewarError(
    'system',
    `driver failed programming external connectivity on endpoint ${endpoint.name} (${endpoint.id}): ${why}`,
  )
}

/** dockerd's words, which people search for and tools match. */
export function portAllocated(endpoint: Endpoint, hostAddress: string, hostPort: number): DewarError {
  const host = hostAddress.includes(':') ? `[${hostAddress}]` : hostAddress
  return externalConnectivity(endpoint, `Bind for ${host}:${hostPort} failed: port is already allocated`)
}

/** The C library's words, which people search for and tools match. */
const BIND_WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EADDRNOTAVAIL: 'cannot assign requested address',
  EACCES: 'permission denied',
  EINVAL: 'invalid argument',
  EAFNOSUPPORT: 'address family not supported by protocol',
  EPROTONOSUPPORT: 'protocol not supported',
  // ESOCKTNOSUPPORT, for which Node has no name.
  'errno 94': 'socket type not supported',
}

/**
 * What a failed `reserve-port` step means. `errno` is the name the core gave. EEXIST and EBUSY come from the map of
 * published ports.
 */
export function reserveFailed(
  endpoint: Endpoint,
  published: Pick<Published, 'protocol' | 'hostAddress' | 'hostPort'>,
  errno: string,
): DewarError {
  const { hostAddress, hostPort, protocol } = published
  if (errno === 'EEXIST' || errno === 'EBUSY') return portAllocated(endpoint, hostAddress, hostPort)
  const v6 = hostAddress.includes(':')
  const listen = `listen ${protocol}${v6 ? 6 : 4} ${v6 ? `[${hostAddress}]` : hostAddress}:${hostPort}: bind: `
  const why = BIND_WORDS[errno] ?? errno
  return externalConnectivity(endpoint, `${listen}${why}${bindRemedy(errno, published)}`)
}

function bindRemedy(
  errno: string,
  { protocol, hostAddress }: Pick<Published, 'protocol' | 'hostAddress'>,
): string {
  if (errno === 'EADDRNOTAVAIL') return ` (no interface of this host has ${hostAddress})`
  const lacks = errno === 'EPROTONOSUPPORT' || errno === 'errno 94'
  return lacks ? ` (the kernel has no ${protocol}: try modprobe ${protocol})` : ''
}

/** First and last port the kernel itself gives out: the content of /proc/sys/net/ipv4/ip_local_port_range. */
export function parsePortRange(text: string): readonly [number, number] {
  const [first, last] = text.trim().split(/\s+/).map(Number)
  const valid = first !== undefined && last !== undefined && first > 0 && last >= first && last <= 65535
  // Docker's own default when the file is not there or says nothing of use.
  return valid ? [first, last] : [49153, 65535]
}
