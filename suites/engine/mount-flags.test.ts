/** With which flags things are mounted, as the kernel tells it inside: whatever the modes, no set-user-id, no devices. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import type { HostConfig } from '../../src/index.ts'
import { rigForAll, skip } from './fixture.ts'

const { rig } = rigForAll()

const HARD = ['nosuid', 'nodev', 'noexec']
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  '/proc': HARD,
  // Nodes of devices and what a user puts there: neither may raise rights.
  '/dev': ['nosuid'],
  '/dev/pts': ['nosuid', 'noexec'],
  '/dev/shm': HARD,
  '/dev/mqueue': HARD,
  '/sys': [...HARD, 'ro'],
  '/sys/fs/cgroup': [...HARD, 'ro'],
  ...Object.fromEntries(['bus', 'sys', 'sysrq-trigger'].map((name) => [`/proc/${name}`, [...HARD, 'ro']])),
  // Hidden altogether, by a device that has to work: null.
  ...Object.fromEntries(['fs', 'irq', 'keys'].map((name) => [`/proc/${name}`, ['nosuid', 'noexec', 'ro']])),
}

/** The topmost mount at each place and its flags. */
async function mountsOf(host: Partial<HostConfig>): Promise<Map<string, readonly string[]>> {
  const { output } = await rig().finish({ cmd: ['cat', '/proc/self/mountinfo'] }, host)
  return new Map(
    output
      .trim()
      .split('\n')
      .map((line) => line.split(' '))
      .map(([, , , , path = '', flags = '']) => [path, flags.split(',')]),
  )
}

const MODES: readonly (readonly [string, Partial<HostConfig>])[] = [
  ['by default', {}],
  ['with the host’s ids', { usernsMode: 'host' }],
  ['with the host’s PID namespace', { pidMode: 'host' }],
  ['with the host’s network', { networkMode: 'host' }],
  ['with the host’s IPC namespace', { ipcMode: 'host' }],
  ['with a shareable IPC namespace', { ipcMode: 'shareable' }],
  ['with the host’s control groups', { cgroupnsMode: 'host' }],
]

for (const [title, host] of MODES) {
  test(`the kernel's file systems are mounted with all their flags ${title}`, { skip }, async () => {
    const mounts = await mountsOf(host)
    for (const [path, wanted] of Object.entries(FLAGS)) {
      const flags = mounts.get(path)
      // Not every kernel has all of them.
      if (flags === undefined && !existsSync(path)) continue
      assert.ok(flags !== undefined, `${path} is no mount`)
      for (const flag of wanted) assert.ok(flags.includes(flag), `${path} lacks ${flag}: ${flags.join()}`)
    }
    for (const [path, flags] of mounts) {
      if (!path.startsWith('/sys/fs/cgroup/')) continue
      for (const flag of [...HARD, 'ro']) assert.ok(flags.includes(flag), `${path} lacks ${flag}`)
    }
    if (host.usernsMode !== 'host')
      assert.ok(mounts.get('/')?.includes('nodev'), 'no device node of an image works')
  })
}

test('a tmpfs of one’s own raises no rights, and a read-only container is read-only', { skip }, async () => {
  const mounts = await mountsOf({ tmpfs: { '/own': '' }, readonlyRootfs: true })
  for (const flag of HARD) assert.ok(mounts.get('/own')?.includes(flag), flag)
  for (const path of ['/', '/etc/hosts', '/etc/hostname', '/etc/resolv.conf'])
    assert.ok(mounts.get(path)?.includes('ro'), path)
})
