import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isKeptFor, mountsIn, placeOnHost } from './host-mounts.ts'

const HOST = mountsIn(`21 1 254:0 / / rw,relatime - ext4 /dev/root rw
30 21 0:25 / /run rw - tmpfs tmpfs rw
31 21 254:0 /srv/data /mnt/again rw - ext4 /dev/root rw
32 21 0:40 / /mnt/with\\040space rw - tmpfs tmpfs rw`)

const inside = (line: string): string | undefined => {
  const [mount] = mountsIn(line)
  assert.ok(mount)
  return placeOnHost(mount, HOST)
}

test('placeOnHost tells which folder of the host is mounted', () => {
  assert.equal(inside('90 1 254:0 / /host rw - ext4 /dev/root rw'), '/')
  assert.equal(inside('90 1 254:0 /etc /x ro - ext4 /dev/root rw'), '/etc')
  assert.equal(inside('90 1 254:0 /srv/data/a /x ro - ext4 /dev/root rw'), '/mnt/again/a')
  assert.equal(inside('90 1 0:25 /docker.sock /s rw - tmpfs tmpfs rw'), '/run/docker.sock')
  assert.equal(inside('90 1 0:40 /f /with\\040space rw - tmpfs tmpfs rw'), '/mnt/with space/f')
})

test('placeOnHost knows no place of what the container has for itself', () => {
  assert.equal(inside('90 1 0:99 / /tmp rw - tmpfs tmpfs rw'), undefined)
  assert.equal(inside('90 1 0:98 / / rw - overlay overlay rw'), undefined)
})

const ID = 'ab'.repeat(32)
const OTHER = 'cd'.repeat(32)

test('isKeptFor takes for the container what its engine keeps for it alone', () => {
  const kept = (place: string): boolean => isKeptFor(ID, place, ['/var/lib/docker', '/run/containers'])
  for (const place of [
    `/var/lib/docker/containers/${ID}/hosts`,
    '/var/lib/docker/volumes/data/_data',
    '/var/lib/docker/volumes/data/_data/below',
    `/run/containers/overlay-containers/${ID}/userdata/.containerenv`,
    // The first container of a pod holds these for all.
    `/run/containers/overlay-containers/${OTHER}/userdata/resolv.conf`,
  ])
    assert.ok(kept(place), place)
  for (const place of [
    '/var/lib/docker',
    '/var/lib/docker/containers',
    '/var/lib/docker/overlay2',
    '/var/lib/docker/volumes',
    `/var/lib/docker/containers/${OTHER}`,
    `/var/lib/docker/containers/${OTHER}/config.v2.json`,
    `/etc/${ID}`,
  ])
    assert.ok(!kept(place), place)
})
