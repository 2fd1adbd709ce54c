/**
 * Where the control groups of this machine are: v1 (one tree per controller), v2 (one tree), or hybrid (v1
 * with a v2 tree beside it, usually without controllers). Pure on the kernel's own texts; `readCgroups`
 * fetches them.
 */
import { existsSync } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DewarError } from '../base/errors.ts'

export interface CgroupLayout {
  readonly mode: 'v1' | 'hybrid' | 'v2'
  /** v1: controller → folder its tree is mounted on. Co-mounted ones (cpu,cpuacct) share a folder. */
  readonly controllers: ReadonlyMap<string, string>
  /** Folder of the v2 tree, if there is one, and the controllers in it. */
  readonly unified: string | undefined
  readonly unifiedControllers: ReadonlySet<string>
  /** Where in the v2 tree our groups begin: '' is its root, else a group that systemd has delegated to us. */
  readonly base: string
  /**
   * Control files seen, such as memory.memsw.limit_in_bytes; undefined when nobody looked: then all are taken
   * to be there.
   */
  readonly files: ReadonlySet<string> | undefined
  /** What the root's cpuset holds; groups with a cpuset on v1 start empty and must be given theirs. */
  readonly cpuset: { readonly cpus: string; readonly mems: string }
}

export interface CgroupTexts {
  /** /proc/self/mountinfo */
  readonly mountinfo: string
  /** cgroup.controllers at the root of the v2 tree. */
  readonly unifiedControllers?: string
  readonly files?: readonly string[]
  readonly cpuset?: { readonly cpus: string; readonly mems: string }
  /** A delegated group of the v2 tree to begin at instead of its root, such as /dewar.slice/dewar-1.service. */
  readonly base?: string
}

/** Throws unavailable when no control groups are mounted. */
export function detectCgroups(texts: CgroupTexts): CgroupLayout {
  const mounts = texts.mountinfo
    .split('\n')
    .map(parseMount)
    .filter((mount) => mount !== undefined)
  const controllers = new Map<string, string>()
  for (const { controllers: names, folder } of mounts) {
    for (const name of names) if (!controllers.has(name)) controllers.set(name, folder)
  }
  const unified = mounts.find((mount) => mount.v2)?.folder
  if (unified === undefined && controllers.size === 0) {
    throw new DewarError('unavailable', 'Finding control groups: none are mounted', {
      remedy: 'mount them: mount -t cgroup2 none /sys/fs/cgroup',
    })
  }
  return {
    mode: controllers.size === 0 ? 'v2' : unified === undefined ? 'v1' : 'hybrid',
    controllers,
    unified,
    unifiedControllers: new Set((texts.unifiedControllers ?? '').split(/\s+/).filter(Boolean)),
    base: texts.base ?? '',
    files: texts.files === undefined ? undefined : new Set(texts.files),
    cpuset: texts.cpuset ?? { cpus: '', mems: '' },
  }
}

interface CgroupMount {
  readonly v2: boolean
  readonly folder: string
  /** v1 controllers; a named tree (systemd's) has none. */
  readonly controllers: readonly string[]
}

const V1_CONTROLLERS = new Set([
  'cpuset',
  'cpu',
  'cpuacct',
  'blkio',
  'memory',
  'devices',
  'freezer',
  'net_cls',
  'perf_event',
  'net_prio',
  'hugetlb',
  'pids',
  'rdma',
  'misc',
])

/** `36 35 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct` (proc_pid_mountinfo(5)) */
function parseMount(line: string): CgroupMount | undefined {
  const [left, right] = line.split(' - ', 2)
  const [type, , options] = (right ?? '').split(' ')
  const folder = left?.split(' ')[4]
  if (folder === undefined || (type !== 'cgroup' && type !== 'cgroup2')) return undefined
  const words = (options ?? '').split(',').filter((word) => V1_CONTROLLERS.has(word))
  return { v2: type === 'cgroup2', folder: unescape(folder), controllers: type === 'cgroup' ? words : [] }
}

