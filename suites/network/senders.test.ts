/** Under whose name a container can send on its bridge: root of one tries to be its neighbours and its gateway. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { releaseSteps } from '../../src/network/container-steps.ts'
import { command } from '../harness/command.ts'
import { missing } from '../harness/requirement.ts'
import { until } from '../harness/until.ts'
import {
  TYPE,
  arp,
  arrivals,
  fragments6,
  frame,
  icmp6,
  ip,
  ip6,
  joined,
  mac,
  mark,
  options6,
  summed6,
  udp4,
  udp6,
  unknown6,
} from './frames.ts'
import { World, ask, askInVain } from './world.ts'
import type { ContainerOptions, TestContainer } from './world.ts'

const skip = missing('ip', 'bridge', 'nft', 'python3', 'nsenter')

/** An echo of 4,000 bytes: what comes back, its type and length. */
const LARGE = `
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6); s.settimeout(60)
s.sendto(bytes([128, 0, 0, 0, 7, 7, 0, 1]) + bytes(4000), (sys.argv[1], 0))
while True:
    r = s.recv(65535)
    if r[0] == 129: print(r[0], len(r)); break
`

const own = { mac: mac('02:42:0a:c9:01:66'), ip: ip('10.201.1.102'), ip6: ip('fd00:201:1::66') }
const victim = { mac: mac('02:42:0a:c9:01:02'), ip: ip('10.201.1.2'), ip6: ip('fd00:201:1::2') }
const gateway = { mac: mac('02:42:0a:c9:01:01'), ip: ip('10.201.1.1'), ip6: ip('fd00:201:1::1') }
const local = ip('fe80::42:aff:fec9:166')
const nobody = new Uint8Array(4)
const nobody6 = new Uint8Array(16)
const ICMP6 = 58
const to = victim.mac

const fine = {
  'an ARP answer': frame(to, own.mac, TYPE.arp, arp(2, own, victim)),
  'an ARP probe': frame(to, own.mac, TYPE.arp, arp(1, { mac: own.mac, ip: nobody }, victim)),
  'an IPv4 packet': frame(to, own.mac, TYPE.ip, udp4(own.ip, victim.ip)),
  'an IPv6 packet': frame(to, own.mac, TYPE.ip6, udp6(own.ip6, victim.ip6)),
  'a question for a neighbour': frame(
    to,
    own.mac,
    TYPE.ip6,
    ip6(ICMP6, own.ip6, victim.ip6, icmp6(135, victim.ip6, own.mac)),
  ),
  'a check for duplicates': frame(
    to,
    own.mac,
    TYPE.ip6,
    ip6(ICMP6, nobody6, victim.ip6, icmp6(135, local, own.mac)),
  ),
  'an answer of a neighbour': frame(
    to,
    own.mac,
    TYPE.ip6,
    ip6(ICMP6, own.ip6, victim.ip6, icmp6(136, own.ip6, own.mac)),
  ),
  'a link-local packet': frame(to, own.mac, TYPE.ip6, udp6(local, victim.ip6)),
}

