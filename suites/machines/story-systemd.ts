/** Told inside the machine that systemd runs: what systemd and the engine do with one tree of groups. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../harness/until.ts'
import { api, begin, engineAnswers, inspect, part, run, say, start } from './story.ts'

const MB = 1 << 20
const TREE = '/sys/fs/cgroup'
const systemctl = (...args: readonly string[]): string =>
  execFileSync('systemctl', [...args, '--no-legend', '--no-pager', '--plain'], { encoding: 'utf8' })

await begin()
await start('first', ['sleep', '10000'], {
  Memory: 64 * MB,
  PidsLimit: 50,
  NanoCpus: 5e8,
  CpusetCpus: '0',
  NetworkMode: 'bridge',
})
const pid = String(await inspect('first', 'State', 'Pid'))
const group = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split(':')[2] ?? ''
const file = (name: string): string => readFileSync(`${TREE}${group}/${name}`, 'utf8').trim()
const limits = (): void => {
  for (const name of ['memory.max', 'pids.max', 'cpu.max', 'cpuset.cpus']) say(`${name} ${file(name)}`)
}
const sayWhetherAlive = (): void => say(existsSync(`/proc/${pid}`) ? 'alive' : 'dead')

part('group')
say(group)
limits()
part('reloaded')
systemctl('daemon-reload')
await sleep(2000) // so that what systemd does to the tree after its answer is seen
limits()
part('restarted')
const engine = (): string => systemctl('show', '--property=MainPID', '--value', 'dewar.service').trim()
const before = engine()
systemctl('restart', 'dewar.service')
await engineAnswers()
say(engine() === before ? 'the same engine' : 'another engine')
say(`running ${String(await inspect('first', 'State', 'Running'))}`)
sayWhetherAlive()
limits()

await run('oom', ['tail', '/dev/zero'], { Memory: 16 * MB, MemorySwap: 16 * MB })
say(`killed ${String(await inspect('oom', 'State', 'OOMKilled'))}`)
await sleep(2000) // for systemd to hear of it
sayWhetherAlive()
part('score')
say(`container ${readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim()}`)
say(`engine ${readFileSync(`/proc/${engine()}/oom_score_adj`, 'utf8').trim()}`)
part('frozen')
await api('POST', '/containers/first/pause')
say(file('cgroup.events'))
await api('POST', '/containers/first/unpause')
part('stats')
say((await api('GET', '/containers/first/stats?stream=0&one-shot=1')).text.trim())
part('updated')
await api('POST', '/containers/first/update', { Memory: 32 * MB, MemorySwap: -1 })
limits()
part('info')
say(JSON.stringify((await api('GET', '/info')).json, ['CgroupDriver', 'CgroupVersion']))
const disk = readFileSync('/sys/class/block/nvme1n1/dev', 'utf8').trim().replace(':', ' ')
const node = `mknod /k b ${disk} && echo made; head -c 1 /k >/d && echo read; head -c 1 /dev/zero >/z && echo zero`
await run('devices', ['sh', '-c', node], { UsernsMode: 'host' })
await run('privileged', ['mount', '-t', 'tmpfs', 'x', '/mnt'], { Privileged: true })
part('units')
say(systemctl('list-units', '--all', 'dewar*'))

for (const name of ['first', 'oom', 'devices', 'privileged'])
  await api('DELETE', `/containers/${name}?force=1`)
part('stopped')
systemctl('stop', 'dewar.service')
const unit = group.split('/').slice(0, 3).join('/')
await until('systemd to remove the group', () => !existsSync(`${TREE}${unit}`))
say(systemctl('list-units', 'dewar*service') || 'no unit')
part('journal')
say(execFileSync('journalctl', ['--unit=dewar*', '--output=cat', '--no-pager'], { encoding: 'utf8' }))
