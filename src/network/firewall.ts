/**
 * One nf_tables table per engine and address family, named after the engine's default bridge. The rules (firewall-rules.ts)
 * never change; what changes are the elements of its sets and maps:
 *
 *   published        protocol . host address . host port → container address . port
 *   published_any    protocol . host port                → container address . port    (any address of the host)
 *   bridges          our bridges
 *   outbound         bridges whose containers may reach beyond the host, masqueraded
 *   routed           bridges whose containers may reach beyond the host under their own addresses
 *   internal         bridges that nothing is forwarded from or to
 *   open             bridge . bridge, for networks whose containers may talk to each other
 *   local            bridge . its subnet, to recognise traffic that goes back to where it came from
 *   gateways         addresses of our bridges, to recognise the host that speaks by one of them
 */
import type { Actor, Step } from '../kernel/plan.ts'
import { forgetFlowsTo, forgetPortFlows } from '../kernel/netlink-conntrack.ts'
import { ERRNO } from '../kernel/netlink.ts'
import { NftBatch } from '../kernel/nftables.ts'
import { dumpElements, parseElements } from '../kernel/nftables-dump.ts'
import type { Element, IpFamily } from '../kernel/nftables.ts'
import { interfaceKey } from '../kernel/nftables-expression.ts'
import { bytesOf, formatAddress, isUnspecified, parseSubnet, rangeOf } from './address.ts'
import { LENGTH, addRules } from './firewall-rules.ts'
import type { Network } from './network.ts'

/** One published port in one address family, all decided. */
export interface Published {
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  /** 0.0.0.0 or :: for all addresses of the host. */
  readonly hostAddress: string
  readonly hostPort: number
  readonly address: string
  readonly port: number
}

const PROTOCOL = { tcp: 6, udp: 17, sctp: 132 } as const
const FAMILIES: readonly IpFamily[] = ['ip', 'ip6']

export const tableName = (bridge: string): string => `dewar_${bridge}`

export interface FirewallState {
  readonly table: string
  readonly networks: readonly Network[]
  readonly published: readonly Published[]
  /** The host has IPv6. */
  readonly ipv6: boolean
}

const familiesOf = (ipv6: boolean): readonly IpFamily[] => (ipv6 ? FAMILIES : ['ip'])

/**
 * Replaces the whole table by what is true, in one transaction: nothing a killed engine left survives, and at no
 * moment a published port is missing. Established connections go on.
 */
export function firewallStep(actor: Actor, state: FirewallState): Step {
  const batch = new NftBatch()
  for (const family of familiesOf(state.ipv6)) {
    // Added before it is deleted, so that deleting cannot fail for want of it.
    batch.table(family, state.table).deleteTable(family, state.table).table(family, state.table)
    addRules(batch, family, state.table)
    for (const network of state.networks) addNetwork(batch, family, state.table, network)
    addPublished(batch, family, state.table, state.published)
  }
  return batch.step(actor, `set up the table ${state.table}: masquerade, published ports, isolation`)
}

export function removeFirewallSteps(actor: Actor, table: string): Step[] {
  return FAMILIES.map((family) =>
    new NftBatch()
      .deleteTable(family, table)
      .step(actor, `delete the ${family} table ${table}`, { ignore: [ERRNO.ENOENT] }),
  )
}

/** Adds or removes one more bridge (a network created or removed while the engine runs). */
export function networkStep(actor: Actor, table: string, network: Network, ipv6: boolean): Step {
  const batch = new NftBatch()
  for (const family of familiesOf(ipv6)) addNetwork(batch, family, table, network)
  return batch.step(actor, `let the table ${table} know the bridge ${network.bridge}`)
}

export function removeNetworkStep(actor: Actor, table: string, network: Network, ipv6: boolean): Step {
  const batch = new NftBatch()
  for (const family of familiesOf(ipv6)) {
    // Added first, so that the step can be done again.
    addNetwork(batch, family, table, network)
    for (const [set, element] of networkElements(family, network)) {
      batch.deleteElements(family, table, set, [element])
    }
  }
  return batch.step(actor, `let the table ${table} forget the bridge ${network.bridge}`, {
    ignore: [ERRNO.ENOENT],
  })
}

/** Publishes ports. EEXIST (EBUSY on older kernels) when another container has one of them; then none is published. */
export function publishSteps(actor: Actor, table: string, published: readonly Published[]): Step[] {
  if (published.length === 0) return []
  const batch = new NftBatch()
  for (const family of FAMILIES) addPublished(batch, family, table, published)
  const udp = published.filter(isUdp).map(({ hostPort: port }) => ({ protocol: PROTOCOL.udp, port }))
  return [
    batch.step(actor, `publish ${published.map(describe).join(', ')}`),
    ...forgetPortFlows(actor, udp, 'let UDP clients that came too early start anew'),
  ]
}

const isUdp = (published: Published): boolean => published.protocol === 'udp'

