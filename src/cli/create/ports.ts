/** What -p and --expose mean, in the words of Docker's API. */
import { isIP } from 'node:net'

export interface PortBinding {
  readonly HostIp: string
  readonly HostPort: string
}

export interface Ports {
  readonly exposed: Record<string, object>
  readonly bindings: Record<string, PortBinding[]>
}

interface Range {
  readonly first: number
  readonly last: number
}

/**
 * Reads -p and --expose: 80, 8080:80, 127.0.0.1:8080:80/udp, [::1]:80:80, 8000-8010:80-90, 8000-8010:80 (one of them),
 * published=8080,target=80,protocol=tcp.
 *
 * @example
 * parsePorts(['127.0.0.1:8080:80'], []).bindings // { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '8080' }] }
 */
export function parsePorts(publish: readonly string[], expose: readonly string[]): Ports {
  const ports: Ports = { exposed: {}, bindings: {} }
  for (const spec of publish) {
    for (const [port, binding] of parsePublish(longForm(spec))) {
      ports.exposed[port] = {}
      ;(ports.bindings[port] ??= []).push(binding)
    }
  }
  for (const spec of expose) {
    if (spec.includes(':')) throw new Error(`invalid port format for --expose: ${spec}`)
    const { port, protocol } = splitProtocol(spec)
    const range = parseRange(port)
    if (range === undefined)
      throw new Error(`invalid range format for --expose: ${spec}, error: ${rangeProblem(port)}`)
    for (let at = range.first; at <= range.last; at += 1) ports.exposed[`${at}/${protocol}`] ??= {}
  }
  return ports
}

function longForm(spec: string): string {
  if (!spec.includes('=')) return spec
  const fields = new Map([['protocol', 'tcp']])
  for (const part of spec.split(',')) {
    const [key, value] = cut(part, '=')
    if (value === undefined || key === '')
      throw new Error(`invalid publish opts format (should be name=value but got '${part}')`)
    fields.set(key, value)
  }
  return `${fields.get('published') ?? ''}:${fields.get('target') ?? ''}/${fields.get('protocol') ?? ''}`
}

function parsePublish(spec: string): [string, PortBinding][] {
  const parts = spec.split(':')
  const { port: inner, protocol } = splitProtocol(parts.at(-1) ?? '')
  const hostPort = parts.length > 1 ? (parts.at(-2) ?? '') : ''
  const ip = hostIp(parts.slice(0, -2).join(':'))
  if (inner === '') throw new Error(`no port specified: ${spec}<empty>`)
  const container = parseRange(inner)
  if (container === undefined) throw new Error(`invalid containerPort: ${inner}`)
  const host = hostPort === '' ? undefined : parseRange(hostPort)
  if (hostPort !== '' && host === undefined) throw new Error(`invalid hostPort: ${hostPort}`)
  const single = container.first === container.last
  if (host !== undefined && !single && host.last - host.first !== container.last - container.first) {
    throw new Error(`invalid ranges specified for container and host Ports: ${inner} and ${hostPort}`)
  }
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) throw new Error(`invalid proto: ${protocol}`)
  return Array.from({ length: container.last - container.first + 1 }, (_, offset) => [
    `${container.first + offset}/${protocol.toLowerCase()}`,
    { HostIp: ip, HostPort: hostPortAt(host, offset, single) },
  ])
}

function hostPortAt(host: Range | undefined, offset: number, single: boolean): string {
  if (host === undefined) return ''
  // One container port and a range on the host: the engine takes a free one of the range.
  if (single && host.first !== host.last) return `${host.first}-${host.last}`
  return String(host.first + offset)
}

function hostIp(text: string): string {
  const ip = /^\[(.*)\]$/.exec(text)?.[1] ?? text
  if (ip === '') return ''
  // Node takes zones (fe80::1%eth0), Go's net.ParseIP does not.
  if (isIP(ip) === 0 || ip.includes('%')) throw new Error(`invalid IP address: ${ip}`)
  return ip
}

function splitProtocol(text: string): { port: string; protocol: string } {
  const [port = '', protocol] = text.split('/')
  return { port, protocol: protocol === undefined || protocol === '' ? 'tcp' : protocol }
}

function parseRange(text: string): Range | undefined {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text)
  if (match?.[1] === undefined) return undefined
  const first = Number(match[1])
  const last = Number(match[2] ?? match[1])
  return first > 65_535 || last > 65_535 || last < first ? undefined : { first, last }
}

function rangeProblem(text: string): string {
  if (text === '') return 'empty string specified for ports'
  const match = /^(\d+)-(\d+)$/.exec(text)
  if (match !== null && Number(match[2]) < Number(match[1]))
    return `invalid range specified for port: ${text}`
  return `strconv.ParseUint: parsing "${text}": ${/^\d+$/.test(text) ? 'value out of range' : 'invalid syntax'}`
}

export function cut(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)]
}
