/** Containers without a PID namespace of their own: the kernel ends nothing with their first process. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { until } from '../harness/until.ts'
import { rigForAll, skip } from './fixture.ts'

const { rig } = rigForAll()

const UID_MAP = 'cat /proc/self/uid_map'

/** Command lines of the host's processes with this user id; what has ended and only waits to be reaped has none. */
function processesOf(uid: number): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const owner = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
      return Number(owner) === uid && command !== '' ? [command] : []
    } catch {
      return []
    }
  })
}

const baseOf = (output: string): number => Number(output.trim().split(/\s+/)[1])

test(
  'a container in the host’s PID namespace takes all of its processes along when it ends',
  { skip },
  async () => {
    const script = `${UID_MAP}; sleep 3600 </dev/null >/dev/null 2>&1 & exit 0`
    const { id, output } = await rig().finish({ cmd: ['sh', '-c', script] }, { pidMode: 'host' })
    // They would live on with a root that is being deleted, and ids that the next container gets.
    assert.deepEqual(processesOf(baseOf(output)), [])
    await rig().engine.containers.remove(id, { force: false, volumes: true, link: false })
  },
)

test('a container in another one’s PID namespace does, and leaves that one alone', { skip }, async () => {
  const owner = await rig().create({ cmd: ['sleep', '3600'] })
  await rig().engine.containers.start(owner)
  const script = `${UID_MAP}; sleep 3601 </dev/null >/dev/null 2>&1 & exit 0`
  const { output } = await rig().finish({ cmd: ['sh', '-c', script] }, { pidMode: `container:${owner}` })
  assert.deepEqual(processesOf(baseOf(output)), ['sleep 3600'])
  await rig().engine.containers.remove(owner, { force: true, volumes: true, link: false })
})

test('so does one that hid a process in a group of its own making', { skip }, async () => {
  // In every tree: the end of any group that it is in itself ends it.
  const script = `
    sleep 36077 </dev/null >/dev/null 2>&1 &
    for tree in /sys/fs/cgroup /sys/fs/cgroup/*; do
      test -f $tree/cgroup.procs && mkdir $tree/inner || continue
      for list in cpus mems; do test -f $tree/cpuset.$list && cat $tree/cpuset.$list >$tree/inner/cpuset.$list; done
      echo $! >$tree/inner/cgroup.procs
    done
    cat /proc/$!/cgroup`
  const { id, output } = await rig().finish(
    { cmd: ['sh', '-c', script] },
    { pidMode: 'host', privileged: true },
  )
  assert.match(output, /\/inner$/m)
  await until('it to be ended, too', () => !commandLines().includes('sleep 36077'))
  await rig().engine.containers.remove(id, { force: false, volumes: true, link: false })
})

const commandLines = (): string[] =>
  readdirSync('/proc').flatMap((pid) => {
    try {
      return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()]
    } catch {
      return []
    }
  })
