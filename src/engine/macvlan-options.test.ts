import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Network } from '../network/network.ts'
import { macvlanOf } from './macvlan-options.ts'
import { predefinedNetworks } from './network-records.ts'

const id = '0123456789abcdef'.repeat(4)
const links = ['lo', 'eth0', 'wlan0']
const ask = (options: Readonly<Record<string, string>>, others: readonly Network[] = []) =>
  macvlanOf({ id, options }, others, links)

test('macvlanOf takes an interface of the host, a VLAN of one, or makes one that leads nowhere', () => {
  assert.deepEqual(ask({ parent: 'eth0' }), { parent: 'eth0', mode: 'bridge' })
  assert.deepEqual(ask({ parent: 'eth0.50', macvlan_mode: 'vepa' }), {
    parent: 'eth0.50',
    mode: 'vepa',
    made: { on: 'eth0', vlan: 50 },
  })
  assert.deepEqual(ask({}), { parent: 'dm-0123456789ab', mode: 'bridge', made: 'inner' })
})

test('macvlanOf refuses in dockerd’s words', () => {
  const refusals: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ parent: 'lo' }, /^loopback interface is not a valid macvlan parent link$/],
    [{ parent: 'nosuch' }, /^invalid subinterface vlan name nosuch, example formatting is eth0\.10$/],
    [{ parent: 'nosuch.5' }, /interface was not found on the host: nosuch$/],
    [{ parent: 'eth0.x' }, /^unable to parse a valid vlan id from: x /],
    [{ parent: 'eth0.0' }, /^vlan id must be between 1-4094, received: 0$/],
    [{ parent: 'eth0.4095' }, /received: 4095$/],
    [{ parent: 'eth0.1.2' }, /instead received eth0\.1\.2$/],
    [{ parent: '../eth0.5' }, /instead received \.\.\/eth0\.5$/],
    [{ parent: 'eth0', macvlan_mode: 'odd' }, /^requested macvlan mode 'odd' is not valid/],
  ]
  for (const [options, message] of refusals) assert.throws(() => ask(options), { code: 'system', message })
})

test('macvlanOf gives a parent to one network alone', () => {
  const [first] = predefinedNetworks({ bridge: 'b', subnet: '10.1.0.0/24', taken: [], ipv6: undefined })
  assert.ok(first !== undefined)
  const other: Network = { ...first, id, driver: 'macvlan', macvlan: ask({ parent: 'eth0' }) }
  assert.throws(
    () => ask({ parent: 'eth0' }, [other]),
    /^DewarError: network dm-0123456789ab is already using parent interface eth0$/,
  )
  assert.equal(ask({ parent: 'wlan0' }, [other]).parent, 'wlan0')
})
