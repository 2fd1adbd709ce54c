import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultPool, type Network } from '../network/network.ts'
import { checkEndpoint } from './endpoint-check.ts'

const network: Network = {
  id: 'n',
  name: 'own',
  driver: 'bridge',
  created: 0,
  ipv4: defaultPool('10.1.0.0/24'),
  bridge: 'b',
  internal: false,
  attachable: false,
  mtu: 1500,
  icc: true,
  masquerade: true,
  hostBinding: '',
  options: {},
  labels: {},
}
const at = (ipv4Address: string) => ({ ipamConfig: { ipv4Address } })

test('checkEndpoint takes an address of a subnet that the user chose', () => {
  checkEndpoint(network, at('10.1.0.9'))
  checkEndpoint(network, { aliases: ['x'] })
})

test('checkEndpoint refuses in dockerd’s words', () => {
  const chosen = { ...network, ipv4: { ...defaultPool('10.1.0.0/24'), chosen: true } }
  const bridge = { ...network, name: 'bridge' }
  assert.throws(() => checkEndpoint(network, at('10.2.0.9')), {
    code: 'invalid-argument',
    message: 'invalid endpoint settings:\nno configured subnet or ip-range contain the IP address 10.2.0.9',
  })
  assert.throws(() => checkEndpoint(network, at('nonsense')), /invalid IPv4 address: nonsense/)
  assert.throws(() => checkEndpoint(network, at('fd00::1')), /invalid IPv4 address: fd00::1/)
  assert.throws(
    () => checkEndpoint(chosen, at('10.1.0.9')),
    /only when connecting to networks with user configured/,
  )
  assert.throws(() => checkEndpoint(bridge, at('10.1.0.9')), /supported on user defined networks only/)
  assert.throws(
    () => checkEndpoint(bridge, { aliases: ['x'] }),
    /only for containers in user defined networks/,
  )
})
