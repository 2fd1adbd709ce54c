/**
 * The rules of the table: written once, the same for every container and network.
 *
 * The enemy: a container that sends packets with forged loopback addresses; a machine on the outside that routes
 * packets for containers or for 127.0.0.1 to this host; a container of another network.
 * NOT protected: services of the host that listen on all addresses are reachable from containers, as with Docker.
 * NOT protected: another table with policy drop on the forward hook (a running dockerd sets one) stays in force.
 */
import { NFT_TYPE, joinedType } from '../kernel/nftables.ts'
import type { NftBatch, IpFamily } from '../kernel/nftables.ts'
import * as x from '../kernel/nftables-expression.ts'
import type { Expression } from '../kernel/nftables-expression.ts'

const PRIORITY = { raw: -300, destinationNat: -100, filter: 0, sourceNat: 100 } as const
const LOOPBACK = Buffer.from([127, 0, 0, 0])

/** Bytes of an address. */
export const LENGTH: Record<IpFamily, 4 | 16> = { ip: 4, ip6: 16 }

/** Fills an empty table with its sets, maps, chains and rules. */
export function addRules(batch: NftBatch, family: IpFamily, table: string): void {
  addSets(batch, family, table)
  addChains(batch, family, table)
}

function addSets(batch: NftBatch, family: IpFamily, table: string): void {
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
  for (const name of ['bridges', 'outbound', 'routed', 'internal']) {
    batch.set(family, table, { name, keyType: ifname, keyLength: 16, hostOrder: true })
  }
  batch.set(family, table, { name: 'open', keyType: joinedType(ifname, ifname), keyLength: 32 })
  batch.set(family, table, {
    name: 'local',
    keyType: joinedType(ifname, address),
    keyLength: 16 + length,
    fields: [16, length],
  })
  batch.set(family, table, { name: 'gateways', keyType: address, keyLength: length })
}

// ---------------------------------------------------------------- rules, in the order packets meet them

function addChains(batch: NftBatch, family: IpFamily, table: string): void {
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
  // Hairpin: a neighbour on the same wire would answer the client directly, which never asked it. Told by the client's
  // address, because with br_netfilter such a packet has no incoming interface here.
  const client = x.payload('network', family === 'ip' ? 12 : 8, LENGTH[family], 4)
  rule('postrouting', ...publishedConnection, x.meta('oifname'), client, x.inSet('local'), x.masquerade)
  // The host itself, by the address of a bridge: a container that is on that bridge, too, would answer there, and not
  // the way it was asked. It sees the gateway of the network that the port leads to instead.
  const sender = x.payload('network', family === 'ip' ? 12 : 8, LENGTH[family])
  rule(
    'postrouting',
    ...publishedConnection,
    ...[x.meta('oifname'), x.inSet('bridges'), sender, x.inSet('gateways')],
    x.masquerade,
  )
  // A loopback source means nothing to the container; it sees the gateway instead.
  if (family === 'ip')
    rule('postrouting', x.meta('oifname'), x.inSet('bridges'), ...loopbackAt(12), x.masquerade)

  batch.chain(family, table, { name: 'forward', type: 'filter', hook: 'forward', priority: PRIORITY.filter })
  rule('forward', x.meta('iifname'), x.meta('oifname', 4), x.inSet('open'), x.verdict('accept'))
  // Before what is published: a container of an internal network reaches no other network by a port of the host either.
  rule('forward', x.meta('iifname'), x.inSet('internal'), x.verdict('drop'))
  rule('forward', x.meta('oifname'), x.inSet('internal'), x.verdict('drop'))
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
function addPortRules(family: IpFamily, rule: (...expressions: readonly Expression[]) => void): void {
  const length = LENGTH[family]
  const destination = x.payload('network', family === 'ip' ? 16 : 24, length, 1)
  const portAfter = (words: number): Expression => x.payload('transport', 2, 2, words)
  const exact = [x.meta('l4proto'), destination, portAfter(1 + length / 4), x.mapLookup('published')]
  rule(...exact, x.destinationNat(length))
  const local = [x.destinationKind, x.compare('==', x.u32(x.RTN_LOCAL))]
  rule(...local, x.meta('l4proto'), portAfter(1), x.mapLookup('published_any'), x.destinationNat(length))
}
