import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePorts } from './ports.ts'

test('parsePorts takes addresses of both families, in brackets or not', () => {
  const at = (spec: string) => parsePorts([spec], []).bindings['80/tcp']?.[0]?.HostIp
  assert.equal(at('127.0.0.1:8080:80'), '127.0.0.1')
  assert.equal(at('[::1]:8080:80'), '::1')
  assert.equal(at('::1:8080:80'), '::1')
  assert.equal(at('::ffff:1.2.3.4:8080:80'), '::ffff:1.2.3.4')
  assert.equal(at('8080:80'), '')
})

test('parsePorts refuses what is no address, in docker’s words', () => {
  for (const ip of ['80:80', ':::', '01.2.3.4', '1.2.3', '1.2.3.4.5', 'localhost', 'fe80::1%eth0'])
    assert.throws(() => parsePorts([`${ip}:80:80`], []), { message: `invalid IP address: ${ip}` }, ip)
})
