/** Every field of Docker's create request that means something on Linux, and those that do not: what becomes of it. */

export interface FieldRow {
  /** As in the API: `HostConfig.CapAdd`. */
  readonly field: string
  readonly value: unknown
  /** Of the API that is asked; 1.50 without it. */
  readonly version?: string
  /** What else has to be sent for it to make sense. */
  readonly with?: Readonly<Record<string, unknown>>
  /** Refused with this status, and these words. */
  readonly refused?: readonly [status: number, words: RegExp]
  /** Taken, and refused by the start. */
  readonly fails?: readonly [status: number, words: RegExp]
  /** What inspect shows instead of the value itself. */
  readonly shows?: unknown
  readonly warns?: RegExp
  /** A shell command inside shows that it took effect. */
  readonly inside?: readonly [command: string, output: RegExp]
  /** Why it is shown and not tried: it can take effect on some machines only. */
  readonly only?: string
}

const MB = 1024 * 1024
const H = 'HostConfig.'

const config: readonly FieldRow[] = [
  { field: 'Hostname', value: 'box', inside: ['hostname', /^box$/] },
  { field: 'Hostname', value: 'a b', refused: [400, /invalid hostname/] },
  { field: 'Domainname', value: 'example.org', inside: ['cat /etc/hosts', /example\.org/] },
  { field: 'User', value: '7:8', inside: ['id -u; id -g', /^7\n8$/] },
  { field: 'ExposedPorts', value: { '80/tcp': {} } },
  { field: 'ExposedPorts', value: { 'x/tcp': {} }, refused: [400, /invalid port specification: \\?"x\/tcp/] },
  { field: 'Tty', value: true, inside: ['test -t 1 && echo tty', /^tty/] },
  { field: 'OpenStdin', value: true },
  { field: 'StdinOnce', value: true },
  { field: 'Env', value: ['A=1', 'B=2 3', 'PATH=/bin'], inside: ['echo "$A$B"', /^12 3$/] },
  { field: 'Env', value: ['=x'], refused: [400, /invalid environment variable/] },
  {
    field: 'Healthcheck',
    value: {
      Test: ['CMD', 'true'],
      Interval: 1e9,
      Timeout: 2e9,
      Retries: 4,
      StartPeriod: 1e9,
      StartInterval: 1e9,
    },
  },
  {
    field: 'Healthcheck',
    value: { Test: ['CMD', 'true'], Interval: 5 },
    refused: [400, /cannot be less than 1ms/],
  },
  { field: 'Healthcheck', value: { Test: ['NONSENSE', 'true'] } },
  { field: 'Volumes', value: { '/anon': {} }, inside: ['mount | grep -c /anon', /^1$/] },
  { field: 'WorkingDir', value: '/made/here', inside: ['pwd', /^\/made\/here$/] },
  { field: 'WorkingDir', value: 'rel', refused: [400, /needs to be an absolute path/] },
  { field: 'NetworkDisabled', value: true, inside: ['ls /sys/class/net', /^lo$/] },
  { field: 'Labels', value: { k: 'v', e: '' } },
  { field: 'StopSignal', value: 'SIGINT' },
  { field: 'StopSignal', value: 'NOPE', refused: [400, /invalid signal: NOPE/] },
  { field: 'StopTimeout', value: 3 },
  { field: 'Shell', value: ['/bin/ash', '-c'] },
  {
    field: 'MacAddress',
    value: '02:42:ac:11:00:99',
    shows: undefined,
    inside: ['cat /sys/class/net/eth0/address', /^02:42:ac:11:00:99$/],
  },
  { field: 'OnBuild', value: ['RUN x'], shows: null },
]

const namespaces: readonly FieldRow[] = [
  {
    field: `${H}IpcMode`,
    value: 'shareable',
    warns: /shareable/,
    inside: ['test -d /dev/shm && echo y', /^y$/],
  },
  {
    field: `${H}IpcMode`,
    value: 'none',
    inside: ['test -e /dev/shm || echo gone; mount | grep -c /dev/shm', /gone|^0$/m],
  },
  { field: `${H}IpcMode`, value: 'private' },
  { field: `${H}IpcMode`, value: 'host', inside: ['readlink /proc/self/ns/ipc', /ipc:/] },
  { field: `${H}IpcMode`, value: 'bogus', refused: [400, /invalid IPC mode: bogus/] },
  { field: `${H}PidMode`, value: 'host', inside: ['cd /proc; set -- [0-9]*; echo $#', /^\d\d+$/] },
  { field: `${H}PidMode`, value: 'bogus', refused: [400, /invalid PID mode: bogus/] },
  {
    field: `${H}UTSMode`,
    value: 'host',
    inside: [
      'test "$(hostname)" = "$(cat /proc/sys/kernel/hostname)" && hostname | grep -cE "^[0-9a-f]{12}$"',
      /^0$/,
    ],
  },
  { field: `${H}UTSMode`, value: 'bogus', refused: [400, /invalid UTS mode: bogus/] },
  { field: `${H}UsernsMode`, value: 'host', inside: ['cat /proc/self/uid_map', /0 +0 +4294967295/] },
  { field: `${H}UsernsMode`, value: 'bogus', refused: [400, /invalid (userns|user) ?(namespace )?mode/i] },
  { field: `${H}CgroupnsMode`, value: 'private', inside: ['cat /proc/self/cgroup', /:\/$/m] },
  { field: `${H}CgroupnsMode`, value: 'host', inside: ['cat /proc/self/cgroup', /dewar-/] },
  { field: `${H}CgroupnsMode`, value: 'bogus', refused: [400, /invalid cgroup namespace mode: bogus/] },
  {
    field: `${H}NetworkMode`,
    value: 'container:',
    refused: [400, /Invalid network mode: invalid container format container:<name\|id>/],
  },
  { field: `${H}NetworkMode`, value: 'none', inside: ['ls /sys/class/net', /^lo$/] },
  { field: `${H}Cgroup`, value: '' },
  { field: `${H}Isolation`, value: 'hyperv', refused: [400, /isolation|hyperv/] },
  { field: `${H}Runtime`, value: 'bogus', refused: [400, /unknown or invalid runtime name: bogus/] },
]

const powers: readonly FieldRow[] = [
  { field: `${H}CapAdd`, value: ['NET_ADMIN'], inside: ['grep CapEff /proc/self/status', /a80435fb/] },
  { field: `${H}CapDrop`, value: ['ALL'], inside: ['grep CapEff /proc/self/status', /0000000000000000/] },
  { field: `${H}CapAdd`, value: ['NOPE'], refused: [400, /invalid CapAdd: unknown capability: .*CAP_NOPE/] },
  { field: `${H}GroupAdd`, value: ['7', '8'], inside: ['grep Groups /proc/self/status', /\b7 8\b/] },
  { field: `${H}OomScoreAdj`, value: 500, inside: ['cat /proc/self/oom_score_adj', /^500$/] },
  { field: `${H}OomScoreAdj`, value: 5000, refused: [400, /range for oom score adj/] },
  { field: `${H}Privileged`, value: true, inside: ['grep CapEff /proc/self/status', /1ff.effffff/] },
  { field: `${H}ReadonlyRootfs`, value: true, inside: ['touch /x 2>&1', /Read-only file system/] },
  {
    field: `${H}SecurityOpt`,
    value: ['no-new-privileges'],
    inside: ['grep NoNewPrivs /proc/self/status', /1/],
  },
  // As in Docker's own profile: a rule for kernels from 4.8 on, and one that no kernel counts yet.
  {
    field: `${H}SecurityOpt`,
    value: [
      `seccomp=${JSON.stringify({
        defaultAction: 'SCMP_ACT_ALLOW',
        syscalls: [
          { names: ['chroot'], action: 'SCMP_ACT_ERRNO', includes: { minKernel: '4.8' } },
          { names: ['sync'], action: 'SCMP_ACT_KILL_PROCESS', includes: { minKernel: '99.0' } },
        ],
      })}`,
    ],
    inside: ['chroot / true 2>&1; sync && echo synced', /Operation not permitted\nsynced$/],
  },
  { field: `${H}SecurityOpt`, value: ['bogus=1'], refused: [400, /invalid --security-opt/] },
  {
    field: `${H}MaskedPaths`,
    value: ['//proc/sys/../version'],
    inside: ['cat /proc/version | wc -c', /^0$/],
  },
  { field: `${H}MaskedPaths`, value: [], inside: ['cat /proc/cmdline | wc -c', /^[1-9]/] },
  { field: `${H}MaskedPaths`, value: ['/proc/version'], inside: ['cat /proc/version | wc -c', /^0$/] },
  {
    field: `${H}ReadonlyPaths`,
    value: ['/proc/sys'],
    inside: ['grep -c "/proc/sys .*ro" /proc/self/mounts', /^1$/],
  },
  {
    field: `${H}Sysctls`,
    value: { 'net.ipv4.ip_unprivileged_port_start': '77' },
    inside: ['cat /proc/sys/net/ipv4/ip_unprivileged_port_start', /^77$/],
  },
  {
    field: `${H}Sysctls`,
    value: { 'net/ipv4/ip_default_ttl': '77', 'kernel.msgmax': '9000' },
    inside: ['cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/msgmax', /^77\n9000$/],
  },
  {
    field: `${H}Sysctls`,
    value: { 'net.ipv4.conf.eth0.log_martians': '1' },
    with: { [`${H}NetworkMode`]: 'bridge' },
    version: '1.46',
    shows: undefined,
    warns: /Migrated sysctl "net\.ipv4\.conf\.eth0\.log_martians"/,
    inside: ['cat /proc/sys/net/ipv4/conf/eth0/log_martians', /^1$/],
  },
  {
    field: `${H}Sysctls`,
    value: { 'net.ipv4.conf.eth0.log_martians': '1' },
    refused: [400, /must be supplied using driver option/],
  },
  { field: `${H}Sysctls`, value: { 'kernel.panic': '1' }, refused: [400, /sysctl.*kernel\.panic/] },
  {
    field: `${H}Ulimits`,
    value: [{ Name: 'nofile', Soft: 99, Hard: 100 }],
    inside: ['ulimit -n; ulimit -Hn', /^99\n100$/],
  },
  {
    field: `${H}Ulimits`,
    value: [{ Name: 'bogus', Soft: 1, Hard: 1 }],
    refused: [400, /invalid ulimit type: bogus/],
  },
  { field: `${H}Init`, value: true, inside: ['cat /proc/1/comm', /init/] },
  { field: `${H}Annotations`, value: { 'org.x': 'y' } },
  {
    field: `${H}Annotations`,
    value: { '': 'y' },
    refused: [400, /empty string is not permitted as an annotation key/],
  },
]

const limits: readonly FieldRow[] = [
  {
    field: `${H}Memory`,
    value: 64 * MB,
    inside: [
      'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null',
      /^67108864$/m,
    ],
  },
  { field: `${H}Memory`, value: MB, refused: [400, /Minimum memory limit allowed is 6MB/] },
  {
    field: `${H}MemoryReservation`,
    value: 32 * MB,
    inside: [
      'cat /sys/fs/cgroup/memory/memory.soft_limit_in_bytes /sys/fs/cgroup/memory.low 2>/dev/null',
      /^33554432$/m,
    ],
  },
  { field: `${H}MemorySwap`, value: 128 * MB, with: { [`${H}Memory`]: 64 * MB } },
  { field: `${H}MemorySwap`, value: 128 * MB, refused: [400, /always set the Memory limit/] },
  { field: `${H}MemorySwappiness`, value: 10 },
  { field: `${H}MemorySwappiness`, value: 101, refused: [400, /valid memory swappiness range is 0-100/] },
  { field: `${H}OomKillDisable`, value: true, with: { [`${H}Memory`]: 64 * MB } },
  {
    field: `${H}OomKillDisable`,
    value: true,
    warns: /OOM killer is disabled for the container, but no memory limit is set/,
  },
  {
    field: `${H}PidsLimit`,
    value: 50,
    inside: ['cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null', /^50$/m],
  },
  { field: `${H}PidsLimit`, value: -1, shows: null },
  {
    field: `${H}NanoCpus`,
    value: 5e8,
    inside: ['cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null', /^50000/m],
  },
  { field: `${H}NanoCpus`, value: 5e15, refused: [400, /ange of CPUs is from 0\.01 to/] },
  {
    field: `${H}CpuShares`,
    value: 512,
    inside: ['cat /sys/fs/cgroup/cpu/cpu.shares /sys/fs/cgroup/cpu.weight 2>/dev/null', /^(512|20|59)$/m],
  },
  { field: `${H}CpuPeriod`, value: 50_000 },
  { field: `${H}CpuPeriod`, value: 5, refused: [400, /CPU cfs period can not be less/] },
  {
    field: `${H}CpuQuota`,
    value: 20_000,
    inside: ['cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null', /^20000/m],
  },
  { field: `${H}CpuQuota`, value: 5, refused: [400, /CPU cfs quota can not be less/] },
  { field: `${H}CpusetCpus`, value: '0', inside: ['nproc', /^1$/] },
  { field: `${H}CpusetCpus`, value: '99', refused: [400, /Requested CPUs are not available/] },
  { field: `${H}CpusetMems`, value: '0' },
  { field: `${H}CpusetMems`, value: '9', refused: [400, /[Mm]emory nodes are not available/] },
  { field: `${H}BlkioWeight`, value: 5, refused: [400, /Range of blkio weight is from 10 to 1000/] },
  {
    field: `${H}BlkioWeight`,
    value: 300,
    inside: ['cat /sys/fs/cgroup/blkio/blkio.bfq.weight /sys/fs/cgroup/io.weight 2>/dev/null', /300/],
  },
  {
    field: `${H}BlkioWeightDevice`,
    value: [{ Path: '/dev/vda', Weight: 100 }],
    only: 'the disk has another IO scheduler than bfq',
  },
  { field: `${H}CpuRealtimePeriod`, value: 1_000_000 },
  { field: `${H}CpuPercent`, value: 50, shows: 0, warns: /does not support CPU percent\. Percent discarded/ },
  { field: `${H}CpuCount`, value: 2, shows: 0 },
  { field: `${H}IOMaximumIOps`, value: 5, refused: [400, /Invalid QoS settings/] },
  { field: `${H}IOMaximumBandwidth`, value: 5, refused: [400, /Invalid QoS settings/] },
  { field: `${H}ShmSize`, value: 32 * MB, inside: ['df -k /dev/shm', /32768/] },
  { field: `${H}ShmSize`, value: -1, refused: [400, /SHM size can not be less than 0/] },
  {
    field: `${H}CgroupParent`,
    value: '/dwta/parent',
    with: { [`${H}CgroupnsMode`]: 'host' },
    inside: ['cat /proc/self/cgroup', /:\/dwta\/parent\/[0-9a-f]{64}$/m],
  },
  {
    field: `${H}CgroupParent`,
    value: '../../up',
    refused: [400, /invalid cgroup parent/],
  },
]

const files: readonly FieldRow[] = [
  { field: `${H}Binds`, value: ['/etc/hostname:/here:ro'], inside: ['touch /here 2>&1', /Read-only/] },
  { field: `${H}Binds`, value: ['a:b:c:d'], refused: [400, /invalid volume specification/] },
  {
    field: `${H}Tmpfs`,
    value: { '/t': 'size=1m,mode=711' },
    inside: ['df -k /t; stat -c %a /t', /1024[^]*711$/],
  },
  { field: `${H}Tmpfs`, value: { rel: '' }, refused: [400, /mount path must be absolute/] },
  {
    field: `${H}Mounts`,
    value: [{ Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: MB, Mode: 0o700 } }],
    inside: ['df -k /t; stat -c %a /t', /1024[^]*700$/],
  },
  {
    field: `${H}Mounts`,
    value: [{ Type: 'bind', Source: '/nosuch', Target: '/t' }],
    refused: [400, /bind source path does not exist: \/nosuch/],
  },
  {
    field: `${H}Mounts`,
    value: [{ Type: 'volume', Target: '/t', BindOptions: { Propagation: 'shared' } }],
    refused: [400, /BindOptions must not be specified on mount type .*volume/],
  },
  { field: `${H}Mounts`, value: [{ Type: 'bogus', Target: '/t' }], refused: [400, /mount type unknown/] },
  {
    field: `${H}Mounts`,
    value: [{ Type: 'tmpfs', Target: '/t', TmpfsOptions: { Options: [['exec']] } }],
    inside: ['grep " /t " /proc/mounts | grep -c noexec', /^0$/],
  },
  {
    field: `${H}Mounts`,
    value: [{ Type: 'tmpfs', Target: '/t', TmpfsOptions: { Options: [['suid']] } }],
    refused: [400, /invalid mount config for type .*tmpfs.*: invalid option: suid/],
  },
  {
    field: `${H}Mounts`,
    value: [{ Type: 'volume', Target: '/t', ReadOnly: true }],
    refused: [400, /must not set ReadOnly mode when using anonymous volumes/],
  },
  {
    field: `${H}Devices`,
    value: [{ PathOnHost: '/dev/zero', PathInContainer: '/dev/mine', CgroupPermissions: 'rwm' }],
    inside: ['head -c 3 /dev/mine | wc -c', /^3$/],
  },
  {
    field: `${H}DeviceCgroupRules`,
    value: ['c 10:229 rwm'],
    with: { [`${H}CapAdd`]: ['MKNOD'], [`${H}UsernsMode`]: 'host' },
    // Who may not is told "Operation not permitted", whatever the kernel has there.
    inside: ['mknod /f c 10 229 && : <>/f && echo opened', /^opened$|No such device/],
  },
  {
    field: `${H}DeviceCgroupRules`,
    value: ['nonsense'],
    refused: [400, /invalid device cgroup rule format/],
  },
  {
    field: `${H}DeviceRequests`,
    value: [{ Driver: '', Count: -1, Capabilities: [['gpu']] }],
    shows: [{ Driver: '', Count: -1, DeviceIDs: null, Capabilities: [['gpu']], Options: null }],
    fails: [500, /could not select device driver .* with capabilities: \[\[gpu\]\]/],
  },
  // As dockerd without specifications of CDI devices.
  {
    field: `${H}DeviceRequests`,
    value: [{ Driver: 'cdi', Count: 0, DeviceIDs: ['vendor.com/class=name'], Capabilities: [], Options: {} }],
    fails: [500, /could not select device driver \\"cdi\\" with capabilities: \[\]/],
  },
  {
    field: `${H}StorageOpt`,
    value: { size: '10G' },
    refused: [500, /--storage-opt is supported only for overlay over xfs/],
  },
  {
    field: `${H}VolumeDriver`,
    value: 'nosuch',
    with: { Volumes: { '/v': {} } },
    refused: [404, /plugin .*nosuch.* not found/],
  },
  { field: `${H}VolumesFrom`, value: ['nosuch'], refused: [400, /No such container: nosuch/] },
  { field: `${H}ContainerIDFile`, value: '/tmp/x.cid' },
  { field: `${H}ConsoleSize`, value: [30, 90], with: { Tty: true }, inside: ['stty size', /^30 90/] },
  { field: `${H}LogConfig`, value: { Type: 'local', Config: {} } },
  {
    field: `${H}LogConfig`,
    value: { Type: 'syslog', Config: {} },
    refused: [400, /no log driver named 'syslog' is registered/],
  },
  {
    field: `${H}LogConfig`,
    value: { Type: 'json-file', Config: { bogus: '1' } },
    refused: [400, /unknown log opt 'bogus' for json-file log driver/],
  },
]

const network: readonly FieldRow[] = [
  { field: `${H}PortBindings`, value: { '80/tcp': [{ HostIp: '', HostPort: '8099' }] } },
  {
    field: `${H}PortBindings`,
    value: { '80/tcp': [{ HostPort: '99999' }] },
    refused: [400, /invalid port specification: .*99999/],
  },
  { field: `${H}PublishAllPorts`, value: true },
  { field: `${H}Dns`, value: ['9.9.9.9'], inside: ['cat /etc/resolv.conf', /nameserver 9\.9\.9\.9/] },
  { field: `${H}Dns`, value: ['nonsense'], refused: [400, /nonsense/] },
  {
    field: `${H}DnsOptions`,
    value: ['ndots:3'],
    with: { [`${H}Dns`]: ['9.9.9.9'] },
    inside: ['cat /etc/resolv.conf', /options ndots:3/],
  },
  {
    field: `${H}DnsSearch`,
    value: ['example.org'],
    with: { [`${H}Dns`]: ['9.9.9.9'] },
    inside: ['cat /etc/resolv.conf', /search example\.org/],
  },
  { field: `${H}ExtraHosts`, value: ['other:10.9.8.7'], inside: ['cat /etc/hosts', /10\.9\.8\.7\tother/] },
  {
    field: `${H}ExtraHosts`,
    value: ['gate:host-gateway'],
    inside: ['cat /etc/hosts', /^172\.27\.0\.1\tgate$/m],
  },
  { field: `${H}ExtraHosts`, value: ['nonsense'], refused: [400, /nonsense/] },
  { field: `${H}RestartPolicy`, value: { Name: 'on-failure', MaximumRetryCount: 3 } },
  { field: `${H}RestartPolicy`, value: { Name: 'bogus' }, refused: [400, /unknown policy 'bogus'/] },
  {
    field: `${H}AutoRemove`,
    value: true,
    with: { [`${H}RestartPolicy`]: { Name: 'always' } },
    refused: [400, /can't create 'AutoRemove' container with restart policy/],
  },
]

export const FIELDS: readonly FieldRow[] = [
  ...config,
  ...namespaces,
  ...powers,
  ...limits,
  ...files,
  ...network,
]
