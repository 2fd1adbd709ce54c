import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointConfig, HostConfig, Mount } from '../engine/types.ts'
import { createByVersion } from './create-by-version.ts'

interface Given {
  readonly host?: Partial<HostConfig>
  readonly endpoints?: Readonly<Record<string, EndpointConfig>>
  readonly healthcheck?: { readonly startInterval: number; readonly retries: number }
  readonly mac?: string
}

function at(minor: number, { host = {}, endpoints = {}, healthcheck, mac }: Given) {
  const config = { image: 'x', ...(healthcheck === undefined ? {} : { healthcheck }) }
  return createByVersion({ config, hostConfig: host, endpoints }, minor, mac)
}
const mounted = (...mounts: Mount[]): Given => ({ host: { mounts } })

test('createByVersion leaves out what came later, as dockerd does', () => {
  const host = { annotations: { a: 'b' }, consoleSize: [3, 4] as const, memory: 5 }
  assert.deepEqual(at(43, { host }).request.hostConfig, host)
  assert.deepEqual(at(42, { host }).request.hostConfig, { consoleSize: [3, 4], memory: 5 })
  assert.deepEqual(at(41, { host }).request.hostConfig, { memory: 5 })
  const healthcheck = { startInterval: 1, retries: 2 }
  assert.deepEqual(at(44, { healthcheck }).request.config.healthcheck, healthcheck)
  assert.deepEqual(at(43, { healthcheck }).request.config.healthcheck, { retries: 2 })
  const endpoints = { net: { gwPriority: 7, aliases: ['a'] } }
  assert.deepEqual(at(48, { endpoints }).request.endpoints, endpoints)
  assert.deepEqual(at(47, { endpoints }).request.endpoints, { net: { aliases: ['a'] } })
})

test('createByVersion refuses what a client would count on in vain', () => {
  const volume = { type: 'volume', source: 'v', target: '/v', volumeOptions: { subpath: 'part' } } as const
  const forced = {
    type: 'bind',
    source: '/',
    target: '/v',
    bindOptions: { readOnlyForceRecursive: true },
  } as const
  const two = { endpoints: { a: {}, b: {} } }
  assert.throws(
    () => at(44, mounted(volume)),
    /^DewarError: VolumeOptions\.Subpath needs API v1\.45 or newer$/,
  )
  assert.throws(() => at(43, mounted(forced)), /ReadOnlyForceRecursive needs API v1\.44 or newer/)
  assert.throws(() => at(43, two), /cannot be created with multiple network endpoints: a, b/)
  assert.throws(() => at(47, mounted({ type: 'image', source: 'i', target: '/i' })), /needs API v1\.48/)
  for (const [minor, given] of [
    [45, mounted(volume)],
    [44, mounted(forced)],
    [44, two],
  ] as const)
    assert.deepEqual(at(minor, given).warnings, [])
})

test('createByVersion forgives options of other mounts before 1.42', () => {
  const mount = {
    type: 'tmpfs',
    target: '/t',
    bindOptions: { createMountpoint: true, nonRecursive: true },
    volumeOptions: { noCopy: true },
    tmpfsOptions: { mode: 7 },
  } as const
  assert.deepEqual(at(41, mounted(mount)).request.hostConfig.mounts, [
    { type: 'tmpfs', target: '/t', bindOptions: { nonRecursive: true }, tmpfsOptions: { mode: 7 } },
  ])
  assert.deepEqual(at(42, mounted(mount)).request.hostConfig.mounts, [mount])
})

