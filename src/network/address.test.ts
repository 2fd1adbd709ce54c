import assert from 'node:assert/strict'
import { isIPv4 } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  contains,
  formatAddress,
  formatSubnet,
  nth,
  overlaps,
  parseAddress,
  parseSubnet,
  rangeOf,
} from './address.ts'

const address4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
const address6 = fc.uint8Array({ minLength: 16, maxLength: 16 })

test('parseAddress reads back what formatAddress wrote', () => {
  fc.assert(
    fc.property(fc.oneof(address4, address6), (address) => {
      assert.deepEqual(parseAddress(formatAddress(address)), address)
    }),
  )
})

test('parseAddress agrees with net.isIPv4 on every text', () => {
  const text = fc.array(fc.constantFrom('0', '1', '25', '255', '256', '01', '.', '.', '.', ' ', '-', 'a'), {
    maxLength: 9,
  })
  fc.assert(
    fc.property(text, (parts) => {
      const joined = parts.join('')
      assert.equal(parseAddress(joined)?.length === 4, isIPv4(joined), joined)
    }),
    { numRuns: 2000 },
  )
})

test('formatAddress writes IPv6 as the URL parser of the platform does (RFC 5952)', () => {
  const sparse = fc
    .array(fc.constantFrom(0, 0, 1, 0xfd), { minLength: 16, maxLength: 16 })
    .map((bytes) => Uint8Array.from(bytes))
  fc.assert(
    fc.property(fc.oneof(address6, sparse), (address) => {
      assert.equal(`[${formatAddress(address)}]`, new URL(`http://[${formatAddress(address)}]/`).hostname)
    }),
  )
})

test('parseAddress takes embedded IPv4 and refuses names, zones and nonsense', () => {
  assert.equal(formatAddress(parseAddress('::ffff:10.1.2.3') ?? new Uint8Array(4)), '::ffff:a01:203')
  for (const text of ['', 'localhost', '1.2.3', '1.2.3.256', 'fe80::1%eth0', '10.0.0.1/8', ' ::1']) {
    assert.equal(parseAddress(text), undefined, text)
  }
})

test('parseSubnet cuts the host part off and refuses what is no subnet', () => {
  assert.equal(formatSubnet(parseSubnet('10.201.7.9/16')), '10.201.0.0/16')
  assert.equal(formatSubnet(parseSubnet('fd00:1::5/64')), 'fd00:1::/64')
  for (const text of ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/-1', 'x/8', '/8', '10.0.0.0/ 8']) {
    assert.throws(() => parseSubnet(text), /invalid subnet/, text)
  }
})

test('contains and overlaps tell subnets of both families apart', () => {
  const subnet = parseSubnet('10.201.0.0/16')
  assert.ok(contains(subnet, Uint8Array.from([10, 201, 255, 255])))
  assert.ok(!contains(subnet, Uint8Array.from([10, 202, 0, 0])))
  assert.ok(overlaps(subnet, parseSubnet('10.0.0.0/8')))
  assert.ok(overlaps(parseSubnet('0.0.0.0/0'), subnet))
  assert.ok(!overlaps(subnet, parseSubnet('10.200.0.0/16')))
  assert.ok(!overlaps(subnet, parseSubnet('::/0')))
})

test('rangeOf gives the first and last address', () => {
  const { base, last } = rangeOf(parseSubnet('192.168.16.0/20'))
  assert.deepEqual([formatAddress(base), formatAddress(last)], ['192.168.16.0', '192.168.31.255'])
  assert.equal(formatAddress(nth(parseSubnet('fd00::/64'), 258n)), 'fd00::102')
})