/** UDP clients that go on sending shall reach whoever has the port next. */
export function forgetClientsStep(actor: Actor, published: readonly Published[]): Step[] {
  const addresses = [...new Set(published.filter(isUdp).map(({ address }) => address))].map(bytesOf)
  return forgetFlowsTo(actor, addresses, 'let go of UDP clients')
}

/**
 * Takes ports back. Can be done twice: each is added again before it is deleted, so a missing one is no error, and one
 * that leads to another container by now (EEXIST, EBUSY) is left alone.
 */
export function unpublishSteps(actor: Actor, table: string, published: readonly Published[]): Step[] {
  return chunks(published, UNPUBLISH_AT_ONCE).map((some) => {
    const batch = new NftBatch()
    for (const family of FAMILIES) {
      addPublished(batch, family, table, some)
      for (const [set, elements] of elementsOf(family, some))
        batch.deleteElements(family, table, set, elements)
    }
    return batch.step(actor, `take back ${some.map(describe).join(', ')}`, {
      ignore: [ERRNO.ENOENT, ERRNO.EBUSY, ERRNO.EEXIST],
    })
  })
}

/**
 * A batch fails whole when one of its ports has a new owner by now, and leaves its companions to reconciling; a batch
 * per port would be exact, and slow for ranges.
 */
const UNPUBLISH_AT_ONCE = 256

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size))
}

function describe(p: Published): string {
  const host = p.hostAddress.includes(':') ? `[${p.hostAddress}]` : p.hostAddress
  return `${host}:${p.hostPort}→${p.port}/${p.protocol}`
}

// ---------------------------------------------------------------- sets and their elements

function networkElements(family: IpFamily, network: Network): (readonly [set: string, element: Element])[] {
  const name = interfaceKey(network.bridge)
  const elements: (readonly [string, Element])[] = [['bridges', { key: name }]]
  if (network.icc) elements.push(['open', { key: Buffer.concat([name, name]) }])
  if (network.internal) elements.push(['internal', { key: name }])
  const pool = family === 'ip' ? network.ipv4 : network.ipv6
  // A family the network does not have leads nowhere, even if a container sets it up by itself.
  if (pool === undefined) return elements
  if (!network.internal) elements.push([network.masquerade ? 'outbound' : 'routed', { key: name }])
  const { base, last } = rangeOf(parseSubnet(pool.subnet))
  elements.push(['gateways', { key: bytesOf(pool.gateway) }])
  elements.push(['local', { key: Buffer.concat([name, base]), keyEnd: Buffer.concat([name, last]) }])
  return elements
}

function addNetwork(batch: NftBatch, family: IpFamily, table: string, network: Network): void {
  for (const [set, element] of networkElements(family, network))
    batch.addElements(family, table, set, [element])
}

function addPublished(
  batch: NftBatch,
  family: IpFamily,
  table: string,
  published: readonly Published[],
): void {
  for (const [set, elements] of elementsOf(family, published)) batch.addElements(family, table, set, elements)
}

function elementsOf(family: IpFamily, published: readonly Published[]): [set: string, elements: Element[]][] {
  const exact: Element[] = []
  const any: Element[] = []
  for (const one of published) {
    const host = bytesOf(one.hostAddress)
    if (host.length !== LENGTH[family]) continue
    const protocol = Buffer.from([PROTOCOL[one.protocol], 0, 0, 0])
    const data = Buffer.concat([bytesOf(one.address), portBytes(one.port)])
    if (isUnspecified(host)) any.push({ key: Buffer.concat([protocol, portBytes(one.hostPort)]), data })
    else exact.push({ key: Buffer.concat([protocol, host, portBytes(one.hostPort)]), data })
  }
  return [
    ['published', exact],
    ['published_any', any],
  ]
}

function portBytes(port: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16BE(port)
  return bytes
}

/** Steps that list what is published, for both maps of a family; read the frames with `parsePublished`. */
export const dumpPublished = (actor: Actor, family: IpFamily, table: string): Step[] =>
  ['published', 'published_any'].map((map) => dumpElements(actor, family, table, map))

export function parsePublished(family: IpFamily, frames: readonly Buffer[]): Published[] {
  const length = LENGTH[family]
  return parseElements(frames).flatMap(({ key, data }) => {
    const protocol = (['tcp', 'udp', 'sctp'] as const).find((name) => PROTOCOL[name] === key[0])
    if (protocol === undefined || data === undefined || data.length < length + 2) return []
    const exact = key.length > 8
    return [
      {
        protocol,
        hostAddress: formatAddress(exact ? key.slice(4, 4 + length) : new Uint8Array(length)),
        hostPort: Buffer.from(key).readUInt16BE(exact ? 4 + length : 4),
        address: formatAddress(data.slice(0, length)),
        port: Buffer.from(data).readUInt16BE(length),
      },
    ]
  })
}
