/**
 * One nf_tables table per engine and address family, named after the engine's default bridge. The rules never change;
 * what changes are the elements of its sets and maps:
 *
 *   published        protocol . host address . host port → container address . port
 *   published_any    protocol . host port                → container address . port    (any address of the host)
 *   bridges          our bridges
 *   outbound         bridges whose containers may reach beyond the host, masqueraded
 *   routed           bridges whose containers may reach beyond the host under their own addresses
 *   same             bridge . bridge, to recognise traffic that leaves where it came in
 *   open             bridge . bridge, for networks whose containers may talk to each other
 *
 * The enemy: a container that sends packets with forged loopback addresses; a machine on the outside that routes
 * packets for containers or for 127.0.0.1 to this host (GHSA-x4rx-4gw3-53p4 in Docker); a container of another network.
 * NOT protected: services of the host that listen on all addresses are reachable from containers, as with Docker.
 * NOT protected: another table with policy drop on the forward hook (a running dockerd sets one) stays in force.
 */
import { DewarError } from '../base/errors.ts'
import type { Actor, Step } from '../kernel/plan.ts'
import { NFT_TYPE, NftBatch, dumpElements, joinedType, parseElements } from '../kernel/nftables.ts'
import type { Element, NftFamily } from '../kernel/nftables.ts'
import * as x from '../kernel/nftables-expression.ts'
import type { Expression } from '../kernel/nftables-expression.ts'
import { formatAddress, isUnspecified, parseAddress } from './address.ts'
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
const PRIORITY = { raw: -300, destinationNat: -100, filter: 0, sourceNat: 100 } as const
const LENGTH: Record<NftFamily, 4 | 16> = { ip: 4, ip6: 16 }
const LOOPBACK = Buffer.from([127, 0, 0, 0])
const FAMILIES: readonly NftFamily[] = ['ip', 'ip6']

export const tableName = (bridge: string): string => `dewar_${bridge}`

export interface FirewallState {
  readonly table: string
  readonly networks: readonly Network[]
  readonly published: readonly Published[]
  /** The host has IPv6. */
  readonly ipv6: boolean
}

const familiesOf = (ipv6: boolean): readonly NftFamily[] => (ipv6 ? FAMILIES : ['ip'])

/**
 * Replaces the whole table by what is true, in one transaction: nothing a killed engine left survives, and at no
 * moment a published port is missing. Established connections go on.
 */
export function firewallStep(actor: Actor, state: FirewallState): Step {
  const batch = new NftBatch()
  for (const family of familiesOf(state.ipv6)) {
    // Added before it is deleted, so that deleting cannot fail for want of it.
    batch.table(family, state.table).deleteTable(family, state.table).table(family, state.table)
    addSets(batch, family, state.table)
    addChains(batch, family, state.table)
    for (const network of state.networks) addNetwork(batch, family, state.table, network)
    addPublished(batch, family, state.table, state.published)
  }
  return batch.step(actor, `set up the table ${state.table}: masquerade, published ports, isolation`)
}

export function removeFirewallSteps(actor: Actor, table: string): Step[] {
  return FAMILIES.map((family) =>
    new NftBatch()
      .deleteTable(family, table)
      .step(actor, `delete the ${family} table ${table}`, { ignore: [2] }),
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
    for (const [set, key] of networkElements(network)) batch.deleteElements(family, table, set, [{ key }])
  }
  return batch.step(actor, `let the table ${table} forget the bridge ${network.bridge}`, { ignore: [2] })
}

/** Publishes ports. EBUSY when another container has one of them; then none is published. */
export function publishStep(actor: Actor, table: string, published: readonly Published[]): Step | undefined {
  if (published.length === 0) return undefined
  const batch = new NftBatch()
  for (const family of FAMILIES) addPublished(batch, family, table, published)
  return batch.step(actor, `publish ${published.map(describe).join(', ')}`)
}

/**
 * Takes ports back. Can be done twice: each is added again before it is deleted, so a missing one is no error, and one
 * that leads to another container by now (EBUSY) is left alone.
 */
export function unpublishSteps(actor: Actor, table: string, published: readonly Published[]): Step[] {
  return chunks(published, UNPUBLISH_AT_ONCE).map((some) => {
    const batch = new NftBatch()
    for (const family of FAMILIES) {
      addPublished(batch, family, table, some)
      for (const [set, elements] of elementsOf(family, some))
        batch.deleteElements(family, table, set, elements)
    }
    return batch.step(actor, `take back ${some.map(describe).join(', ')}`, { ignore: [2, 16] })
  })
}

