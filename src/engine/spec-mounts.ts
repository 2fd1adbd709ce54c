/** The mounts of a container in the order they are made, and the paths that are closed. Pure. */
import type { OciMount } from '../kernel/oci.ts'
import type { BindPart } from './bind-parts.ts'
import type { HostConfig } from './types.ts'

/** A mount whose source is known. */
export interface ResolvedMount {
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'image'
  readonly destination: string
  /** Host path; empty for tmpfs, an id for images. */
  readonly source: string
  readonly rw: boolean
  /** The source is a file, not a folder: a missing target is made as one. */
  readonly file: boolean
  readonly recursive: boolean
  readonly propagation: string
  /** For tmpfs: mount(8) words. */
  readonly options: readonly string[]
  /** For binds into a user namespace: the source's pieces by what their file systems allow. */
  readonly parts?: readonly BindPart[]
  /** A volume with driver options: a mount of its own, of whatever file system. */
  readonly mounted?: boolean
  /** Relative path in the source, looked up inside it when it is mounted. */
  readonly subpath?: string
  /** Read-only alone, not what is mounted below it. */
  readonly topReadOnly?: boolean
  /** For images: layer folders, topmost first, two at least. */
  readonly lower?: readonly string[]
}

export interface MountInput {
  readonly host: Pick<
    HostConfig,
    | 'privileged'
    | 'networkMode'
    | 'pidMode'
    | 'ipcMode'
    | 'cgroupnsMode'
    | 'shmSize'
    | 'maskedPaths'
    | 'readonlyPaths'
    | 'readonlyRootfs'
  >
  /** Whether the container has a user namespace: binds are idmapped then, and the host's /proc, /sys are bound. */
  readonly userNamespace: boolean
  /** Whether the host has /dev/mqueue. */
  readonly hostQueues: boolean
  /** Shared /dev/shm for `--ipc=shareable` and those who join it. */
  readonly sharedShm: string | undefined
  readonly mounts: readonly ResolvedMount[]
  readonly files: EtcFiles
}

/** Host files bound over /etc/…; undefined leaves the image's. */
export interface EtcFiles {
  readonly hosts?: string
  readonly hostname?: string
  readonly resolvConf?: string
  /** Over /proc/sys/kernel/random/boot_id, by which containers of one host recognise each other. */
  readonly bootId?: string
}

export function mounts(input: MountInput): OciMount[] {
  const taken = new Set(input.mounts.map((mount) => mount.destination))
  // Who brings a /dev of their own brings all of it.
  const covered = ({ destination }: OciMount): boolean =>
    taken.has(destination) || (taken.has('/dev') && destination.startsWith('/dev/'))
  const system = systemMounts(input).filter((mount) => !covered(mount))
  const own = input.mounts.flatMap((mount) => ownMounts(mount, input.userNamespace))
  const later = [...etcMounts(input).filter((mount) => !covered(mount)), ...own]
  // Parents before children: a mount on /data made after one on /data/sub would bury it; so would one on /etc.
  const depth = (mount: OciMount): number => mount.destination.split('/').filter(Boolean).length
  return [...system, ...later.sort((a, b) => depth(a) - depth(b) || compare(a.destination, b.destination))]
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function systemMounts(input: MountInput): OciMount[] {
  const { host } = input
  const ro = host.privileged ? 'rw' : 'ro'
  const list: OciMount[] = [
    procMount(input),
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    sysMount(input, ro),
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: [ro, 'nosuid', 'noexec', 'nodev'],
    },
  ]
  if (host.ipcMode !== 'none') list.push(...queueMount(input), shmMount(input))
  return list
}

/** A foreign PID namespace cannot be mounted from an own user namespace: the host's /proc is bound then. */
function procMount(input: MountInput): OciMount {
  const options = ['nosuid', 'noexec', 'nodev']
  if (input.userNamespace && input.host.pidMode === 'host') return bindOf('/proc', [...options, 'rbind'])
  return { destination: '/proc', type: 'proc', source: 'proc', options }
}

/** sysfs shows the network namespace of its mounter and wants rights over it. */
function sysMount(input: MountInput, ro: string): OciMount {
  const options = ['nosuid', 'noexec', 'nodev', ro]
  if (input.userNamespace && input.host.networkMode === 'host') return bindOf('/sys', [...options, 'rbind'])
  return { destination: '/sys', type: 'sysfs', source: 'sysfs', options }
}

function queueMount(input: MountInput): OciMount[] {
  const options = ['nosuid', 'noexec', 'nodev']
  if (input.host.ipcMode === 'host')
    return input.hostQueues ? [bindOf('/dev/mqueue', [...options, 'bind'])] : []
  return [{ destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options }]
}

function shmMount(input: MountInput): OciMount {
  const options = ['nosuid', 'noexec', 'nodev']
  if (input.host.ipcMode === 'host') return bindOf('/dev/shm', [...options, 'bind'])
  if (input.sharedShm !== undefined) {
    const idmap = input.userNamespace ? ['idmap'] : []
    return {
      destination: '/dev/shm',
      type: 'bind',
      source: input.sharedShm,
      options: [...options, 'bind', ...idmap],
    }
  }
  const size = `size=${input.host.shmSize}`
  return { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...options, 'mode=1777', size] }
}

