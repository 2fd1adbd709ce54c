import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkResources } from './cgroup-check.ts'
import { controllerOf, detectCgroups, hasFile, readCgroups } from './cgroup-layout.ts'

const V2 =
  '35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot'
const CONTROLLERS = 'cpuset cpu io memory hugetlb pids rdma misc\n'

test('detectCgroups reads Debian 12, Ubuntu 24.04 and Fedora: v2 alone', () => {
  for (const mountinfo of [V2, V2.replace('shared:9 ', ''), `22 1 8:1 / / rw - ext4 /dev/sda1 rw\n${V2}\n`]) {
    const layout = detectCgroups({
      mountinfo,
      unifiedControllers: CONTROLLERS,
    })
    assert.equal(layout.mode, 'v2')
    assert.equal(layout.unified, '/sys/fs/cgroup')
    assert.equal(layout.controllers.size, 0)
    assert.equal(layout.base, '')
    assert.equal(controllerOf(layout, 'memory'), 'v2')
    assert.equal(controllerOf(layout, 'blkio'), 'v2')
    assert.equal(controllerOf(layout, 'devices'), undefined)
  }
})

test("detectCgroups reads Debian 10 and Ubuntu 20.04: hybrid with co-mounted controllers and systemd's tree", () => {
  const mountinfo = [
    '30 23 0:25 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755',
    '31 30 0:26 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate',
    '32 30 0:27 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,xattr,name=systemd',
    '36 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:15 - cgroup cgroup rw,cpu,cpuacct',
    '37 30 0:32 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,net_cls,net_prio',
    '38 30 0:33 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:17 - cgroup cgroup rw,memory',
  ].join('\n')
  const layout = detectCgroups({ mountinfo, unifiedControllers: '\n' })
  assert.equal(layout.mode, 'hybrid')
  assert.deepEqual(
    [...layout.controllers],
    [
      ['cpu', '/sys/fs/cgroup/cpu,cpuacct'],
      ['cpuacct', '/sys/fs/cgroup/cpu,cpuacct'],
      ['net_cls', '/sys/fs/cgroup/net_cls,net_prio'],
      ['net_prio', '/sys/fs/cgroup/net_cls,net_prio'],
      ['memory', '/sys/fs/cgroup/memory'],
    ],
  )
  assert.equal(layout.unified, '/sys/fs/cgroup/unified')
  assert.equal(controllerOf(layout, 'pids'), undefined)
})

test('detectCgroups reads Alpine with cgroup_mode=legacy: v1 alone', () => {
  const mountinfo = [
    '25 20 0:21 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs cgroup_root rw,size=10240k,mode=755',
    '26 25 0:22 / /sys/fs/cgroup/openrc rw,nosuid,nodev,noexec,relatime - cgroup openrc rw,release_agent=/lib/rc/sh/cgroup-release-agent.sh,name=openrc',
    '27 25 0:23 / /sys/fs/cgroup/cpuset rw,nosuid,nodev,noexec,relatime - cgroup cpuset rw,cpuset',
    '28 25 0:24 / /sys/fs/cgroup/pids rw,nosuid,nodev,noexec,relatime - cgroup pids rw,pids',
  ].join('\n')
  const layout = detectCgroups({ mountinfo })
  assert.equal(layout.mode, 'v1')
  assert.deepEqual([...layout.controllers.keys()], ['cpuset', 'pids'])
  assert.equal(layout.unified, undefined)
})

test('detectCgroups reads WSL 2: v1 trees and a v2 tree of the same machine', () => {
  const mountinfo = [
    '70 60 0:40 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:3 - tmpfs tmpfs rw,mode=755',
    '71 70 0:41 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate',
    '72 70 0:42 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:5 - cgroup cgroup rw,memory',
    '73 70 0:43 / /sys/fs/cgroup/devices rw,nosuid,nodev,noexec,relatime shared:6 - cgroup cgroup rw,devices',
    '74 60 0:44 / /mnt/c rw - 9p drvfs rw,dirsync,aname=drvfs;path=C:\\;symlinkroot=/mnt/',
  ].join('\n')
  const layout = detectCgroups({ mountinfo, unifiedControllers: '' })
  assert.equal(layout.mode, 'hybrid')
  assert.deepEqual([...layout.controllers.keys()], ['memory', 'devices'])
})

test('detectCgroups begins at the root, or at a group that is delegated', () => {
  const base = '/dewar.slice/dewar-1.service'
  assert.equal(detectCgroups({ mountinfo: V2, unifiedControllers: 'memory pids', base }).base, base)
  assert.equal(detectCgroups({ mountinfo: V2 }).base, '')
})

test("detectCgroups undoes the kernel's escapes and refuses a machine without any", () => {
  const layout = detectCgroups({ mountinfo: V2.replace('/sys/fs/cgroup', '/my\\040groups') })
  assert.equal(layout.unified, '/my groups')
  assert.throws(
    () => detectCgroups({ mountinfo: '22 1 8:1 / / rw - ext4 /dev/sda1 rw' }),
    /none are mounted \(mount them/,
  )
})

test('readCgroups sees this machine as its own mount table does', async () => {
  const layout = await readCgroups()
  assert.ok(layout.controllers.size > 0 || layout.unifiedControllers.size > 0)
  assert.match(layout.cpuset.cpus, /^[\d,-]+$/)
  assert.ok(layout.files?.has('cgroup.procs'))
})

test('checkResources on this machine warns of exactly what a group here has no file for', async () => {
  const layout = await readCgroups()
  const wanted = { devices: [], memory: { limit: 1 << 26, swap: 1 << 27 }, blockIO: { weight: 100 } }
  const { warnings } = checkResources(layout, wanted)
  const v1 = layout.controllers.has('memory')
  const swap = hasFile(layout, v1 ? 'memory.memsw.limit_in_bytes' : 'memory.swap.max')
  assert.equal(
    warnings.some((text) => text.includes('swap')),
    !swap,
  )
  assert.ok(warnings.length <= 2)
})
