/**
 * Whose name a container may use on a bridge: its own. A table of the family `bridge` sees every frame before the
 * bridge learns from it, and lets from the port of a container only IPv4, IPv6 and ARP through, with the MAC and IP
 * addresses that the engine gave it as the sender's. (What no rule sees are frames to 01:80:c2:00:00:0x, which a bridge
 * keeps to itself; it is told not to learn from them, `hardenBridge` in netlink-route.ts.) The rules never change; the elements of its sets do:
 *
 *   guarded   ports of containers
 *   hosts     port . MAC . IPv4 address
 *   hosts6    port . MAC . IPv6 address
 *
 * The enemy: root of a container, who has CAP_NET_RAW (a default of Docker) or even CAP_NET_ADMIN, and takes the
 * gateway's or a neighbour's place by false ARP answers or neighbour advertisements, makes itself the router, sends
 * under the addresses of others, or teaches the bridge thousands of MAC addresses until it floods all traffic.
 * NOT protected: containers of one network that talk to each other under their own addresses; who shares a network
 * namespace shares its addresses.
 */
import type { Core } from '../kernel/core-api.ts'
import { ERRNO } from '../kernel/netlink.ts'
import { NFT_TYPE, NftBatch, joinedType } from '../kernel/nftables.ts'
import type { Element } from '../kernel/nftables.ts'
import * as x from '../kernel/nftables-expression.ts'
import type { Expression } from '../kernel/nftables-expression.ts'
import type { Actor, Step } from '../kernel/plan.ts'
import { PlanFailed } from '../kernel/plan-failed.ts'
import { bytesOf } from './address.ts'
import { parseMac } from './ipam.ts'

export interface GuardedPort {
  /** Interface name of the host's end. */
  readonly veth: string
  readonly mac: string
  /** Both families. Without an address of a family none of its packets pass. */
  readonly addresses: readonly string[]
}

/** Before everything else that has rules for bridges, br_netfilter too. */
const FIRST = -300

/** Replaces the whole table by what is true, in one transaction. */
export function guardTableStep(actor: Actor, table: string, ports: readonly GuardedPort[]): Step {
  const batch = new NftBatch()
  batch.table('bridge', table).deleteTable('bridge', table).table('bridge', table)
  addSets(batch, table)
  addRules(batch, table)
  addElements(batch, table, ports)
  return batch.step(actor, `set up the bridge table ${table}: containers send under their own addresses`)
}

/**
 * Why the kernel cannot do it, undefined when it can: the whole table is made and taken away in one transaction, which
 * nobody sees (CONFIG_NF_TABLES_BRIDGE may be missing, or its module).
 */
export async function guardProblem(core: Pick<Core, 'run'>, table: string): Promise<string | undefined> {
  const name = `${table}_try`
  const batch = new NftBatch().table('bridge', name)
  addSets(batch, name)
  addRules(batch, name)
  batch.deleteTable('bridge', name)
  try {
    await core.run({ steps: [batch.step('host', 'see whether the kernel filters frames on bridges')] })
    return undefined
  } catch (error) {
    if (error instanceof PlanFailed) return error.errno
    throw error
  }
}

/** For `info` and the engine's start: it goes on without, as the engine it replaces would, but not silently. */
export const guardWarning = (problem: string): string =>
  `WARNING: containers can send under the addresses of others on their bridge (forged ARP, IPv6 neighbours, MAC): this kernel ` +
  `has no nf_tables of the family bridge (${problem}); load nf_tables with CONFIG_NF_TABLES_BRIDGE, or run with --cap-drop NET_RAW`

export function removeGuardStep(actor: Actor, table: string): Step {
  return new NftBatch()
    .deleteTable('bridge', table)
    .step(actor, `delete the bridge table ${table}`, { ignore: [ERRNO.ENOENT, ERRNO.EOPNOTSUPP] })
}