/** Spaces and the like are written as \040. */
const unescape = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** v1's blkio is v2's io. */
export function controllerOf(layout: CgroupLayout, name: string): 'v1' | 'v2' | undefined {
  if (layout.controllers.has(name === 'io' ? 'blkio' : name)) return 'v1'
  return layout.unifiedControllers.has(name === 'blkio' ? 'io' : name) ? 'v2' : undefined
}

export const hasFile = (layout: CgroupLayout, file: string): boolean => layout.files?.has(file) !== false

/** Folder of a container's group in the tree of a controller. Throws unavailable without one. */
export function groupFolder(layout: CgroupLayout, controller: string, path: string): string {
  const v1 = layout.controllers.get(controller === 'io' ? 'blkio' : controller)
  if (v1 !== undefined) return `${v1}${path}`
  if (layout.unified !== undefined) return `${layout.unified}${layout.base}${path}`
  throw new DewarError(
    'unavailable',
    `Finding the control group ${path}: the ${controller} controller is not mounted`,
  )
}

/** Looks at this machine. A dozen small reads, once per engine. Throws unavailable. */
export async function readCgroups(options: { readonly base?: string } = {}): Promise<CgroupLayout> {
  const mountinfo = withoutHidden(await readFile('/proc/self/mountinfo', 'utf8'))
  const first = detectCgroups({ mountinfo, ...options })
  const { unified, controllers } = first
  const read = (folder: string | undefined, file: string): Promise<string> =>
    folder === undefined ? Promise.resolve('') : readFile(join(folder, file), 'utf8').catch(() => '')
  const cpuset = controllers.get('cpuset')
  const [unifiedControllers, cpus, mems, files] = await Promise.all([
    read(unified, `.${first.base}/cgroup.controllers`),
    cpuset === undefined ? read(unified, 'cpuset.cpus.effective') : read(cpuset, 'cpuset.cpus'),
    cpuset === undefined ? read(unified, 'cpuset.mems.effective') : read(cpuset, 'cpuset.mems'),
    Promise.all([
      ...[...new Set(controllers.values())].map((folder) => controlFiles(folder, UNSEEN_V1)),
      ...(unified === undefined ? [] : [controlFiles(`${unified}${first.base}`, UNSEEN_V2)]),
    ]),
  ])
  return {
    ...first,
    unifiedControllers: new Set(unifiedControllers.split(/\s+/).filter(Boolean)),
    files: new Set(files.flat()),
    cpuset: { cpus: cpus.trim(), mems: mems.trim() },
  }
}

/** The table lists trees, too, that a later mount on /sys has hidden. */
const withoutHidden = (mountinfo: string): string =>
  mountinfo
    .split('\n')
    .filter((line) => {
      const mount = parseMount(line)
      return mount === undefined || existsSync(join(mount.folder, 'cgroup.procs'))
    })
    .join('\n')

/**
 * Files of a tree's root and of one group in it: many exist only below the root (memory.max, pids.max), and in a
 * v2 group only those of controllers that were handed to it. What could not be seen that way is taken to be there:
 * if it is not, the write fails and says so.
 */
async function controlFiles(folder: string, unseen: readonly string[]): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  const here = entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
  const group = entries.find((entry) => entry.isDirectory())
  if (group === undefined) return [...here, ...unseen]
  const below = await readdir(join(folder, group.name)).catch(() => [])
  const handed = await readFile(join(folder, group.name, 'cgroup.controllers'), 'utf8').catch(() => undefined)
  const controllers = handed?.trim().split(' ')
  const hidden = controllers && unseen.filter((file) => !controllers.includes(file.split('.')[0] ?? ''))
  return [...here, ...below, ...(hidden ?? [])]
}

/** Files below the root that decide what `checkResources` warns of. */
const UNSEEN_V1 = ['blkio.bfq.weight', 'blkio.bfq.weight_device']
const UNSEEN_V2 = ['memory.low', 'memory.swap.max', 'io.weight']
