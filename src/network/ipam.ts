/**
 * Which addresses are given to whom. There is no allocation file: what is used is what the container records say,
 * so nothing can disagree with them after a crash. All functions are pure.
 */
import { createHash } from 'node:crypto'
import { DewarError } from '../base/errors.ts'
import {
  contains,
  formatAddress,
  formatSubnet,
  nth,
  overlaps,
  parseAddress,
  parseSubnet,
  sizeOf,
  toNumber,
} from './address.ts'
import type { Subnet } from './address.ts'

export interface Pool {
  readonly subnet: Subnet
  /** Only addresses of this part are given out (`--ip-range`). */
  readonly range?: Subnet
  readonly gateway: Uint8Array
}

/** Addresses looked at before giving up: all of an IPv4 /16, and more than a host can run containers. */
const SEARCH_LIMIT = 1n << 17n

/**
 * The lowest free address of the pool. Network, broadcast (IPv4) and gateway addresses are never given.
 * `used`: texts of the addresses in use. Throws `system` when none is left.
 */
export function allocateAddress(pool: Pool, used: ReadonlySet<string>): string {
  const range = pool.range ?? pool.subnet
  const gateway = formatAddress(pool.gateway)
  const last = sizeOf(range) < SEARCH_LIMIT ? sizeOf(range) : SEARCH_LIMIT
  for (let n = 0n; n < last; n += 1n) {
    const address = nth(range, n)
    const text = formatAddress(address)
    if (text !== gateway && !used.has(text) && isHostAddress(pool.subnet, address)) return text
  }
  throw new DewarError(
    'system',
    `no available ${gateway.includes(':') ? 'IPv6' : 'IPv4'} addresses on this network's address pools: ${formatSubnet(range)}`,
    {
      remedy: 'remove containers or create a network with a larger subnet',
    },
  )
}

/** Checks an address that was asked for (`--ip`) and gives its canonical text. */
export function claimAddress(pool: Pool, wanted: string, used: ReadonlySet<string>): string {
  const address = parseAddress(wanted)
  if (address === undefined) throw new DewarError('invalid-argument', `invalid IP address: ${wanted}`)
  const text = formatAddress(address)
  if (!contains(pool.subnet, address) || !isHostAddress(pool.subnet, address)) {
    throw new DewarError(
      'invalid-argument',
      `invalid config for network: user specified IP address ${text} is not a host address of ${formatSubnet(pool.subnet)}`,
    )
  }
  if (used.has(text) || text === formatAddress(pool.gateway)) {
    throw new DewarError('forbidden', 'Address already in use', { remedy: `choose another than ${text}` })
  }
  return text
}

function isHostAddress(subnet: Subnet, address: Uint8Array): boolean {
  const n = toNumber(address) - toNumber(subnet.base)
  if (n === 0n) return false
  return address.length === 16 || n < sizeOf(subnet) - 1n
}

/** Docker's own default pools, in its order: 172.17–31.0.0/16, then 192.168.0.0/16 in pieces of /20. */
export const DEFAULT_POOLS: readonly string[] = [
  ...Array.from({ length: 15 }, (_, i) => `172.${17 + i}.0.0/16`),
  ...Array.from({ length: 16 }, (_, i) => `192.168.${i * 16}.0/20`),
]

/**
 * The first default subnet that overlaps nothing in `taken` (the host's routes and our other networks).
 * A default route overlaps everything and must not be in the list.
 */
export function chooseSubnet(taken: readonly Subnet[], pools: readonly string[] = DEFAULT_POOLS): Subnet {
  const free = pools.map(parseSubnet).find((pool) => !taken.some((other) => overlaps(pool, other)))
  if (free !== undefined) return free
  throw new DewarError('system', 'all predefined address pools have been fully subnetted', {
    remedy: 'give a subnet (--subnet CIDR) that no route of this host uses',
  })
}

/** A private IPv6 /64 that is always the same for the same seed (RFC 4193: fd, 40 random bits, subnet number). */
export function privateSubnet6(seed: string): Subnet {
  const hash = createHash('sha256').update(seed).digest()
  const base = Buffer.alloc(16)
  base[0] = 0xfd
  hash.copy(base, 1, 0, 7)
  return { base: Uint8Array.from(base), prefix: 64 }
}

/**
 * A MAC address made from the IPv4 address, so that a neighbour's ARP cache stays right when an address is given to a
 * new container. Locally administered, unicast.
 */
export function macOf(address: Uint8Array): Uint8Array {
  return Uint8Array.from([0x02, 0x42, ...address.slice(-4)])
}

export function formatMac(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':')
}

/** As Docker takes them (Go's net.ParseMAC, of 48 bits): xx:xx:xx:xx:xx:xx, xx-xx-xx-xx-xx-xx, xxxx.xxxx.xxxx. */
const MAC = /^([0-9a-f]{2}([:-])[0-9a-f]{2}(\2[0-9a-f]{2}){4}|[0-9a-f]{4}(\.[0-9a-f]{4}){2})$/i

/** Throws invalid-argument for anything but a unicast address. */
export function parseMac(text: string): Uint8Array {
  const digits = MAC.test(text) ? text.replaceAll(/[:.-]/g, '') : undefined
  const mac = digits === undefined ? undefined : Uint8Array.from(Buffer.from(digits, 'hex'))
  if (mac === undefined || ((mac[0] ?? 1) & 1) === 1) {
    throw new DewarError('invalid-argument', `invalid MAC address: ${text}`, {
      remedy: 'write it as 02:42:ac:11:00:02',
    })
  }
  return mac
}