const gatewayIsMe = icmp6(136, gateway.ip6, own.mac)
const forged = {
  'ARP: I am the gateway': frame(to, own.mac, TYPE.arp, arp(2, { mac: own.mac, ip: gateway.ip }, victim)),
  'ARP, gratuitous': frame(
    [255, 255, 255, 255, 255, 255],
    own.mac,
    TYPE.arp,
    arp(1, { mac: own.mac, ip: gateway.ip }, gateway),
  ),
  'ARP: my address is at the MAC of the gateway': frame(
    to,
    own.mac,
    TYPE.arp,
    arp(2, { mac: gateway.mac, ip: own.ip }, victim),
  ),
  'ARP in a frame of the gateway': frame(to, gateway.mac, TYPE.arp, arp(2, own, victim)),
  'ARP of another hardware': frame(to, own.mac, TYPE.arp, [0, 6], arp(2, own, victim).subarray(2)),
  'ARP behind a VLAN tag of number 0': frame(
    to,
    own.mac,
    TYPE.vlan,
    [0, 0, 8, 6],
    arp(2, { mac: own.mac, ip: gateway.ip }, victim),
  ),
  'ARP behind two tags': frame(
    to,
    own.mac,
    TYPE.vlan,
    [0, 0, 0x81, 0, 0, 0, 8, 6],
    arp(2, { mac: own.mac, ip: gateway.ip }, victim),
  ),
  'reverse ARP': frame(to, own.mac, TYPE.rarp, arp(2, own, victim)),
  'IPv4 of a neighbour': frame(to, own.mac, TYPE.ip, udp4(ip('10.201.1.3'), victim.ip)),
  'IPv4 of the world': frame(to, own.mac, TYPE.ip, udp4(ip('192.0.2.1'), victim.ip)),
  'IPv4 in a frame of the gateway': frame(to, gateway.mac, TYPE.ip, udp4(own.ip, victim.ip)),
  'IPv4 behind a VLAN tag': frame(to, own.mac, TYPE.vlan, [0, 5, 8, 0], udp4(own.ip, victim.ip)),
  'IPv6 of a neighbour': frame(to, own.mac, TYPE.ip6, udp6(ip('fd00:201:1::3'), victim.ip6)),
  "a neighbour's link-local address": frame(
    to,
    own.mac,
    TYPE.ip6,
    udp6(ip('fe80::42:aff:fec9:103'), victim.ip6),
  ),
  'IPv6: the gateway is at my MAC': frame(
    to,
    own.mac,
    TYPE.ip6,
    ip6(ICMP6, own.ip6, victim.ip6, gatewayIsMe),
  ),
  'the same behind an extension header': frame(
    to,
    own.mac,
    TYPE.ip6,
    ip6(60, own.ip6, victim.ip6, joined(options6(ICMP6), gatewayIsMe)),
  ),
  'the same behind three of them': frame(
    to,
    own.mac,
    TYPE.ip6,
    ip6(0, own.ip6, victim.ip6, joined(options6(60), options6(60), options6(ICMP6), gatewayIsMe)),
  ),
  'I am the router': frame(
    to,
    own.mac,
    TYPE.ip6,
    ip6(ICMP6, local, victim.ip6, [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]),
  ),
  'I am the router, behind an extension header': frame(
    to,
    own.mac,
    TYPE.ip6,
    ip6(60, local, victim.ip6, joined(options6(ICMP6), [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0])),
  ),
  'a redirect': frame(to, own.mac, TYPE.ip6, ip6(ICMP6, local, victim.ip6, icmp6(137, own.ip6, own.mac))),
  'spanning tree': frame(
    [0x01, 0x80, 0xc2, 0, 0, 0],
    own.mac,
    [0, 38],
    [0x42, 0x42, 3, ...new Array<number>(35).fill(0), ...mark()],
  ),
  'a type of frame nobody needs': frame(to, own.mac, [0x88, 0xb5], mark()),
}
/** Cut before, in and behind what says that it is about the gateway. Anew each time: fragments of one number are one packet. */
function inFragments(): Record<string, Buffer> {
  const message = summed6(own.ip6, victim.ip6, joined(gatewayIsMe, mark()))
  const cuts: Readonly<Record<string, readonly number[]>> = {
    'behind the options': [8],
    'behind two of them': [16],
    'in the target': [24],
    twice: [8, 16],
  }
  return Object.fromEntries(
    Object.entries(cuts).flatMap(([name, sizes]) => {
      const body = joined(unknown6(60), unknown6(ICMP6), message)
      const packets = fragments6(60, own.ip6, victim.ip6, body, sizes)
      return packets.map((packet, n) => [`${n}: cut ${name}`, frame(to, own.mac, TYPE.ip6, packet)])
    }),
  )
}
const control = { 'the control': frame(to, own.mac, TYPE.ip, udp4(own.ip, victim.ip)) }
const names = (...all: readonly object[]): string[] => all.flatMap((one) => Object.keys(one))

