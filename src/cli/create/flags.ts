/** The flags of `run` and `create`: docker's, with docker's defaults. */
import type { ValuesOf } from '../command-spec.ts'
import { bool, bytes, custom, duration, integer, string, strings } from '../flags.ts'
import { parseMount } from './mounts.ts'
import type { Mount } from './mounts.ts'
import { parseNetwork } from './networks.ts'
import type { NetworkAttachment } from './networks.ts'
import { environmentWord } from './environment.ts'
import {
  attachWord,
  deviceRuleWord,
  extraHostWord,
  ipWord,
  labelWord,
  linkWord,
  parseCpus,
  parseMemorySwap,
  parseOperations,
  parseRate,
  parseUlimit,
  parseWeightDevice,
  sysctlWord,
} from './words.ts'
import type { Ulimit } from './words.ts'

type Rate = { readonly Path: string; readonly Rate: number }
const rates = (summary: string, parse: (word: string) => Rate): ReturnType<typeof custom<readonly Rate[]>> =>
  custom<readonly Rate[]>(summary, [], (word, previous) => [...previous, parse(word)], { value: 'list' })

export const CREATE_FLAGS = {
  'add-host': strings('Add a custom host-to-IP mapping (host:ip)', { check: extraHostWord }),
  annotation: strings('Add an annotation to the container (passed through to the OCI runtime)', {
    value: 'map',
  }),
  attach: strings('Attach to STDIN, STDOUT or STDERR', { short: 'a', check: attachWord }),
  'blkio-weight': integer('Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)', {
    value: 'uint16',
  }),
  'blkio-weight-device': custom<readonly object[]>(
    'Block IO weight (relative device weight)',
    [],
    (word, previous) => [...previous, parseWeightDevice(word)],
    { value: 'list' },
  ),
  'cap-add': strings('Add Linux capabilities'),
  'cap-drop': strings('Drop Linux capabilities'),
  'cgroup-parent': string('Optional parent cgroup for the container'),
  cgroupns: string('Cgroup namespace to use (host|private)'),
  cidfile: string('Write the container ID to the file'),
  'cpu-period': integer('Limit CPU CFS (Completely Fair Scheduler) period'),
  'cpu-quota': integer('Limit CPU CFS (Completely Fair Scheduler) quota'),
  'cpu-rt-period': integer('Limit CPU real-time period in microseconds'),
  'cpu-rt-runtime': integer('Limit CPU real-time runtime in microseconds'),
  'cpu-shares': integer('CPU shares (relative weight)', { short: 'c' }),
  cpus: custom('Number of CPUs', 0, (word) => parseCpus(word), { value: 'decimal' }),
  'cpuset-cpus': string('CPUs in which to allow execution (0-3, 0,1)'),
  'cpuset-mems': string('MEMs in which to allow execution (0-3, 0,1)'),
  device: strings('Add a host device to the container'),
  'device-cgroup-rule': strings('Add a rule to the cgroup allowed devices list', { check: deviceRuleWord }),
  'device-read-bps': rates('Limit read rate (bytes per second) from a device', parseRate),
  'device-read-iops': rates('Limit read rate (IO per second) from a device', parseOperations),
  'device-write-bps': rates('Limit write rate (bytes per second) to a device', parseRate),
  'device-write-iops': rates('Limit write rate (IO per second) to a device', parseOperations),
  'disable-content-trust': bool('Accepted for docker; has no effect', { initial: true, hidden: true }),
  dns: strings('Set custom DNS servers', { check: ipWord }),
  'dns-opt': strings('Set DNS options', { hidden: true, aliasOf: 'dns-option' }),
  'dns-option': strings('Set DNS options'),
  'dns-search': strings('Set custom DNS search domains'),
  domainname: string('Container NIS domain name'),
  entrypoint: string('Overwrite the default ENTRYPOINT of the image'),
  env: strings('Set environment variables', {
    short: 'e',
    check: (word) => environmentWord(word, process.env),
  }),
  'env-file': strings('Read in a file of environment variables'),
  expose: strings('Expose a port or a range of ports'),
  gpus: strings('GPU devices to add to the container: not supported, refused', { value: 'gpu-request' }),
  'group-add': strings('Add additional groups to join'),
  'health-cmd': string('Command to run to check health'),
  'health-interval': duration('Time between running the check (ms|s|m|h) (default 0s)'),
  'health-retries': integer('Consecutive failures needed to report unhealthy'),
  'health-start-interval': duration(
    'Time between running the check during the start period (ms|s|m|h) (default 0s)',
  ),
  'health-start-period': duration(
    'Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)',
  ),
  'health-timeout': duration('Maximum time to allow one check to run (ms|s|m|h) (default 0s)'),
  hostname: string('Container host name', { short: 'h' }),
  init: bool('Run an init inside the container that forwards signals and reaps processes'),
  interactive: bool('Keep STDIN open even if not attached', { short: 'i' }),
  ip: string('IPv4 address (e.g., 172.30.100.104)'),
  ip6: string('IPv6 address (e.g., 2001:db8::33)'),
  ipc: string('IPC mode to use'),
  isolation: string('How strong the walls are: namespaces, sealed, gvisor, microvm'),
  'kernel-memory': bytes('Accepted for docker; has no effect'),
  label: strings('Set meta data on a container', { short: 'l', check: labelWord }),
  'label-file': strings('Read in a line delimited file of labels'),
  link: strings('Add link to another container', { check: linkWord }),
  'link-local-ip': strings('Container IPv4/IPv6 link-local addresses'),
  'log-driver': string('Logging driver for the container'),
  'log-opt': strings('Log driver options'),
  'mac-address': string('Container MAC address (e.g., 92:d0:c6:0a:29:33)'),
  memory: bytes('Memory limit', { short: 'm' }),
  'memory-reservation': bytes('Memory soft limit'),
  'memory-swap': custom(
    "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
    0,
    (word) => parseMemorySwap(word),
    { value: 'bytes' },
  ),
  'memory-swappiness': integer('Tune container memory swappiness (0 to 100)', { initial: -1 }),
  mount: custom<readonly Mount[]>(
    'Attach a filesystem mount to the container',
    [],
    (word, previous) => [...previous, parseMount(word, process.cwd())],
    { value: 'mount' },
  ),
  name: string('Assign a name to the container'),
  net: custom<readonly NetworkAttachment[]>(
    'Connect a container to a network',
    [],
    (word, previous) => [...previous, parseNetwork(word)],
    { hidden: true, aliasOf: 'network', value: 'network' },
  ),
  'net-alias': strings('Add network-scoped alias for the container', {
    hidden: true,
    aliasOf: 'network-alias',
  }),
  network: custom<readonly NetworkAttachment[]>(
    'Connect a container to a network',
    [],
    (word, previous) => [...previous, parseNetwork(word)],
    { value: 'network' },
  ),
  'network-alias': strings('Add network-scoped alias for the container'),
  'no-healthcheck': bool('Disable any container-specified HEALTHCHECK'),
  'oom-kill-disable': bool('Disable OOM Killer'),
  'oom-score-adj': integer("Tune host's OOM preferences (-1000 to 1000)"),
  pid: string('PID namespace to use'),
  'pids-limit': integer('Tune container pids limit (set -1 for unlimited)'),
  platform: string('Set platform if server is multi-platform capable'),
  privileged: bool('Give extended privileges to this container'),
  publish: strings("Publish a container's port(s) to the host", { short: 'p' }),
  'publish-all': bool('Publish all exposed ports to random ports', { short: 'P' }),
  pull: string('Pull image before running ("always", "missing", "never")', { initial: 'missing' }),
  quiet: bool('Suppress the pull output', { short: 'q' }),
  'read-only': bool("Mount the container's root filesystem as read only"),
  restart: string('Restart policy to apply when a container exits', { initial: 'no' }),
  rm: bool('Automatically remove the container and its associated anonymous volumes when it exits'),
  runtime: string('Runtime to use for this container'),
  'security-opt': strings('Security Options'),
  'shm-size': bytes('Size of /dev/shm'),
  'stop-signal': string('Signal to stop the container'),
  'stop-timeout': integer('Timeout (in seconds) to stop a container'),
  'storage-opt': strings('Storage driver options for the container'),
  sysctl: strings('Sysctl options', { check: sysctlWord, value: 'map' }),
  tmpfs: strings('Mount a tmpfs directory'),
  tty: bool('Allocate a pseudo-TTY', { short: 't' }),
  ulimit: custom<readonly Ulimit[]>(
    'Ulimit options',
    [],
    (word, previous) => {
      const limit = parseUlimit(word)
      return [...previous.filter(({ Name }) => Name !== limit.Name), limit]
    },
    { value: 'ulimit' },
  ),
  user: string('Username or UID (format: <name|uid>[:<group|gid>])', { short: 'u' }),
  userns: string('User namespace to use'),
  uts: string('UTS namespace to use'),
  volume: strings('Bind mount a volume', { short: 'v' }),
  'volume-driver': string('Optional volume driver for the container'),
  'volumes-from': strings('Mount volumes from the specified container(s)'),
  workdir: string('Working directory inside the container', { short: 'w' }),
} as const

export type CreateFlags = ValuesOf<typeof CREATE_FLAGS>
