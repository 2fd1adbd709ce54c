import { test } from 'node:test'
import assert from 'node:assert/strict'
import { ENDPOINT_SYSCTLS, interfaceSettings } from './endpoint-sysctls.ts'

const of = (text: string) => interfaceSettings({ driverOpts: { [ENDPOINT_SYSCTLS]: text } })

test('interfaceSettings reads a list, with the name of the interface in either case', () => {
  assert.deepEqual(interfaceSettings({}), [])
  assert.deepEqual(of('net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.ifname.retrans_time_ms=200'), [
    { folder: 'ipv4/conf', key: 'log_martians', value: '1' },
    { folder: 'ipv6/neigh', key: 'retrans_time_ms', value: '200' },
  ])
})

test('interfaceSettings refuses what names another interface, no interface, or leads elsewhere', () => {
  const bad = [
    'net.ipv4.conf.eth0.log_martians=1',
    'net.ipv4.ip_forward=1',
    'net.core.conf.IFNAME.x=1',
    'kernel.x.y.IFNAME.z=1',
    'net.ipv4.conf/../../../kernel.IFNAME.core_pattern=x',
    'net.ipv4...IFNAME.x=1',
    'net.ipv4.conf.IFNAME.../all/forwarding=1',
    'net.ipv4.conf.IFNAME.log_martians',
    'net.ipv4.conf.IFNAME.log_martians=',
    'net.ipv4.conf.IFNAME.log_martians=1\n2',
    'net.ipv4.conf.IFNAME.log_martians=1,,',
  ]
  for (const text of bad) assert.throws(() => of(text), /unrecognised network interface sysctl/, text)
})
