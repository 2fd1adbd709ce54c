import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NetlinkWriter, attributeMap, attributeString, readMessages } from './netlink.ts'
import {
  addAddress,
  addDefaultRoute,
  createBridge,
  createVeth,
  deleteLink,
  setLinkUp,
} from './netlink-route.ts'
import { parseAddresses, parseLinks, parseRoutes } from './netlink-dump.ts'

function written(build: (w: NetlinkWriter) => void): { data: Buffer; pidAt: readonly number[] } {
  const w = new NetlinkWriter()
  build(w)
  return { data: Buffer.from(w.data), pidAt: w.pidAt }
}

const pair = {
  name: 'dwtv01234567',
  index: 0x10000001,
  bridgeIndex: 7,
  mtu: 1500,
  peer: { name: 'eth0', index: 64, mac: Uint8Array.from([2, 0x42, 10, 201, 1, 2]) },
}

test('createVeth is one message with the peer inside, and the pid where the core puts it', () => {
  const { data, pidAt } = written((w) => createVeth(w, pair))
  assert.equal([...readMessages(data)].length, 1)
  assert.equal(pidAt.length, 1)
  // The attribute header before the pid is IFLA_NET_NS_PID, 8 bytes long.
  assert.equal(data.readUInt16LE((pidAt[0] ?? 0) - 4), 8)
  assert.equal(data.readUInt16LE((pidAt[0] ?? 0) - 2), 19)
  const [link] = parseLinks([data])
  assert.deepEqual(
    {
      name: link?.name,
      index: link?.index,
      kind: link?.kind,
      master: link?.master,
      mtu: link?.mtu,
      up: link?.up,
    },
    { name: pair.name, index: pair.index, kind: 'veth', master: 7, mtu: 1500, up: true },
  )
})

test('createVeth field by field', () => {
  const { data } = written((w) => createVeth(w, pair))
  assert.equal(
    data.toString('hex'),
    'b0000000100005060100000000000000' + // nlmsghdr: 176 bytes, RTM_NEWLINK, REQUEST|ACK|EXCL|CREATE
      '00000000010000100100000001000000' + // ifinfomsg: index 0x10000001, up
      '1100030064777476303132333435363700000000' + // IFLA_IFNAME
      '08000400dc050000' + // IFLA_MTU
      '08000a0007000000' + // IFLA_MASTER
      '08001f0001000000' + // IFLA_NUM_TX_QUEUES
      '0800200001000000' + // IFLA_NUM_RX_QUEUES
      '5c001280' + // IFLA_LINKINFO
      '0800010076657468' + // kind veth
      '50000280' + // data
      '4c000180' + // VETH_INFO_PEER
      '00000000400000000000000000000000' + // ifinfomsg: index 64, down
      '090003006574683000000000' + // eth0
      '08000400dc050000' +
      '0a00010002420ac901020000' + // IFLA_ADDRESS
      '08001f0001000000' +
      '0800200001000000' +
      '0800130000000000', // IFLA_NET_NS_PID
  )
})

test('createBridge names kind, address and mtu, and is exclusive', () => {
  const mac = Uint8Array.from([2, 0x42, 10, 201, 1, 1])
  const { data } = written((w) => createBridge(w, { name: 'dewar0', mac, mtu: 9000 }))
  const [message] = [...readMessages(data)]
  assert.equal(message?.flags, 0x605)
  const [link] = parseLinks([data])
  assert.deepEqual(
    {
      name: link?.name,
      kind: link?.kind,
      mtu: link?.mtu,
      mac: Uint8Array.from(link?.mac ?? []),
      up: link?.up,
    },
    { name: 'dewar0', kind: 'bridge', mtu: 9000, mac, up: false },
  )
})

test('addAddress gives IPv4 its broadcast address and IPv6 no duplicate check', () => {
  const { data } = written((w) => {
    addAddress(w, 64, Uint8Array.from([10, 201, 1, 2]), 20)
    addAddress(w, 64, Uint8Array.from([0xfd, ...new Array<number>(14).fill(0), 2]), 64)
  })
  const [v4, v6] = [...readMessages(data)].map((message) => attributeMap(message.body, 8))
  assert.deepEqual([...(v4?.get(4) ?? [])], [10, 201, 15, 255])
  assert.equal(v6?.get(8)?.readUInt32LE(0), 0x82)
  assert.deepEqual(
    parseAddresses([data]).map(({ index, prefix, address }) => [index, prefix, address.length]),
    [
      [64, 20, 4],
      [64, 64, 16],
    ],
  )
})

test('addDefaultRoute leads everything to the gateway', () => {
  const { data } = written((w) => addDefaultRoute(w, 64, Uint8Array.from([10, 201, 1, 1])))
  const [route] = parseRoutes([data])
  assert.deepEqual(
    {
      prefix: route?.prefix,
      index: route?.index,
      table: route?.table,
      advertised: route?.advertised,
      to: [...(route?.destination ?? [])],
    },
    { prefix: 0, index: 64, table: 254, advertised: false, to: [0, 0, 0, 0] },
  )
})

test('several messages in one writer keep their order', () => {
  const { data } = written((w) => {
    setLinkUp(w, { index: 1 })
    deleteLink(w, { name: 'x' })
  })
  const messages = [...readMessages(data)]
  assert.deepEqual(
    messages.map((message) => message.type),
    [19, 17],
  )
  assert.equal(attributeString(attributeMap(messages[1]?.body ?? Buffer.alloc(0), 16).get(3)), 'x')
})

test('parseLinks, parseAddresses and parseRoutes pass over other messages and short ones', () => {
  const short = Buffer.from('140000001000000001000000000000000000000000', 'hex')
  const error = Buffer.from('2400000002000000010000000000000000000000' + '00'.repeat(16), 'hex')
  assert.deepEqual(parseLinks([short, error]), [])
  assert.deepEqual(parseAddresses([short, error]), [])
  assert.deepEqual(parseRoutes([short, error]), [])
})
