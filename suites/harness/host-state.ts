import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { command } from './command.ts'
import { PROJECT } from './project.ts'
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
export async function leftBehind(
  before: HostState,
  ignore: (line: string) => boolean | Promise<boolean> = () => false,
  patience = 30_000,
): Promise<string[]> {
  const deadline = performance.now() + patience
  for (;;) {
    const extra: string[] = []
    for (const line of await hostState()) if (!before.has(line) && !(await ignore(line))) extra.push(line)
    if (extra.length === 0 || performance.now() > deadline) return extra
    await sleep(100)
  }
}

/** Given to all that a run of the tests starts, so that what they leave can be told from what others do meanwhile. */
export const RUN = 'DEWAR_TEST_RUN'

/**
 * Whether a line of a process is of this run: it was started by it, or (a helper with an environment of its own) names a
 * folder of tests and no other run started it. The word `dewar` says nothing: others may watch or build the project.
 */
export async function isOfRun(line: string, run: string): Promise<boolean> {
  const pid = /^process (\d+) /.exec(line)?.[1]
  if (pid === undefined) return true
  const environment = (await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')).split('\0')
  const mark = environment.find((one) => one.startsWith(`${RUN}=`))
  return mark === undefined ? namesTests(line) : mark === `${RUN}=${run}`
}

/** A core of another clone is started by the tests there. */
function namesTests(line: string): boolean {
  const [, clone = PROJECT] = /^process \d+ (\/\S*)\/native\/build\//.exec(line) ?? []
  return /\/dwt-\w/.test(line) && (clone === PROJECT || /\/dwt-\w/.test(clone))
}

/** The line with all that can be said of it, so that whoever reads it need not look himself. */
export async function inDetail(line: string): Promise<string> {
  const [, kind = '', name = ''] = /^(\w+) (\S+)/.exec(line) ?? []
  const text = async (path: string): Promise<string> => (await readFile(path, 'utf8').catch(() => '')).trim()
  if (kind === 'process') {
    const status = await text(`/proc/${name}/status`)
    const parent = /^PPid:\s*(\d+)/m.exec(status)?.[1] ?? ''
    const group = (await text(`/proc/${name}/cgroup`)).split('\n').at(-1) ?? ''
    const started = await output(['ps', '-o', 'lstart=', '-p', name])
    return `${line} (since ${started}, child of ${parent} ${await commandLine(parent)}, in ${group})`
  }
  if (kind === 'cgroup') {
    const pids = (await text(`${name}/cgroup.procs`)).split('\n').filter((pid) => pid !== '')
    const inside = await Promise.all(pids.slice(0, 5).map(async (pid) => `${pid} ${await commandLine(pid)}`))
    const born = await stat(name).then(
      ({ ctime }) => ctime.toISOString(),
      () => 'gone now',
    )
    return `${line} (made ${born}, in it: ${inside.join('; ') || 'nothing'})`
  }
  if (kind === 'interface') {
    const told = await output(['ip', '-d', '-o', 'link', 'show', name])
    return `${line} (${told.replaceAll(/\s+/g, ' ').slice(0, 300)})`
  }
  return line
}

/** Or why there is none: to say less of what is left is better than to say nothing. */
async function output(argv: readonly string[]): Promise<string> {
  return command(argv).then(
    ({ stdout }) => stdout.trim(),
    (error: unknown) => String(error),
  )
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
  const groups = await foldersUnder('/sys/fs/cgroup')
  return groups.filter((path) => OF_ENGINES.test(path)).map((path) => `cgroup ${path}`)
}

const OF_ENGINES = /dewar|dwt|docker|libpod|crun|runc|runsc/

/** Not by a program: on a machine that is short of processes the look at it would end the run. */
async function foldersUnder(folder: string): Promise<string[]> {
  // What is gone meanwhile has none.
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name))
  const below = await Promise.all(folders.map(foldersUnder))
  return [...folders, ...below.flat()]
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
      const text = await commandLine(pid)
      return text === '' ? undefined : `process ${pid} ${text}`
    }),
  )
  return lines.filter((line) => line !== undefined)
}

async function commandLine(pid: string): Promise<string> {
  const text = await readFile(join('/proc', pid, 'cmdline'), 'utf8').catch(() => '')
  return text.replaceAll('\0', ' ').trim().slice(0, 200)
}

async function namedNamespaces(): Promise<string[]> {
  const names = await readdir('/run/netns').catch(() => [])
  return names.map((name) => `netns ${name}`)
}
