import { test } from 'node:test'
import assert from 'node:assert/strict'
import { commandOf, completeHostConfig, mergeConfig, processEnv } from './config.ts'
import type { ContainerConfig, HostConfig, ImageConfig } from './types.ts'

const image: ImageConfig = {
  user: 'web',
  exposedPorts: { '80/tcp': {} },
  env: ['PATH=/bin', 'A=image'],
  entrypoint: ['/entry'],
  cmd: ['serve'],
  volumes: { '/data': {} },
  workingDir: '/srv',
  labels: { from: 'image', both: 'image' },
  stopSignal: 'SIGQUIT',
}
const ID = 'abcdef0123456789'.repeat(4)
const merge = (config: Partial<ContainerConfig>, hostConfig = {}) =>
  mergeConfig({ config: { image: 'web', ...config }, hostConfig, endpoints: {} }, image, ID)

test('mergeConfig takes entrypoint and command from the image', () => {
  const config = merge({})
  assert.deepEqual([config.entrypoint, config.cmd], [['/entry'], ['serve']])
  assert.deepEqual(commandOf(config), { path: '/entry', args: ['serve'] })
})

test('mergeConfig lets a command replace the command, an entrypoint both', () => {
  assert.deepEqual(commandOf(merge({ cmd: ['x'] })), { path: '/entry', args: ['x'] })
  assert.deepEqual(commandOf(merge({ entrypoint: ['/sh'] })), { path: '/sh', args: [] })
  assert.deepEqual(commandOf(merge({ entrypoint: [''], cmd: ['ls'] })), { path: 'ls', args: [] })
})

test('commandOf refuses nothing at all', () => {
  assert.throws(() => commandOf(merge({ entrypoint: [''] })), /^DewarError: no command specified/)
})

test('mergeConfig merges environment, labels, volumes and ports', () => {
  const config = merge({
    env: ['A=mine', 'B='],
    labels: { both: 'mine' },
    volumes: { '/x': {} },
    exposedPorts: { '1/udp': {} },
  })
  assert.deepEqual(config.env, ['A=mine', 'B=', 'PATH=/bin'])
  assert.deepEqual(config.labels, { from: 'image', both: 'mine' })
  assert.deepEqual(Object.keys(config.volumes), ['/data', '/x'])
  assert.deepEqual(Object.keys(config.exposedPorts), ['80/tcp', '1/udp'])
  assert.deepEqual([config.user, config.workingDir, config.stopSignal], ['web', '/srv', 'SIGQUIT'])
})

test('mergeConfig names the host after the id unless a namespace is shared', () => {
  assert.equal(merge({}).hostname, 'abcdef012345')
  assert.equal(merge({ hostname: 'h' }).hostname, 'h')
  assert.equal(merge({}, { utsMode: 'host' }).hostname, '')
  assert.equal(merge({}, { networkMode: 'container:x' }).hostname, '')
})

test('completeHostConfig fills in Docker’s defaults', () => {
  const host = completeHostConfig(
    { memory: 5 },
    { runtime: 'namespaces', logConfig: { type: 'json-file', config: {} } },
  )
  assert.equal(host.shmSize, 67108864)
  assert.equal(host.memory, 5)
  assert.deepEqual(host.restartPolicy, { name: 'no', maximumRetryCount: 0 })
  assert.deepEqual([host.networkMode, host.ipcMode, host.cgroupnsMode], ['default', 'private', 'private'])
  assert.equal(host.logConfig.type, 'json-file')
})

test('processEnv gives PATH, HOSTNAME, TERM and HOME and lets a bare name unset', () => {
  const env = (list: string[], extra: string[] = []) =>
    processEnv({ config: { env: list, tty: true }, hostname: 'h', home: '/root', extra })
  assert.deepEqual(env(['A=1']), [
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'HOSTNAME=h',
    'TERM=xterm',
    'A=1',
    'HOME=/root',
  ])
  assert.ok(env(['HOME=']).includes('HOME=/root'))
  assert.deepEqual(env(['PATH=/x', 'TERM', 'HOME=/h'], ['A=2']), ['PATH=/x', 'HOSTNAME=h', 'HOME=/h', 'A=2'])
})

test('mergeConfig keeps the client’s shell, or the image’s', () => {
  const config = { config: { image: 'web' }, hostConfig: {}, endpoints: {} }
  const withShell = { ...image, shell: ['/bin/ash', '-c'] }
  assert.deepEqual(mergeConfig(config, withShell, ID).shell, ['/bin/ash', '-c'])
  const own = { ...config, config: { image: 'web', shell: ['/bin/bash', '-c'] } }
  assert.deepEqual(mergeConfig(own, withShell, ID).shell, ['/bin/bash', '-c'])
  assert.equal('shell' in merge({}), false)
})

test('completeHostConfig writes down what was meant, as dockerd shows it', () => {
  const complete = (host: Partial<HostConfig>) =>
    completeHostConfig(host, { runtime: 'namespaces', logConfig: { type: 'json-file', config: {} } })
  const host = complete({ memory: 64, pidsLimit: 0 })
  assert.equal(host.memorySwap, 128)
  assert.equal(host.pidsLimit, null)
  assert.equal(host.maskedPaths, null)
  assert.ok(host.readonlyPaths?.includes('/proc/sys'))
  assert.deepEqual(
    [complete({ memory: 64, memorySwap: -1 }).memorySwap, complete({ pidsLimit: 9 }).pidsLimit],
    [-1, 9],
  )
  assert.deepEqual(complete({ maskedPaths: [] }).maskedPaths, [])
  assert.equal(complete({ privileged: true }).maskedPaths, null)
})