/** A taken port of one batch leaves its companions published, so batches are small; a range of 1,000 ports costs 63. */
const UNPUBLISH_AT_ONCE = 16

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size))
}

function describe(p: Published): string {
  const host = p.hostAddress.includes(':') ? `[${p.hostAddress}]` : p.hostAddress
  return `${host}:${p.hostPort}→${p.port}/${p.protocol}`
}

// ---------------------------------------------------------------- sets and their elements

function addSets(batch: NftBatch, family: NftFamily, table: string): void {
  const length = LENGTH[family]
  const address = NFT_TYPE[family]
  const data = { type: joinedType(address, NFT_TYPE.service), length: length + 4 }
  const { protocol, service, ifname } = NFT_TYPE
  batch.set(family, table, {
    name: 'published',
    keyType: joinedType(protocol, address, service),
    keyLength: length + 8,
    data,
  })
  batch.set(family, table, {
    name: 'published_any',
    keyType: joinedType(protocol, service),
    keyLength: 8,
    data,
  })
  for (const name of ['bridges', 'outbound', 'routed']) {
    batch.set(family, table, { name, keyType: ifname, keyLength: 16, hostOrder: true })
  }
  for (const name of ['same', 'open']) {
    batch.set(family, table, { name, keyType: joinedType(ifname, ifname), keyLength: 32 })
  }
}

function networkElements(network: Network): (readonly [set: string, key: Uint8Array])[] {
  const name = x.interfaceKey(network.bridge)
  const pair = Buffer.concat([name, name])
  const elements: (readonly [string, Uint8Array])[] = [
    ['bridges', name],
    ['same', pair],
  ]
  if (network.icc) elements.push(['open', pair])
  if (!network.internal) elements.push([network.masquerade ? 'outbound' : 'routed', name])
  return elements
}

function addNetwork(batch: NftBatch, family: NftFamily, table: string, network: Network): void {
  for (const [set, key] of networkElements(network)) batch.addElements(family, table, set, [{ key }])
}

function addPublished(
  batch: NftBatch,
  family: NftFamily,
  table: string,
  published: readonly Published[],
): void {
  for (const [set, elements] of elementsOf(family, published)) batch.addElements(family, table, set, elements)
}

