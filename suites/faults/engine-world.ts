import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { command } from '../harness/command.ts'
import { networkNamespace } from '../harness/network-namespace.ts'
import { startRegistry } from '../harness/registry.ts'
import { Scope } from '../harness/scope.ts'
import { removeAllContainers, type Server } from '../harness/server.ts'
import { startEngine } from '../harness/start-engine.ts'
import { tempFolder } from '../harness/temp-folder.ts'
import { copyTestImages } from '../harness/test-images.ts'

/** One engine after the other on the same folders, in a network namespace of its own beside a registry. */
export interface EngineWorld extends AsyncDisposable {
  readonly folder: string
  /** The engine that runs now. */
  readonly server: Server
  /** Starts a successor; the one before must be gone. */
  restart(): Promise<Server>
  /** kill -9 of the engine, then a successor. */
  crashAndRestart(): Promise<Server>
  /** All that this engine has on the host: mounts, control groups, interfaces, rules, processes, files. */
  traces(): Promise<ReadonlySet<string>>
  /** The same, once nothing changes any more: removed things are freed in the background. */
  settled(): Promise<ReadonlySet<string>>
  /** What differs from `before`, once it has stopped changing, at most for `patience` ms. */
  difference(before: ReadonlySet<string>, patience?: number): Promise<string[]>
}

export const REGISTRY = '127.0.0.1:5000'

export async function startWorld(
  name: string,
  options: { readonly root?: string } = {},
): Promise<EngineWorld> {
  const scope = new Scope()
  const { path: folder } = scope.use(await tempFolder(name))
  const network = scope.use(await networkNamespace(join(folder, 'netns.log')))
  const { storage } = await copyTestImages(folder)
  scope.use(await startRegistry({ storage, folder, port: 5000, network }))
  const engine = () => startEngine({ folder, network, bridge: 'dwtft0', subnet: '172.28.0.0/16', ...options })
  let server = await engine()
  scope.defer(() => server.process.stop())
  scope.defer(() => removeAllContainers(server).catch(() => undefined))
  await server.docker('pull', '--quiet', `${REGISTRY}/busybox`)
  await server.docker('tag', `${REGISTRY}/busybox`, 'busybox')
  const group = await controlGroupOf(server)
  const traces = () => tracesOf(folder, network.enter, group)
  return {
    folder,
    get server() {
      return server
    },
    async restart() {
      return (server = await engine())
    },
    async crashAndRestart() {
      await server.crash()
      return (server = await engine())
    },
    traces,
    async settled() {
      let last = await traces()
      for (let calm = 0; calm < 3;) {
        await sleep(100)
        const now = await traces()
        calm = now.size === last.size && [...now].every((line) => last.has(line)) ? calm + 1 : 0
        last = now
      }
      return last
    },
    async difference(before, patience = 30_000) {
      const deadline = performance.now() + patience
      for (;;) {
        const now = await traces()
        const more = [...now].filter((line) => !before.has(line)).map((line) => `+ ${line}`)
        const less = [...before].filter((line) => !now.has(line)).map((line) => `- ${line}`)
        if (more.length + less.length === 0 || performance.now() > deadline) return [...more, ...less]
        await sleep(50)
      }
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  }
}

/** The name of the group under which this engine's containers are, such as dewar-1a2b3c4d. */
async function controlGroupOf(server: Server): Promise<string> {
  const id = await server.docker('run', '-d', '--network', 'none', 'busybox', 'sleep', '60')
  const pid = await server.docker('inspect', '-f', '{{.State.Pid}}', id)
  const table = await readFile(`/proc/${pid}/cgroup`, 'utf8')
  await server.docker('rm', '-f', id)
  const path = table.split('\n').find((line) => line.includes(id))
  const name = /\/([^/\n]+)\/[^/\n]*$/.exec(path ?? '')?.[1]
  if (name === undefined) throw new Error(`finding the engine's control group: none in\n${table}`)
  return name
}

async function tracesOf(
  folder: string,
  enter: readonly string[],
  group: string,
): Promise<ReadonlySet<string>> {
  const [mounts, groups, links, rules, files, processes] = await Promise.all([
    readFile('/proc/self/mountinfo', 'utf8'),
    command(['find', '/sys/fs/cgroup', '-path', `*/${group}/*`, '-type', 'd']),
    command([...enter, 'ip', '-oneline', 'link', 'show']),
    command([...enter, 'nft', '--stateless', 'list', 'ruleset']),
    // What is inside a layer or a container's upper folder is content; logs of the tests are none of the engine's.
    command([
      'find',
      folder,
      '-regextype',
      'egrep',
      '-regex',
      `${folder}/(registry|client)`,
      '-prune',
      '-o',
      '-regex',
      '.*/(layers|upper|work|_data)/[^/]*/.*',
      '-prune',
      '-o',
      '-printf',
      '%P %y\\n',
    ]),
    processesOf(folder),
  ])
  return new Set([
    ...mounts
      .split('\n')
      .filter((line) => line.includes(folder))
      .map((line) => `mount ${line.split(' ')[4]}`),
    ...lines(groups.stdout).map((path) => `cgroup ${path}`),
    ...lines(links.stdout).map((line) => `interface ${line.split(' ')[1]}`),
    ...lines(rules.stdout).map((line, index, all) => `rule ${ruleContext(all, index)}${line.trim()}`),
    ...lines(files.stdout)
      .filter((line) => !line.includes('.log '))
      .map((line) => `file ${line}`),
    ...processes,
  ])
}

function ruleContext(all: readonly string[], index: number): string {
  const above = all.slice(0, index).reverse()
  return [above.find((line) => line.startsWith('table')), above.find((line) => /^\t\w/.test(line))]
    .map((line) => (line === undefined ? '' : `${line.trim()} `))
    .join('')
}

/** Programs with the folder in their command line, counted: shims and spawner have the same. */
async function processesOf(folder: string): Promise<string[]> {
  const counts = new Map<string, number>()
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const argv = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (!argv.includes(folder) || argv.startsWith('find\0')) continue
    const line = argv.replaceAll('\0', ' ').trim()
    counts.set(line, (counts.get(line) ?? 0) + 1)
  }
  return [...counts].map(([line, count]) => `process ${count}× ${line}`)
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line.trim() !== '')
}
