import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mounts, type MountInput, type ResolvedMount } from './spec-mounts.ts'

const INPUT: MountInput = {
  host: {
    privileged: false,
    networkMode: 'bridge',
    pidMode: '',
    ipcMode: 'private',
    cgroupnsMode: 'private',
    shmSize: 65_536,
    maskedPaths: null,
    readonlyPaths: null,
    readonlyRootfs: false,
  },
  userNamespace: true,
  hostQueues: true,
  sharedShm: undefined,
  mounts: [],
  files: { hosts: '/c/hosts', hostname: '/c/hostname', resolvConf: '/c/resolv.conf' },
}

const bind = (destination: string, source = '/src'): ResolvedMount => ({
  type: 'bind',
  destination,
  source,
  rw: true,
  file: false,
  recursive: true,
  propagation: 'rprivate',
  options: [],
})

const places = (input: MountInput): string[] => mounts(input).map((mount) => mount.destination)

test('mounts puts the files of /etc over a volume on /etc', () => {
  const order = places({ ...INPUT, mounts: [bind('/etc')] })
  assert.ok(order.indexOf('/etc/hosts') > order.indexOf('/etc'))
  assert.ok(order.indexOf('/etc/resolv.conf') > order.indexOf('/etc'))
})

test('mounts gives way to a file of the user’s own on /etc/hosts', () => {
  const all = mounts({ ...INPUT, mounts: [bind('/etc/hosts', '/mine')] })
  assert.deepEqual(
    all.filter((mount) => mount.destination === '/etc/hosts').map((mount) => mount.source),
    ['/mine'],
  )
})

test('mounts puts nothing into a /dev that the user brings', () => {
  assert.deepEqual(
    places({ ...INPUT, mounts: [bind('/dev', '/dev')] }).filter((place) => place.startsWith('/dev')),
    ['/dev'],
  )
})

test('mounts makes the files of /etc read-only with a read-only root', () => {
  const hosts = mounts({ ...INPUT, host: { ...INPUT.host, readonlyRootfs: true } }).find(
    (mount) => mount.destination === '/etc/hosts',
  )
  assert.ok(hosts?.options.includes('ro'))
})

test('mounts makes one mount of each part of a source', () => {
  const parts = [
    { source: '/', below: '', recursive: false, idmap: true },
    { source: '/proc', below: '/proc', recursive: true, idmap: false },
  ]
  const own = mounts({ ...INPUT, mounts: [{ ...bind('/host', '/'), parts }] }).filter((mount) =>
    mount.destination.startsWith('/host'),
  )
  assert.deepEqual(own, [
    { destination: '/host', type: 'bind', source: '/', options: ['bind', 'rw', 'rprivate', 'idmap'] },
    { destination: '/host/proc', type: 'bind', source: '/proc', options: ['rbind', 'rw', 'rprivate'] },
  ])
})
