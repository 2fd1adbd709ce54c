/** Told inside the machine: each limit of a container on cgroup v2, and what comes of it. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { until } from '../harness/until.ts'
import { api, begin, inspect, part, run, say, start } from './story.ts'

const MB = 1 << 20
/** The machine's second disk: blank, 64 MB. */
const DISK = '/dev/nvme1n1'
/** Allocates so many MB and touches them. */
const allocate = (megabytes: number) => ['dd', 'if=/dev/zero', 'of=/dev/null', `bs=${megabytes}M`, 'count=1']
const mapped = (permissions: string) => ({
  Devices: [{ PathOnHost: DISK, PathInContainer: '/dev/blank', CgroupPermissions: permissions }],
})

await begin()
part('info')
const { json } = await api('GET', '/info')
say(
  JSON.stringify(json, [
    'CgroupVersion',
    'CgroupDriver',
    'MemoryLimit',
    'SwapLimit',
    'CpuCfsQuota',
    'PidsLimit',
  ]),
)

await start('main', ['sh', '-c', 'while :; do echo tick; sleep 0.2; done'], {
  Memory: 64 * MB,
  MemorySwap: 96 * MB,
  MemoryReservation: 32 * MB,
  NanoCpus: 5e8,
  CpuShares: 512,
  CpusetCpus: '0',
  PidsLimit: 50,
  BlkioWeight: 500,
  BlkioDeviceReadBps: [{ Path: DISK, Rate: 1e6 }],
  BlkioDeviceWriteIOps: [{ Path: DISK, Rate: 100 }],
})
const pid = String(await inspect('main', 'State', 'Pid'))
const group = `/sys/fs/cgroup${readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split(':')[2]}`
const file = (name: string): string => readFileSync(`${group}/${name}`, 'utf8').trim()
part('group')
for (const name of [
  ...['memory.max', 'memory.swap.max', 'memory.low', 'cpu.max', 'cpu.weight', 'cpuset.cpus', 'pids.max'],
  ...['io.max', 'io.weight'],
])
  say(`${name} ${file(name)}`)

part('frozen')
await api('POST', '/containers/main/pause')
say(file('cgroup.events'))
say(String(await inspect('main', 'State', 'Status')))
const used = (): string => /usage_usec (\d+)/.exec(file('cpu.stat'))?.[1] ?? ''
const before = used()
await new Promise((resolve) => setTimeout(resolve, 2000))
say(used() === before ? 'still' : `moved from ${before} to ${used()}`)
await api('POST', '/containers/main/unpause')
await until('it to go on', () => used() !== before)
say('goes on')

part('stats')
const stats = await api('GET', '/containers/main/stats?stream=0')
say(stats.text.trim())

part('update')
await api('POST', '/containers/main/update', {
  Memory: 32 * MB,
  MemorySwap: -1,
  PidsLimit: 60,
  CpuShares: 2048,
})
for (const name of ['memory.max', 'memory.swap.max', 'pids.max', 'cpu.weight']) say(`${name} ${file(name)}`)

// Before Linux 6.15 a part of a tree is copied only while the tree hangs somewhere.
await run('image-part', ['ls', '/x/sh', '/y/bin/sh'], {
  Mounts: [
    { Type: 'image', Source: 'bb', Target: '/x', ImageOptions: { Subpath: 'bin' } },
    { Type: 'image', Source: 'bb', Target: '/y' },
  ],
})
await run('fits', allocate(8), { Memory: 16 * MB, MemorySwap: 16 * MB })
await run('oom', allocate(32), { Memory: 16 * MB, MemorySwap: 16 * MB })
say(`killed ${String(await inspect('oom', 'State', 'OOMKilled'))}`)
part('swap')
execFileSync('/bin/mkswap', [DISK])
execFileSync('/bin/swapon', [DISK])
await run('swapped', allocate(32), { Memory: 16 * MB, MemorySwap: 64 * MB })
await run('no-swap', allocate(32), { Memory: 16 * MB, MemorySwap: 16 * MB })
execFileSync('/bin/swapoff', [DISK])

const forks = 'for i in 1 2 3 4 5 6 7 8 9; do sleep 3 & done; wait'
await run('pids', ['sh', '-c', forks], { PidsLimit: 5 })
await run('cpuset', ['sh', '-c', 'nproc; grep Cpus_allowed_list: /proc/self/status'], { CpusetCpus: '0' })
part('cpu')
await start('busy', ['sh', '-c', 'while :; do :; done'], { NanoCpus: 1e8 })
say((await api('GET', '/containers/busy/stats?stream=0')).text.trim())
await api('DELETE', '/containers/busy?force=1')

// Nothing but the list decides: root of the host's own user namespace makes and opens the node of a disk.
const HOST = { UsernsMode: 'host' }
const number = readFileSync('/sys/class/block/nvme1n1/dev', 'utf8').trim()
const made = `mknod /disk b ${number.replace(':', ' ')} && echo made`
const disk = `${made}; head -c 1 /disk >/d && echo read; echo x >/disk && echo written`
await run('device-closed', ['sh', '-c', `${disk}; head -c 1 /dev/zero >/z && echo zero`], HOST)
await run('device-rule', ['sh', '-c', disk], { ...HOST, DeviceCgroupRules: [`b ${number} r`] })
await run('device-open', ['sh', '-c', disk], { ...HOST, Privileged: true })
const blank = 'head -c 1 /dev/blank >/b && echo read; echo x >/dev/blank && echo written'
await run('device-read', ['sh', '-c', blank], { ...HOST, ...mapped('r') })
await run('device-all', ['sh', '-c', blank], { ...HOST, ...mapped('rwm') })
await run('device-range', ['sh', '-c', blank], mapped('r'))

part('io')
const slow = { ...HOST, ...mapped('r'), BlkioDeviceReadBps: [{ Path: DISK, Rate: 1e6 }] }
await run('slow', ['time', '-p', 'dd', 'if=/dev/blank', 'of=/dev/null', 'bs=64k', 'count=48'], slow)

part('left')
await api('DELETE', '/containers/main?force=1')
say(existsSync(group) ? 'the group is there' : 'gone')