describe('a container that sends on a bridge', { skip }, () => {
  let world: World
  let bridge: Pick<ContainerOptions, 'network' | 'bridgeIndex'>
  let target: TestContainer
  let attacker: TestContainer
  const options = { id: '6666666666', address: '10.201.1.102', address6: 'fd00:201:1::66' }

  before(async () => {
    world = await World.make()
    bridge = await world.network('one')
    target = await world.container({
      ...bridge,
      id: '2222222222',
      address: '10.201.1.2',
      address6: 'fd00:201:1::2',
    })
    attacker = await world.container({ ...bridge, ...options })
  })
  after(() => world[Symbol.asyncDispose]())

  const send = (frames: Readonly<Record<string, Buffer>>, from = attacker): Promise<string[]> =>
    arrivals({ ...frames, ...control }, { from: from.enter, to: target.enter, folder: world.folder })

  const onHost = async (...argv: readonly string[]): Promise<string> =>
    (await command([...world.host.enter, ...argv], { check: true })).stdout

  const within = async (container: TestContainer, line: string): Promise<string> =>
    (await command([...container.enter, ...line.split(' ')], { check: true })).stdout

  /** Who is where, as the bridge has learned it. */
  const learned = (): Promise<string> => onHost('bridge', 'fdb', 'show', 'br', 'dwtone')

  const flood = Object.fromEntries(
    Array.from({ length: 300 }, (_, n) => [
      `MAC ${n}`,
      frame(to, [2, 0x66, 0, 0, n >> 8, n & 255], TYPE.ip, udp4(own.ip, victim.ip)),
    ]),
  )
  /** The bridge takes these for itself, and learns from them. */
  const reserved = {
    'LLDP of a neighbour': frame(
      [0x01, 0x80, 0xc2, 0, 0, 0x0e],
      mac('02:66:ff:00:00:01'),
      [0x88, 0xcc],
      mark(),
    ),
  }

  test('sends whatever is true of itself', async () => {
    assert.deepEqual(await send(fine), names(fine, control))
  })

  test('A28: cannot take the place of the gateway, of a neighbour or of a router', async () => {
    assert.deepEqual(await send(forged), names(control))
    await askInVain(target, 'udp', '10.201.1.1', 9)
    assert.match(await within(target, 'ip neigh show 10.201.1.1'), /02:42:0a:c9:01:01/)
  })

  test('cannot hide that it takes the place of the gateway in fragments', async () => {
    // The kernel of the victim refuses them by itself (RFC 6980), unless the host has put them together (br_netfilter).
    await within(target, 'sysctl -qw net.ipv6.conf.eth0.suppress_frag_ndisc=0')
    await askInVain(target, 'udp', 'fd00:201:1::1', 9)
    const arrived = await send(inFragments())
    assert.deepEqual(
      arrived.filter((name) => name.startsWith('0: ')),
      [],
      'no first fragment',
    )
    assert.match(await within(target, 'ip neigh show fd00:201:1::1'), /02:42:0a:c9:01:01/)
    // Large packets of its own pass in fragments.
    const answer = await command([...attacker.enter, 'python3', '-c', LARGE, 'fd00:201:1::2'], {
      check: true,
    })
    assert.equal(answer.stdout.trim(), '129 4008')
  })

  test('cannot teach the bridge addresses that are not its own', async () => {
    assert.deepEqual(await send({ ...flood, ...reserved }), names(control))
    assert.doesNotMatch(await learned(), /02:66:/)
  })

  test('with CAP_NET_ADMIN gains nothing by another address or MAC', async () => {
    await within(attacker, 'ip addr add 10.201.1.77/24 dev eth0')
    assert.equal(await askInVain(attacker, 'tcp', '10.201.1.2', 80, '10.201.1.77'), 'timeout')
    assert.equal(await ask(attacker, 'tcp', '10.201.1.2', 80), '10.201.1.102')
    await within(attacker, 'ip addr del 10.201.1.77/24 dev eth0')
    await within(attacker, 'ip link set eth0 address 02:42:0a:c9:01:77')
    assert.match(await askInVain(attacker, 'tcp', '10.201.1.2', 80), /timeout|EHOSTUNREACH/)
    await within(attacker, 'ip link set eth0 address 02:42:0a:c9:01:66')
    assert.equal(await ask(attacker, 'tcp', '10.201.1.2', 80), '10.201.1.102')
  })

  test('may do all of it where its endpoint is unguarded', async () => {
    await attacker.shim.signal(9)
    await attacker.shim.exited
    attacker = await world.container({ ...bridge, ...options, unguarded: true })
    assert.deepEqual(await send(forged), names(forged, control))
    await attacker.shim.signal(9)
    await attacker.shim.exited
    attacker = await world.container({ ...bridge, ...options })
    assert.deepEqual(await send(forged), names(control))
  })

  test('leaves nothing in the sets, however it ends', async () => {
    const set = (): Promise<string> => onHost('nft', 'list', 'table', 'bridge', world.table)
    const brief = { ...bridge, id: '7777777777', address: '10.201.1.7' }
    const one = await world.container(brief)
    assert.match(await set(), /10\.201\.1\.7\b/)
    await one.shim.signal(9)
    await one.shim.exited
    await world.guards.sweep()
    assert.doesNotMatch(await set(), /10\.201\.1\.7\b|77777777/)
    const two = await world.container(brief)
    await command(['kill', '-9', String(two.shim.shimPid)], { check: true })
    await until(
      'the container to go',
      async () => (await command(['kill', '-0', String(two.shim.pid)])).code !== 0,
    )
    await world.core.run({ steps: releaseSteps(two.network, 'host') })
    assert.doesNotMatch(await set(), /10\.201\.1\.7\b|77777777/)
  })

  test('needs these rules: without them all of it works', async () => {
    await onHost('nft', 'flush', 'chain', 'bridge', world.table, 'senders')
    await onHost('ip', 'link', 'set', 'dwtone', 'type', 'bridge', 'no_linklocal_learn', '0')
    assert.deepEqual(await send(forged), names(forged, control))
    await send({ ...flood, ...reserved })
    await until('the false gateway of fragments', async () => {
      await send(inFragments())
      return (await within(target, 'ip neigh show fd00:201:1::1')).includes('02:42:0a:c9:01:66')
    })
    const table = await learned()
    assert.match(table, /02:66:ff:00:00:01/)
    assert.ok(table.split('02:66:00').length > 250)
    // arp(7) locktime: an entry is not replaced within a second of its last confirmation.
    await until('the false gateway', async () => {
      await send(forged)
      return (await within(target, 'ip neigh show 10.201.1.1')).includes('02:42:0a:c9:01:66')
    })
  })
})
