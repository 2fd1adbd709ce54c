/** Told inside an arm64 machine: what a container is there, and what its filter says to both ways into the kernel. */
import { execFileSync } from 'node:child_process'
import { readlinkSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { DEFAULT_CAPABILITIES } from '../../src/kernel/capabilities.ts'
import { defaultSeccompFor, seccompFilter } from '../../src/kernel/seccomp.ts'
import { CLOSED, OPEN, tries } from './arm64-calls.ts'
import { api, begin, part, run, say } from './story.ts'

const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts']

await begin()
await run('machine', ['uname', '-m'])
part('outside')
for (const name of NAMESPACES) say(readlinkSync(`/proc/self/ns/${name}`))
await run('inside', ['sh', '-c', `for n in ${NAMESPACES.join(' ')}; do readlink /proc/self/ns/$n; done`])
await run('status', ['grep', '-E', '^(Seccomp|CapBnd|NoNewPrivs):', '/proc/self/status'])
await run('ids', ['sh', '-c', 'id -u; cat /proc/self/uid_map; echo x >/tmp/f && ls -ln /tmp/f'])
await run('network', ['sh', '-c', 'ping -c 1 -W 60 172.17.0.1 >/dev/null && echo answers'], {
  NetworkMode: 'bridge',
})
await run('memory', ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=32M', 'count=1'], {
  Memory: 16 << 20,
  MemorySwap: 16 << 20,
})
await run('device', ['sh', '-c', 'mknod /disk b 259 0 && echo made && head -c 1 /disk'], {
  UsernsMode: 'host',
})

// The filter alone, without namespaces and with all capabilities: nothing else can be what refuses.
const policy = defaultSeccompFor({ arch: 'arm64', capabilities: DEFAULT_CAPABILITIES, kernel: release() })
writeFileSync('/filter', seccompFilter(policy, 'arm64').filter)
const call = (filter: string, words: readonly string[]): string =>
  execFileSync('/try', [filter, ...words], { encoding: 'utf8' }).trim()
const exitCode = (program: string, ...args: readonly string[]): number => {
  try {
    execFileSync(program, args)
    return 0
  } catch (error) {
    return typeof error === 'object' && error !== null && 'status' in error ? Number(error.status) : -1
  }
}
for (const filter of ['-', '/filter']) {
  const name = filter === '-' ? 'without' : 'with'
  part(`closed ${name}`)
  say(call(filter, tries(CLOSED)))
  part(`open ${name}`)
  say(call(filter, tries(OPEN)))
  part(`arm ${name}`)
  say(`mount ${exitCode('/try', filter, 'exec', '/arm-mount')}`)
  say(`getpid ${exitCode('/try', filter, 'exec', '/arm-getpid')}`)
}
await run('container-closed', ['/try', '-', ...tries(CLOSED)])
await run('container-arm', ['/arm-mount'])
await run('container-arm-open', ['/arm-getpid'])
part('left')
const { json } = await api('GET', '/containers/json')
say(JSON.stringify(json))
