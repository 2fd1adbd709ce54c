import { test } from 'node:test'
import assert from 'node:assert/strict'
import { parseSubnet } from '../network/address.ts'
import { predefinedNetworks, requestedNetwork } from './network-records.ts'
import { networkView } from './network-view.ts'
import { privatePool6 } from './network-pools.ts'
import type { NetworkRequest } from './types.ts'

const options = { bridge: 'dewar0', subnet: '10.1.0.0/24', taken: [], ipv6: undefined }
const predefined = predefinedNetworks(options)
const ask = (request: NetworkRequest) =>
  requestedNetwork(request, {
    others: predefined,
    taken: [parseSubnet('10.9.0.0/16')],
    links: ['lo', 'eth0'],
    instance: 'abcdef01',
  })

test('predefinedNetworks are bridge, host and none', () => {
  assert.deepEqual(
    predefined.map(({ name, driver }) => `${name} ${driver}`),
    ['bridge bridge', 'host host', 'none null'],
  )
  assert.deepEqual(predefined[0]?.ipv4, { subnet: '10.1.0.0/24', gateway: '10.1.0.1' })
})

test('requestedNetwork chooses a free subnet and a bridge name the kernel takes', () => {
  const network = ask({ name: 'mine' })
  assert.equal(network.bridge.length <= 15, true)
  assert.ok(network.ipv4)
  const config = [{ subnet: '10.2.0.0/24', gateway: '10.2.0.254', ipRange: '10.2.0.128/25' }]
  assert.deepEqual(ask({ name: 'n', ipam: { driver: 'default', options: null, config } }).ipv4, config[0])
})

test('requestedNetwork refuses in dockerd’s words', () => {
  const pool = (subnet: string) => ({ driver: 'default', options: null, config: [{ subnet }] })
  const cases: [NetworkRequest, RegExp][] = [
    [{ name: 'bridge' }, /operation is not permitted on predefined bridge network/],
    [{ name: '../x' }, /invalid network name/],
    [{ name: 'n', driver: 'overlay' }, /This node is not a swarm manager/],
    [{ name: 'n', ipam: pool('10.9.1.0/24') }, /Pool overlaps with other one on this address space/],
    [{ name: 'n', ipam: pool('10.1.0.0/16') }, /Pool overlaps/],
    [{ name: 'n', options: { 'com.docker.network.bridge.name': 'a/../b' } }, /interface name/],
    [{ name: 'n', options: { 'com.docker.network.driver.mtu': '9' } }, /invalid MTU/],
  ]
  for (const [request, message] of cases) assert.throws(() => ask(request), message, JSON.stringify(request))
})

test('networkView shows members with their prefix', () => {
  const [bridge] = predefined
  assert.ok(bridge)
  const view = networkView(bridge, [
    { id: 'c', name: 'web', endpointID: 'e', mac: '02:42:0a:01:00:02', address: '10.1.0.2' },
  ])
  assert.deepEqual(view.containers['c'], {
    name: 'web',
    endpointID: 'e',
    macAddress: '02:42:0a:01:00:02',
    ipv4Address: '10.1.0.2/24',
    ipv6Address: '',
  })
})

test('predefinedNetworks give the bridge IPv6 where the host has it, always the same for one engine', () => {
  const [bridge] = predefinedNetworks({ ...options, ipv6: privatePool6('abcdef01') })
  assert.match(bridge?.ipv6?.subnet ?? '', /^fd[0-9a-f:]+::\/64$/)
  assert.match(bridge?.ipv6?.gateway ?? '', /::1$/)
  assert.deepEqual(bridge?.ipv6, privatePool6('abcdef01'))
  assert.equal(predefined[0]?.ipv6, undefined)
  assert.ok(bridge)
  assert.equal(networkView(bridge, []).enableIPv6, true)
})

test('requestedNetwork finds an IPv6 subnet for who asks for IPv6 and names none', () => {
  assert.match(ask({ name: 'six', enableIPv6: true }).ipv6?.subnet ?? '', /^fd[0-9a-f:]+\/64$/)
  assert.equal(ask({ name: 'four' }).ipv6, undefined)
})