test('createByVersion gives the MAC address of the config to the endpoint of the network mode', () => {
  const mac = '02:00:00:00:00:01'
  assert.deepEqual(at(43, { mac }).request.endpoints, { default: { macAddress: mac } })
  assert.deepEqual(
    at(43, { mac, endpoints: { other: {} }, host: { networkMode: 'net' } }).request.endpoints,
    {
      other: { macAddress: mac },
    },
  )
  const newer = at(44, { mac, endpoints: { a: {}, net: { aliases: ['x'] } }, host: { networkMode: 'net' } })
  assert.deepEqual(newer.request.endpoints, { a: {}, net: { aliases: ['x'], macAddress: mac } })
  assert.match(String(newer.warnings), /container-wide MacAddress field is now deprecated/)
  const other = { net: { macAddress: '02:00:00:00:00:02' } }
  assert.throws(
    () => at(44, { mac, endpoints: other, host: { networkMode: 'net' } }),
    /must match the endpoint/,
  )
  assert.throws(
    () => at(44, { mac, endpoints: { a: {} }, host: { networkMode: 'net' } }),
    /must match the identi/,
  )
  assert.throws(() => at(43, { mac, host: { networkMode: 'host' } }), /mac-address and the network mode/)
  assert.deepEqual(at(44, { mac, host: { networkMode: 'host' } }).request.endpoints, {})
  const own = { endpoints: { net: { macAddress: mac } } }
  assert.deepEqual(at(43, own).request.endpoints, { net: {} }, 'endpoints had no address then')
  assert.deepEqual(at(44, own).request.endpoints, own.endpoints)
})

test('createByVersion warns that the driver of the container is not that of its mounts, from 1.48 on', () => {
  const volume = { type: 'volume', source: 'v', target: '/v' } as const
  const named = { ...volume, volumeOptions: { driverConfig: { name: 'local' } } }
  const host = { volumeDriver: 'local' }
  const warned = (minor: number, mounts: readonly Mount[]) =>
    at(minor, { host: { ...host, mounts } }).warnings
  assert.match(
    String(warned(48, [named, volume])),
    /^WARNING: the container-wide volume-driver config.* ignored/,
  )
  assert.deepEqual(warned(47, [volume]), [])
  assert.deepEqual(warned(48, [named, { type: 'tmpfs', target: '/t' }]), [])
  assert.deepEqual(at(48, mounted(volume)).warnings, [])
})

test('createByVersion keeps for versions before 1.40 and 1.25 what their clients count on', () => {
  const bind = { type: 'bind', source: '/', target: '/v', bindOptions: { nonRecursive: true } } as const
  const host = { mounts: [bind], autoRemove: true }
  assert.deepEqual(at(40, { host }).request.hostConfig, host)
  assert.deepEqual(at(39, { host }).request.hostConfig, {
    mounts: [{ ...bind, bindOptions: {} }],
    autoRemove: true,
    ipcMode: 'shareable',
  })
  assert.equal(at(39, { host: { ipcMode: 'private' } }).request.hostConfig.ipcMode, 'private')
  assert.equal(at(25, { host }).request.hostConfig.autoRemove, true)
  assert.equal(at(24, { host }).request.hostConfig.autoRemove, undefined)
})

test("createByVersion gives eth0's settings to the endpoint up to 1.46, and refuses them later", () => {
  const sysctls = { 'net.ipv4.conf.eth0.forwarding': '1', 'net.core.somaxconn': '5' }
  const key = 'com.docker.network.endpoint.sysctls'
  const moved = at(46, { host: { sysctls } })
  assert.deepEqual(moved.request.hostConfig.sysctls, { 'net.core.somaxconn': '5' })
  assert.deepEqual(moved.request.endpoints, {
    default: { driverOpts: { [key]: 'net.ipv4.conf.IFNAME.forwarding=1' } },
  })
  assert.deepEqual(moved.warnings, [
    `Migrated sysctl "net.ipv4.conf.eth0.forwarding" to DriverOpts{"${key}":"net.ipv4.conf.IFNAME.forwarding=1"}.`,
  ])
  const endpoints = { net: { driverOpts: { [key]: 'net.ipv4.conf.IFNAME.log_martians=1' } } }
  assert.equal(
    at(46, { host: { sysctls, networkMode: 'net' }, endpoints }).request.endpoints['net']?.driverOpts?.[key],
    'net.ipv4.conf.IFNAME.forwarding=1,net.ipv4.conf.IFNAME.log_martians=1',
  )
  assert.throws(() => at(47, { host: { sysctls } }), /must be supplied using driver option/)
  assert.throws(
    () => at(46, { host: { sysctls: { 'net.ipv4.conf.eth1.forwarding': '1' } } }),
    /unable to determine/,
  )
  assert.throws(
    () => at(46, { host: { sysctls, networkMode: 'a' }, endpoints: { b: {} } }),
    /unable to find a network/,
  )
  for (const networkMode of ['host', 'none', 'container:x']) {
    assert.deepEqual(at(47, { host: { sysctls, networkMode } }).warnings, [])
  }
})
