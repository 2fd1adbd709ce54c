import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from './command.ts'
import { setTimeout as sleep } from 'node:timers/promises'

/** What an engine could leave behind on a host, each as a readable line. */
export type HostState = ReadonlySet<string>

/**
 * Looks at mounts, control groups, network interfaces, packet filter rules, addresses and processes (not kernel
 * threads). `ignore`: lines that are none of the test's doing.
 */
export async function hostState(ignore: (line: string) => boolean = () => false): Promise<HostState> {
  const parts = await Promise.all([mounts(), cgroups(), interfaces(), filterRules(), namedNamespaces()])
  // After those: what they start is not to be found.
  parts.push(await processes())
  return new Set(parts.flat().filter((line) => !ignore(line)))
}

/** What is there now and was not before, once it has stopped shrinking; waits up to `patience` ms for nothing. */
export async function leftBehind(before: HostState, ignore?: (line: string) => boolean, patience = 30_000) {
  const deadline = performance.now() + patience
  for (;;) {
    const now = await hostState(ignore)
    const extra = [...now].filter((line) => !before.has(line))
    if (extra.length === 0 || performance.now() > deadline) return extra
    await sleep(100)
  }
}

async function mounts(): Promise<string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8')
  return table
    .trim()
    .split('\n')
    .map((line) => {
      const [, , , , point = ''] = line.split(' ')
      return `mount ${point} ${line.split(' - ')[1]?.split(' ')[0]}`
    })
}

/** Of the engines that the suites start; a host makes and removes others of its own at any time. */
async function cgroups(): Promise<string[]> {
  const names = '.*/[^/]*\\(dewar\\|dwt\\|docker\\|libpod\\|crun\\|runc\\|runsc\\)[^/]*.*'
  const found = await command(['find', '/sys/fs/cgroup', '-type', 'd', '-regex', names])
  return found.stdout
    .trim()
    .split('\n')
    .map((path) => `cgroup ${path}`)
}

async function interfaces(): Promise<string[]> {
  return (await readdir('/sys/class/net')).map((name) => `interface ${name}`)
}

async function filterRules(): Promise<string[]> {
  const rules = await command(['nft', '--stateless', 'list', 'ruleset']).catch(() => undefined)
  let table = ''
  return (rules?.stdout ?? '').split('\n').flatMap((line) => {
    if (line.startsWith('table ')) table = line.replace(' {', '')
    return line.trim() === '' || line.trim() === '}' ? [] : [`nft ${table}: ${line.trim()}`]
  })
}

/** Processes with a command line, except this one's family. */
async function processes(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(join('/proc', pid, 'cmdline'), 'utf8').catch(() => '')
      return text === '' ? undefined : `process ${pid} ${text.replaceAll('\0', ' ').trim().slice(0, 200)}`
    }),
  )
  return lines.filter((line) => line !== undefined)
}

async function namedNamespaces(): Promise<string[]> {
  const names = await readdir('/run/netns').catch(() => [])
  return names.map((name) => `netns ${name}`)
}
