import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultSysctls } from './sysctls.ts'

test('defaultSysctls lets any user of a private network have low ports and ping', () => {
  assert.deepEqual(defaultSysctls({ networkMode: 'bridge' }, 65_536), {
    'net.ipv4.ip_unprivileged_port_start': '0',
    'net.ipv4.ping_group_range': '0 65535',
  })
  assert.equal(
    defaultSysctls({ networkMode: 'none' }, undefined)['net.ipv4.ping_group_range'],
    '0 2147483647',
  )
})

test("defaultSysctls leaves the host's network and another container's as they are", () => {
  assert.deepEqual(defaultSysctls({ networkMode: 'host' }, undefined), {})
  assert.deepEqual(defaultSysctls({ networkMode: 'container:abc' }, 65_536), {})
})
