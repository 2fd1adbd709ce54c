import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { contains, parseAddress, parseSubnet, formatSubnet } from './address.ts'
import {
  allocateAddress,
  chooseSubnet,
  claimAddress,
  formatMac,
  macOf,
  parseMac,
  privateSubnet6,
} from './ipam.ts'
import { defaultPool, poolOf } from './network.ts'

const pool = poolOf(defaultPool('10.201.5.0/29'))

test('allocateAddress gives each address once, never those of network, gateway and broadcast, and then refuses', () => {
  const used = new Set<string>()
  for (let i = 0; i < 5; i += 1) used.add(allocateAddress(pool, used))
  assert.deepEqual([...used], ['10.201.5.2', '10.201.5.3', '10.201.5.4', '10.201.5.5', '10.201.5.6'])
  assert.throws(
    () => allocateAddress(pool, used),
    /no available IPv4 addresses on this network's address pools: 10.201.5.0\/29/,
  )
  used.delete('10.201.5.4')
  assert.equal(allocateAddress(pool, used), '10.201.5.4')
})

test('allocateAddress never gives a used address, whatever is used', () => {
  const addresses = fc.uniqueArray(fc.integer({ min: 0, max: 255 }), { maxLength: 250 })
  const wide = poolOf(defaultPool('10.201.6.0/24'))
  fc.assert(
    fc.property(addresses, (last) => {
      const used = new Set(last.map((n) => `10.201.6.${n}`))
      const free = 253 - last.filter((n) => n > 1 && n < 255).length
      if (free === 0) return
      const given = allocateAddress(wide, used)
      assert.ok(!used.has(given))
      assert.ok(contains(wide.subnet, parseAddress(given) ?? new Uint8Array(4)))
    }),
  )
})

test('allocateAddress keeps to the range that was asked for, and works in a /64', () => {
  const ranged = poolOf({ subnet: '10.201.0.0/16', gateway: '10.201.0.1', ipRange: '10.201.9.0/24' })
  assert.equal(allocateAddress(ranged, new Set()), '10.201.9.0')
  const v6 = poolOf(defaultPool('fd00:201::/64'))
  assert.equal(allocateAddress(v6, new Set(['fd00:201::2'])), 'fd00:201::3')
})

test('claimAddress takes a free address of the subnet and refuses all others', () => {
  assert.equal(claimAddress(pool, '10.201.5.6', new Set()), '10.201.5.6')
  assert.throws(() => claimAddress(pool, '10.201.5.6', new Set(['10.201.5.6'])), /Address already in use/)
  assert.throws(() => claimAddress(pool, '10.201.5.1', new Set()), /Address already in use/)
  for (const text of ['10.201.5.0', '10.201.5.7', '10.201.6.1', 'fd00::2']) {
    assert.throws(() => claimAddress(pool, text, new Set()), /not a host address of 10.201.5.0\/29/, text)
  }
  assert.throws(() => claimAddress(pool, 'here', new Set()), /invalid IP address/)
})

test('chooseSubnet takes the first of Docker’s pools that no route of the host overlaps', () => {
  assert.equal(formatSubnet(chooseSubnet([])), '172.17.0.0/16')
  const taken = ['172.17.0.0/16', '172.18.5.0/24', '172.19.0.0/30', '172.20.0.0/14'].map(parseSubnet)
  assert.equal(formatSubnet(chooseSubnet(taken)), '172.24.0.0/16')
  assert.equal(formatSubnet(chooseSubnet(['172.16.0.0/12'].map(parseSubnet))), '192.168.0.0/20')
  assert.throws(
    () => chooseSubnet(['172.0.0.0/8', '192.168.0.0/16'].map(parseSubnet)),
    /have been fully subnetted/,
  )
})

test('privateSubnet6 is a private /64, the same for the same seed and another for another', () => {
  assert.equal(formatSubnet(privateSubnet6('a')), formatSubnet(privateSubnet6('a')))
  assert.notEqual(formatSubnet(privateSubnet6('a')), formatSubnet(privateSubnet6('b')))
  assert.match(formatSubnet(privateSubnet6('a')), /^fd[0-9a-f]{2}:.*::\/64$/)
})

test('macOf is unicast, locally administered and follows the address', () => {
  assert.equal(formatMac(macOf(Uint8Array.from([172, 17, 0, 2]))), '02:42:ac:11:00:02')
})

test('parseMac refuses group addresses and nonsense', () => {
  for (const text of ['02:42:AC:11:00:02', '02-42-ac-11-00-02', '0242.ac11.0002'])
    assert.equal(formatMac(parseMac(text)), '02:42:ac:11:00:02', text)
  for (const text of ['', '01:00:5e:00:00:01', '02:42:ac:11:00', '02:42-ac:11:00:02', '02:42:ac:11:00:0g']) {
    assert.throws(() => parseMac(text), /invalid MAC address/, text)
  }
})