function bindOf(path: string, options: readonly string[]): OciMount {
  return { destination: path, type: 'bind', source: path, options: [...options, 'rprivate'] }
}

function etcMounts(input: MountInput): OciMount[] {
  const idmap = input.userNamespace ? ['idmap'] : []
  const access = input.host.readonlyRootfs ? 'ro' : 'rw'
  const bind = (destination: string, source: string | undefined, how = access): OciMount[] =>
    source === undefined
      ? []
      : [{ destination, type: 'bind', source, options: ['bind', 'rprivate', how, 'x-file', ...idmap] }]
  return [
    ...bind('/etc/resolv.conf', input.files.resolvConf),
    ...bind('/etc/hostname', input.files.hostname),
    ...bind('/etc/hosts', input.files.hosts),
    ...bind('/proc/sys/kernel/random/boot_id', input.files.bootId, 'ro'),
  ]
}

function ownMounts(mount: ResolvedMount, userNamespace: boolean): OciMount[] {
  const { destination, source, recursive } = mount
  const access = mount.rw ? 'rw' : 'ro'
  if (mount.type === 'tmpfs') {
    return [{ destination, type: 'tmpfs', source: 'tmpfs', options: [...mount.options, access] }]
  }
  if (mount.type === 'image') {
    const layers = (mount.lower ?? []).map((layer) => `lowerdir+=${layer}`)
    const options = [...layers, 'ro', 'nosuid', 'nodev', ...subpathWord(mount)]
    return [{ destination, type: 'overlay', source: 'overlay', options }]
  }
  const parts = mount.parts ?? [{ source, below: '', recursive, idmap: true }]
  return parts.map((part) => {
    const options = [part.recursive ? 'rbind' : 'bind', access, mount.propagation]
    if (userNamespace && part.idmap) options.push('idmap')
    if (mount.file) options.push('x-file')
    options.push(...subpathWord(mount))
    if (mount.topReadOnly === true && !mount.rw) options.push('x-top-ro')
    return { destination: `${destination}${part.below}`, type: 'bind', source: part.source, options }
  })
}

const subpathWord = ({ subpath }: ResolvedMount): string[] =>
  subpath === undefined ? [] : [`x-subpath=${encodeURIComponent(subpath)}`]

/** Docker's list, and what tells about the host or its other guests (each with what it tells). */
const MASKED: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
  // Dewar's own:
  '/proc/cmdline', // the host's boot disk and boot secrets
  '/proc/diskstats', // the host's disks and how busy they are (as for the next five)
  '/proc/partitions',
  '/proc/fs',
  '/sys/block',
  '/sys/class/block',
  '/sys/fs/ext4',
  '/proc/key-users', // uids that exist on the host, other containers' ranges among them
  '/proc/kallsyms', // which kernel code can be attacked (as for the next two)
  '/proc/modules',
  '/sys/module',
  '/sys/devices/virtual/dmi', // the machine's make and serial numbers
  '/proc/pressure', // how busy the host is; a container's own pressure is in its control group (as for the next ones)
  '/proc/softirqs',
  '/proc/schedstat',
  '/proc/irq',
  '/sys/kernel/irq',
  '/proc/buddyinfo', // how the host's memory is used (as for the next ones)
  '/proc/pagetypeinfo',
  '/proc/zoneinfo',
  '/proc/kpagecount',
  '/proc/kpageflags',
  '/proc/kpagecgroup',
  '/proc/slabinfo',
  '/sys/kernel/slab',
  '/proc/swaps',
  '/proc/sys/fs/file-nr', // how many files the host has open (as for the next ones)
  '/proc/sys/fs/inode-nr',
  '/proc/sys/fs/inode-state',
  '/proc/sys/fs/dentry-state',
  '/proc/sys/fs/aio-nr',
  '/proc/sys/fs/quota',
  '/proc/bus/pci', // the host's devices
  '/sys/devices/virtual/thermal', // how hot the host is, and so what it computes (see meters.ts)
  '/sys/devices/virtual/hwmon',
  '/sys/devices/virtual/bdi', // file systems and memory of the host
  '/sys/devices/virtual/block',
  '/proc/config.gz', // how the host's kernel was built
  '/sys/kernel/vmcoreinfo', // where the host's kernel is in memory
  '/sys/kernel/uevent_seqnum', // what comes and goes on the host
]

const NO_METERS: readonly string[] = []
const READONLY: readonly string[] = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

/** An explicit list from the client (even an empty one) replaces ours, as with dockerd. */
export function closedPaths(
  host: Pick<HostConfig, 'privileged' | 'maskedPaths' | 'readonlyPaths'>,
  systemPathsOpen: boolean,
  meters: readonly string[] = NO_METERS,
): { readonly masked: readonly string[]; readonly readonly: readonly string[] } {
  if (host.privileged || systemPathsOpen) return { masked: [], readonly: [] }
  return { masked: host.maskedPaths ?? withMeters(meters), readonly: host.readonlyPaths ?? READONLY }
}

const lists = new WeakMap<readonly string[], readonly string[]>()

/** For the same meters the very same list, from which the same steps are made. */
function withMeters(meters: readonly string[]): readonly string[] {
  const list = lists.get(meters) ?? [...MASKED, ...meters]
  lists.set(meters, list)
  return list
}