function elementsOf(
  family: NftFamily,
  published: readonly Published[],
): [set: string, elements: Element[]][] {
  const exact: Element[] = []
  const any: Element[] = []
  for (const one of published) {
    const host = addressOf(one.hostAddress)
    if (host.length !== LENGTH[family]) continue
    const protocol = Buffer.from([PROTOCOL[one.protocol], 0, 0, 0])
    const data = Buffer.concat([addressOf(one.address), portBytes(one.port)])
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

function addressOf(text: string): Uint8Array {
  const address = parseAddress(text)
  if (address === undefined)
    throw new DewarError('invalid-argument', `invalid address ${JSON.stringify(text)}`)
  return address
}

/** Steps that list what is published, for both maps of a family; read the frames with `parsePublished`. */
export const dumpPublished = (actor: Actor, family: NftFamily, table: string): Step[] =>
  ['published', 'published_any'].map((map) => dumpElements(actor, family, table, map))

export function parsePublished(family: NftFamily, frames: readonly Buffer[]): Published[] {
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

// ---------------------------------------------------------------- rules, in the order packets meet them

function addChains(batch: NftBatch, family: NftFamily, table: string): void {
  const rule = (chain: string, ...expressions: readonly Expression[]): void => {
    batch.rule(family, table, chain, expressions)
  }
  if (family === 'ip') addLoopbackGuard(batch, table, rule)

  batch.chain(family, table, {
    name: 'prerouting',
    type: 'nat',
    hook: 'prerouting',
    priority: PRIORITY.destinationNat,
  })
  // From outside nobody may reach what is published on 127.0.0.1; local packets met the output chain already.
  if (family === 'ip') rule('prerouting', ...loopbackAt(16), x.verdict('return'))
  addPortRules(family, (...expressions) => rule('prerouting', ...expressions))

  batch.chain(family, table, {
    name: 'output',
    type: 'nat',
    hook: 'output',
    priority: PRIORITY.destinationNat,
  })
  // The kernel takes packets for ::1 from lo only (rt6_need_strict), so answers could never come back. Left alone, the
  // connection meets the reserved port that nobody listens on, is refused, and the client goes on to 127.0.0.1.
  if (family === 'ip6') rule('output', ...loopback6At(24), x.verdict('return'))
  addPortRules(family, (...expressions) => rule('output', ...expressions))

  batch.chain(family, table, {
    name: 'postrouting',
    type: 'nat',
    hook: 'postrouting',
    priority: PRIORITY.sourceNat,
  })
  rule(
    'postrouting',
    x.meta('iifname'),
    x.inSet('outbound'),
    x.meta('oifname'),
    x.inSet('bridges', { not: true }),
    x.masquerade,
  )
  // Hairpin: a neighbour on the same wire would answer the client directly, which never asked it.
  rule(
    'postrouting',
    ...publishedConnection,
    x.meta('iifname'),
    x.meta('oifname', 4),
    x.inSet('same'),
    x.masquerade,
  )
  // A loopback source means nothing to the container; it sees the gateway instead.
  if (family === 'ip')
    rule('postrouting', x.meta('oifname'), x.inSet('bridges'), ...loopbackAt(12), x.masquerade)

  batch.chain(family, table, { name: 'forward', type: 'filter', hook: 'forward', priority: PRIORITY.filter })
  rule('forward', x.meta('iifname'), x.meta('oifname', 4), x.inSet('open'), x.verdict('accept'))
  const established = [x.ct('state'), x.mask(x.u32(x.CT_ESTABLISHED_OR_RELATED)), x.compare('!=', x.u32(0))]
  rule('forward', x.meta('oifname'), x.inSet('bridges'), ...established, x.verdict('accept'))
  rule('forward', x.meta('oifname'), x.inSet('bridges'), ...publishedConnection, x.verdict('accept'))
  rule('forward', x.meta('oifname'), x.inSet('bridges'), x.verdict('drop'))
  rule('forward', x.meta('iifname'), x.inSet('outbound'), x.verdict('accept'))
  rule('forward', x.meta('iifname'), x.inSet('routed'), x.verdict('accept'))
  rule('forward', x.meta('iifname'), x.inSet('bridges'), x.verdict('drop'))
}

type AddRule = (chain: string, ...expressions: readonly Expression[]) => void

/**
 * `route_localnet` on the bridge, which localhost publishing needs, lets packets with loopback addresses in from it:
 * a container could reach the host's own 127.0.0.1 services (CVE-2020-8558). They end here, before anything else.
 */
function addLoopbackGuard(batch: NftBatch, table: string, rule: AddRule): void {
  batch.chain('ip', table, { name: 'loopback', type: 'filter', hook: 'prerouting', priority: PRIORITY.raw })
  for (const offset of [12, 16] as const) {
    rule('loopback', x.meta('iifname'), x.inSet('bridges'), ...loopbackAt(offset), x.verdict('drop'))
  }
}

/** 127.0.0.0/8 as source (12) or destination (16) of the IPv4 header. */
const loopbackAt = (offset: 12 | 16): Expression[] => [
  x.payload('network', offset, 4),
  x.mask(Buffer.from([255, 0, 0, 0])),
  x.compare('==', LOOPBACK),
]

/** ::1 as destination (24) of the IPv6 header. */
const loopback6At = (offset: 24): Expression[] => [
  x.payload('network', offset, 16),
  x.compare('==', Buffer.from([...new Array<number>(15).fill(0), 1])),
]

const publishedConnection: readonly Expression[] = [
  x.ct('status'),
  x.mask(x.u32(x.CT_STATUS_DNAT)),
  x.compare('!=', x.u32(0)),
]

/** An exact host address goes before "any address of this host". */
function addPortRules(family: NftFamily, rule: (...expressions: readonly Expression[]) => void): void {
  const length = LENGTH[family]
  const destination = x.payload('network', family === 'ip' ? 16 : 24, length, 1)
  const portAfter = (words: number): Expression => x.payload('transport', 2, 2, words)
  const exact = [x.meta('l4proto'), destination, portAfter(1 + length / 4), x.mapLookup('published')]
  rule(...exact, x.destinationNat(length))
  const local = [x.destinationKind, x.compare('==', x.u32(x.RTN_LOCAL))]
  rule(...local, x.meta('l4proto'), portAfter(1), x.mapLookup('published_any'), x.destinationNat(length))
}
