import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindParts } from './bind-parts.ts'

const HOST = `22 27 0:21 / /proc rw,relatime - proc proc rw
23 27 0:22 / /sys rw,relatime - sysfs sysfs rw
24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,mode=755
26 24 0:24 / /dev/pts rw,relatime - devpts devpts rw,mode=600
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
29 26 0:26 / /dev/pts rw,relatime - devpts devpts rw,mode=600
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
40 27 254:1 / /home rw,relatime shared:1 - xfs /dev/vdb rw
41 40 0:50 / /home/a\\040b rw,relatime - tmpfs tmpfs rw
42 27 0:51 / /mnt/far rw,relatime - nfs4 server:/ rw
43 27 0:52 / /mnt/far/below rw,relatime - tmpfs tmpfs rw
44 27 254:2 / /mnt rw,relatime - ext4 /dev/vdc rw
`

test('bindParts takes a tree in one piece when all of it can be mapped', () => {
  assert.deepEqual(bindParts(HOST, '/home', true), [
    { source: '/home', below: '', recursive: true, idmap: true },
  ])
  assert.deepEqual(bindParts(HOST, '/home/a b/c', true), [
    { source: '/home/a b/c', below: '', recursive: false, idmap: true },
  ])
  assert.deepEqual(bindParts(HOST, '/etc/passwd', true), [
    { source: '/etc/passwd', below: '', recursive: false, idmap: true },
  ])
})

test("bindParts leaves the kernel's own file systems as they are", () => {
  assert.deepEqual(bindParts(HOST, '/proc', true), [
    { source: '/proc', below: '', recursive: true, idmap: false },
  ])
  assert.deepEqual(bindParts(HOST, '/dev/null', true), [
    { source: '/dev/null', below: '', recursive: true, idmap: false },
  ])
})

test('bindParts takes the host root apart, without what other mounts hide', () => {
  assert.deepEqual(bindParts(HOST, '/', true), [
    { source: '/', below: '', recursive: false, idmap: true },
    { source: '/proc', below: '/proc', recursive: true, idmap: false },
    { source: '/sys', below: '/sys', recursive: true, idmap: false },
    { source: '/dev', below: '/dev', recursive: true, idmap: false },
    { source: '/home', below: '/home', recursive: true, idmap: true },
    { source: '/mnt', below: '/mnt', recursive: false, idmap: true },
  ])
})

test('bindParts without recursion is the folder alone', () => {
  assert.deepEqual(bindParts(HOST, '/', false), [{ source: '/', below: '', recursive: false, idmap: true }])
})

test('bindParts has the kernel try what it does not know', () => {
  assert.deepEqual(bindParts('27 1 0:9 / / rw - newfs x rw\n', '/a', true), [
    { source: '/a', below: '', recursive: false, idmap: true },
  ])
  assert.deepEqual(bindParts('', '/a', true), [{ source: '/a', below: '', recursive: true, idmap: true }])
})
