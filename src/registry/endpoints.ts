/** Where a registry is spoken to, and how. */
import { isIPv4, isIPv6 } from 'node:net'
import { DewarError } from '../base/errors.ts'

export interface RegistryOptions {
  /** Tried before Docker Hub, in this order; URLs such as "https://mirror.example". */
  readonly mirrors: readonly string[]
  /** "host", "host:port" or "10.0.0.0/8": plain HTTP and unverified certificates are accepted. */
  readonly insecure: readonly string[]
  /** Milliseconds of silence after which an exchange counts as stalled. */
  readonly stallMs: number
  /** Downloads at the same time, for the whole engine. */
  readonly downloads: number
  /** How often a download that broke is taken up again without progress in between. */
  readonly attempts: number
  /** First pause between attempts in ms; doubles. */
  readonly pauseMs: number
}

export const DEFAULT_REGISTRY_OPTIONS: RegistryOptions = {
  mirrors: [],
  insecure: [],
  stallMs: 30_000,
  downloads: 3,
  attempts: 5,
  pauseMs: 1000,
}

export interface Endpoint {
  readonly base: URL
  /** Certificates are not verified. */
  readonly insecure: boolean
  readonly mirror: boolean
}

const HUB = 'docker.io'
const HUB_HOST = 'registry-1.docker.io'

/** In the order to be tried. Pushes never go to a mirror. */
export function endpointsOf(domain: string, options: RegistryOptions, forPush = false): Endpoint[] {
  if (domain === HUB) {
    const mirrors = forPush ? [] : options.mirrors.map(mirrorOf)
    return [...mirrors, endpoint(`https://${HUB_HOST}`)]
  }
  const { hostname } = urlOf(`http://${domain}`)
  const secure = endpoint(`https://${domain}`)
  const plain = endpoint(`http://${domain}`, true)
  const unverified = endpoint(`https://${domain}`, true)
  // A registry on loopback is nearly always plain, and asking in plain gives nothing away.
  if (isLoopback(hostname)) return [plain, unverified]
  return options.insecure.some((rule) => matches(rule, domain, hostname)) ? [unverified, plain] : [secure]
}

function endpoint(url: string, insecure = false): Endpoint {
  return { base: urlOf(url), insecure, mirror: false }
}

function mirrorOf(text: string): Endpoint {
  const base = urlOf(text)
  if (base.protocol !== 'http:' && base.protocol !== 'https:') {
    throw new DewarError(
      'invalid-argument',
      `Using registry mirror ${text} failed: it is not an http or https URL`,
    )
  }
  return { base, insecure: isLoopback(base.hostname), mirror: true }
}

function urlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.username !== '' || url.hostname === '') {
    throw new DewarError('invalid-argument', `Using registry ${text} failed: it is not a host name`)
  }
  return url
}

export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))
}

function matches(rule: string, domain: string, hostname: string): boolean {
  if (rule === domain || rule === hostname) return true
  const [network, bits] = rule.split('/')
  if (network === undefined || bits === undefined || !/^\d+$/.test(bits)) return false
  const host = hostname.replace(/^\[|\]$/g, '')
  const same = (isIPv4(network) && isIPv4(host)) || (isIPv6(network) && isIPv6(host))
  return same && prefixOf(host, Number(bits)) === prefixOf(network, Number(bits))
}

function prefixOf(address: string, bits: number): string {
  const binary = isIPv4(address)
    ? address.split('.').map((part) => Number(part).toString(2).padStart(8, '0'))
    : expandIPv6(address).map((part) => Number.parseInt(part, 16).toString(2).padStart(16, '0'))
  return binary.join('').slice(0, bits)
}

function expandIPv6(address: string): string[] {
  const [head = '', tail] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = tail === undefined ? 0 : 8 - left.length - right.length
  return [...left, ...Array.from({ length: Math.max(0, gap) }, () => '0'), ...right]
}