/** Before the port is there, so that not one frame gets past. */
export function guardSteps(actor: Actor, table: string, ports: readonly GuardedPort[]): Step[] {
  if (ports.length === 0) return []
  const batch = new NftBatch()
  addElements(batch, table, ports)
  return [batch.step(actor, `let the container send as ${describe(ports)} alone`)]
}

/** Can be done twice: what is deleted is added first. */
export function unguardSteps(actor: Actor, table: string, ports: readonly GuardedPort[]): Step[] {
  if (ports.length === 0) return []
  const batch = new NftBatch()
  addElements(batch, table, ports)
  for (const [set, elements] of elementsOf(ports)) batch.deleteElements('bridge', table, set, elements)
  return [batch.step(actor, `let it send as ${describe(ports)} no more`, { ignore: [ERRNO.ENOENT] })]
}

const describe = (ports: readonly GuardedPort[]): string =>
  ports.flatMap(({ addresses }) => addresses).join(' and ')

// ---------------------------------------------------------------- sets and their elements

const IFNAME = 16
/** A part of a joined key fills whole words. */
const MAC = 8

function addSets(batch: NftBatch, table: string): void {
  const { ifname, ether, ip, ip6 } = NFT_TYPE
  batch.set('bridge', table, { name: 'guarded', keyType: ifname, keyLength: IFNAME, hostOrder: true })
  batch.set('bridge', table, {
    name: 'hosts',
    keyType: joinedType(ifname, ether, ip),
    keyLength: IFNAME + MAC + 4,
  })
  batch.set('bridge', table, {
    name: 'hosts6',
    keyType: joinedType(ifname, ether, ip6),
    keyLength: IFNAME + MAC + 16,
  })
}

type Elements = readonly (readonly [set: string, elements: Element[]])[]

function elementsOf(ports: readonly GuardedPort[]): Elements {
  const guarded: Element[] = []
  const hosts: Element[] = []
  const hosts6: Element[] = []
  for (const { veth, mac, addresses } of ports) {
    const name = x.interfaceKey(veth)
    const bytes = parseMac(mac)
    const port = Buffer.concat([name, bytes, new Uint8Array(MAC - bytes.length)])
    guarded.push({ key: name })
    for (const address of sendersOf(bytes, addresses.map(bytesOf))) {
      const element = { key: Buffer.concat([port, address]) }
      if (address.length === 4) hosts.push(element)
      else hosts6.push(element)
    }
  }
  return [
    ['hosts', distinct(hosts)],
    ['hosts6', distinct(hosts6)],
    ['guarded', distinct(guarded)],
  ]
}

/** An address may be given twice, in two spellings, too; what is deleted twice is ENOENT, and nothing is deleted. */
function distinct(elements: readonly Element[]): Element[] {
  return [...new Map(elements.map((one) => [Buffer.from(one.key).toString('latin1'), one])).values()]
}

/**
 * The addresses with what goes with them: nobody's address, under which a host asks whether one is free (RFC 5227,
 * RFC 4862) and which nothing is ever sent back to, and the link-local one that the kernel makes of the MAC.
 */
function sendersOf(mac: Uint8Array, addresses: readonly Uint8Array[]): Uint8Array[] {
  const has = (length: number): boolean => addresses.some((address) => address.length === length)
  return [
    ...addresses,
    ...(has(4) ? [new Uint8Array(4)] : []),
    ...(has(16) ? [new Uint8Array(16), linkLocalOf(mac)] : []),
  ]
}

/** RFC 4291, appendix A. */
function linkLocalOf(mac: Uint8Array): Uint8Array {
  const [first = 0, ...rest] = mac
  return Uint8Array.from([
    ...[0xfe, 0x80, 0, 0, 0, 0, 0, 0],
    ...[first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)],
  ])
}

function addElements(batch: NftBatch, table: string, ports: readonly GuardedPort[]): void {
  for (const [set, elements] of elementsOf(ports)) batch.addElements('bridge', table, set, elements)
}

// ---------------------------------------------------------------- rules, in the order frames meet them

