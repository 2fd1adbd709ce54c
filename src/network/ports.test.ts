import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decidePorts, parsePortRange, portAllocated, reserveFailed } from './ports.ts'
import type { PortRequest } from './ports.ts'

const base: PortRequest = {
  bindings: {},
  exposed: {},
  publishAll: false,
  address: '172.17.0.2',
  hostBinding: '',
  taken: [],
  busy: new Set(),
  ephemeral: [32768, 60999],
  endpoint: { name: 'web', id: 'abc' },
}
const decide = (change: Partial<PortRequest>) => decidePorts({ ...base, ...change })
const bind = (hostPort: string, hostIp = '') => ({ '80/tcp': [{ hostIp, hostPort }] })
const owner = (hostAddress: string, hostPort: number) => ({
  protocol: 'tcp' as const,
  hostAddress,
  hostPort,
  address: '172.17.0.9',
  port: 80,
})

test('decidePorts publishes a fixed port on all addresses, in each family the container has', () => {
  assert.deepEqual(decide({ bindings: bind('8080') }).published, [
    { protocol: 'tcp', hostAddress: '0.0.0.0', hostPort: 8080, address: '172.17.0.2', port: 80 },
  ])
  const both = decide({ bindings: bind('8080'), address6: 'fd00::2' })
  assert.deepEqual(both.ports, {
    '80/tcp': [
      { hostIp: '0.0.0.0', hostPort: '8080' },
      { hostIp: '::', hostPort: '8080' },
    ],
  })
  assert.equal(both.chosen.size, 0)
})

test('decidePorts takes the first free port of a range, and any free one for none', () => {
  const taken = [owner('0.0.0.0', 8000), owner('127.0.0.1', 8001)]
  const range = decide({ bindings: bind('8000-8010'), taken })
  assert.equal(range.published[0]?.hostPort, 8002)
  assert.deepEqual([...range.chosen], ['tcp/8002'])
  const any = decide({ bindings: bind(''), busy: new Set(['tcp/32768', 'udp/32769']) })
  assert.equal(any.published[0]?.hostPort, 32769)
})

test('decidePorts gives two ports of one container different host ports', () => {
  const two = decide({ bindings: { '80/tcp': [{ hostIp: '', hostPort: '' }], '81/tcp': null, '82/udp': [] } })
  assert.deepEqual(
    two.published.map(({ port, hostPort }) => [port, hostPort]),
    [
      [80, 32768],
      [81, 32769],
      [82, 32768],
    ],
  )
})

test('decidePorts shows exposed ports, and publishes them for -P', () => {
  const exposed = { '80/tcp': {}, '443': {} }
  assert.deepEqual(decide({ exposed }).ports, { '80/tcp': null, '443/tcp': null })
  assert.deepEqual(
    decide({ exposed, publishAll: true })
      .published.map(({ hostPort }) => hostPort)
      .sort((a, b) => a - b),
    [32768, 32769],
  )
})

test('decidePorts refuses a fixed port that is taken, in dockerd’s words', () => {
  const taken = [owner('0.0.0.0', 8080)]
  assert.throws(() => decide({ bindings: bind('8080'), taken }), {
    message:
      'driver failed programming external connectivity on endpoint web (abc): Bind for 0.0.0.0:8080 failed: port is already allocated',
  })
  assert.throws(
    () => decide({ bindings: bind('8080', '127.0.0.1'), taken }),
    /Bind for 127.0.0.1:8080 failed/,
  )
  assert.equal(
    decide({ bindings: { '80/udp': [{ hostIp: '', hostPort: '8080' }] }, taken }).published.length,
    1,
  )
  const specific = [owner('127.0.0.1', 8080)]
  assert.equal(decide({ bindings: bind('8080', '127.0.0.2'), taken: specific }).published.length, 1)
})

test('decidePorts says when a range is used up', () => {
  assert.throws(
    () => decide({ bindings: bind('8000-8001'), taken: [owner('0.0.0.0', 8000), owner('0.0.0.0', 8001)] }),
    /all ports are allocated/,
  )
})

test('decidePorts refuses numbers and addresses that are none, and families the network has not', () => {
  for (const text of ['x', '-1', '65536', '9-8', '0-5', '1-2-3x', '1-']) {
    assert.throws(() => decide({ bindings: bind(text) }), /invalid host port/, text)
  }
  for (const text of ['0/tcp', '80/icmp', 'x', '65536', '']) {
    assert.throws(() => decide({ bindings: { [text]: null } }), /invalid port specification/, text)
  }
  assert.throws(() => decide({ bindings: bind('80', 'localhost') }), /invalid host address/)
  assert.throws(() => decide({ bindings: bind('80', 'fd00::1') }), /the container's network has no IPv6/)
  assert.throws(
    () => decide({ bindings: bind('80', '::1'), address6: 'fd00::2' }),
    /cannot publish on \[::1\]/,
  )
})

test('decidePorts takes an IPv4 address in the form of IPv6 for what it is', () => {
  assert.deepEqual(decide({ bindings: bind('8080', '::ffff:127.0.0.1') }).ports, {
    '80/tcp': [{ hostIp: '127.0.0.1', hostPort: '8080' }],
  })
})

test('decidePorts takes protocols in capitals', () => {
  assert.deepEqual(decide({ exposed: { '80/TCP': {} } }).ports, { '80/tcp': null })
})

test('decidePorts uses the network’s own host address for bindings without one', () => {
  assert.equal(
    decide({ bindings: bind('8080'), hostBinding: '127.0.0.1' }).published[0]?.hostAddress,
    '127.0.0.1',
  )
})

test('reserveFailed tells a taken port from an address that is not there', () => {
  const port = { protocol: 'tcp', hostAddress: '192.0.2.9', hostPort: 80 } as const
  assert.match(
    reserveFailed(base.endpoint, port, 'EADDRINUSE').message,
    /listen tcp4 192.0.2.9:80: bind: address already in use$/,
  )
  assert.match(
    reserveFailed(base.endpoint, port, 'EEXIST').message,
    /Bind for 192.0.2.9:80 failed: port is already allocated/,
  )
  assert.match(reserveFailed(base.endpoint, port, 'EADDRNOTAVAIL').message, /cannot assign requested address/)
  assert.match(
    reserveFailed(base.endpoint, { ...port, protocol: 'sctp' }, 'errno 94').message,
    /listen sctp4 192.0.2.9:80: bind: socket type not supported \(.*modprobe sctp/,
  )
  assert.match(reserveFailed(base.endpoint, port, 'EINVAL').message, /bind: invalid argument$/)
  assert.match(portAllocated(base.endpoint, '::', 80).message, /Bind for \[::\]:80 failed/)
})

test('parsePortRange falls back to Docker’s range', () => {
  assert.deepEqual(parsePortRange('32768\t60999\n'), [32768, 60999])
  for (const text of ['', 'x y', '5 4', '0 70000'])
    assert.deepEqual(parsePortRange(text), [49153, 65535], text)
})
