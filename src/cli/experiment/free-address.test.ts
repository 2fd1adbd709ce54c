import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { freePort, freeSubnet, parseRoutes } from './free-address.ts'

test('freePort passes over a port that is in use', async () => {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const found = await freePort(address.port)
  assert.ok(found > address.port && found < address.port + 200)
  server.close()
  await once(server, 'close')
  assert.equal(await freePort(address.port), address.port)
})

test('freePort sees a listener on one address only', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  assert.notEqual(await freePort(address.port), address.port)
  server.close()
})

test('parseRoutes reads /proc/net/route and leaves the default route out', () => {
  const text = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t000A0A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    '',
  ].join('\n')
  assert.deepEqual(parseRoutes(text), [{ network: 0x0a0a0a00, mask: 0xffffff00 }])
})

test('freeSubnet gives a /24 of the private range', async () => {
  assert.match(await freeSubnet(), /^10\.(12[89]|1[3-9]\d|2\d\d)\.\d+\.0\/24$/)
})