const ETHERTYPE = { ip: [0x08, 0x00], arp: [0x08, 0x06], ip6: [0x86, 0xdd] } as const
/** The extension header of fragments. */
const FRAGMENT = 44
const ICMP6 = {
  protocol: 58,
  echoReply: 129,
  routerAdvertisement: 134,
  neighbourAdvertisement: 136,
  redirect: 137,
} as const

function addRules(batch: NftBatch, table: string): void {
  const rule = (chain: string, ...expressions: readonly Expression[]): void => {
    batch.rule('bridge', table, chain, expressions)
  }
  // A VLAN tag counts as a type of its own here, even where a network card would have taken it off.
  const isType = (name: keyof typeof ETHERTYPE): Expression[] => [
    x.payload('link', 12, 2),
    x.compare('==', Uint8Array.from(ETHERTYPE[name])),
  ]
  /** The port and the sender's MAC in words 0 to 5; an address belongs behind them. */
  const port = [x.meta('iifname'), x.payload('link', 6, 6, 4)]
  const isIcmp6 = (type: number): Expression[] => [
    ...isType('ip6'),
    x.meta('l4proto'),
    x.compare('==', Uint8Array.of(ICMP6.protocol)),
    x.payload('transport', 0, 1),
    x.compare('==', Uint8Array.of(type)),
  ]
  batch.chain('bridge', table, { name: 'senders', type: 'filter', hook: 'prerouting', priority: FIRST })
  rule('senders', x.meta('iifname'), x.inSet('guarded', { not: true }), x.verdict('accept'))
  rule(
    'senders',
    ...isType('ip'),
    ...port,
    x.payload('network', 12, 4, 6),
    x.inSet('hosts'),
    x.verdict('accept'),
  )
  // The header and then both: the sender that ARP names and the one of the frame.
  rule(
    'senders',
    ...isType('arp'),
    x.payload('network', 0, 6),
    x.compare('==', Uint8Array.of(0, 1, 8, 0, 6, 4)),
    ...port,
    x.payload('network', 14, 4, 6),
    x.inSet('hosts'),
    x.payload('network', 8, 6, 4),
    x.inSet('hosts'),
    x.verdict('accept'),
  )
  rule('senders', ...isIcmp6(ICMP6.routerAdvertisement), x.verdict('drop'))
  rule('senders', ...isIcmp6(ICMP6.redirect), x.verdict('drop'))
  rule(
    'senders',
    ...isIcmp6(ICMP6.neighbourAdvertisement),
    ...port,
    x.payload('transport', 8, 16, 6),
    x.inSet('hosts6', { not: true }),
    x.verdict('drop'),
  )
  const fromOwn6 = [...port, x.payload('network', 8, 16, 6), x.inSet('hosts6')]
  // What a first fragment does not show the rules above could not see: it has to be no ICMPv6, or an echo or error
  // (RFC 6980: neighbours and routers do not speak in fragments; RFC 7112: all headers are in the first).
  const isFirstFragment = [
    ...isType('ip6'),
    x.extension(FRAGMENT, 2, 2),
    x.mask(Uint8Array.of(0xff, 0xf8)),
    x.compare('==', Uint8Array.of(0, 0)),
  ]
  const isProtocol = (operator: '==' | '!='): Expression[] => [
    x.meta('l4proto'),
    x.compare(operator, Uint8Array.of(ICMP6.protocol)),
  ]
  rule('senders', ...isFirstFragment, ...isProtocol('!='), ...fromOwn6, x.verdict('accept'))
  rule(
    'senders',
    ...isFirstFragment,
    ...isProtocol('=='),
    x.payload('transport', 0, 1),
    x.compare('<=', Uint8Array.of(ICMP6.echoReply)),
    ...fromOwn6,
    x.verdict('accept'),
  )
  rule('senders', ...isFirstFragment, x.verdict('drop'))
  rule('senders', ...isType('ip6'), ...fromOwn6, x.verdict('accept'))
  rule('senders', x.verdict('drop'))
}
