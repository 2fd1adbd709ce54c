import type { CreateFlags } from './flags.ts'
import { isCdiName, parseDevice } from './devices.ts'
import { readKeyValues, toMap } from './environment.ts'
import { endpointsOf } from './networks.ts'
import { cut, parsePorts } from './ports.ts'
import { parseSecurity } from './security.ts'
import { parseVolumes } from './volumes.ts'
import { parseRestart } from './words.ts'

/** The body of POST /containers/create; as docker writes it, nulls and all, so that an engine can treat both alike. */
export interface CreateBody {
  readonly Image: string
  readonly Tty: boolean
  readonly OpenStdin: boolean
  readonly AttachStdin: boolean
  readonly AttachStdout: boolean
  readonly AttachStderr: boolean
  readonly StdinOnce: boolean
  readonly HostConfig: HostConfigBody
  /** The fields that only the engine reads. */
  readonly [field: string]: unknown
}

interface HostConfigBody {
  readonly AutoRemove: boolean
  readonly ContainerIDFile: string
  readonly Dns: readonly string[]
  readonly ConsoleSize: readonly [number, number]
  readonly [field: string]: unknown
}

export interface Surroundings {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
}

/** Turns the flags of `run`/`create` into the request. Pure but for the files that flags name. Throws Error in docker's words. */
export function createBody(
  flags: CreateFlags,
  image: string,
  args: readonly string[],
  where: Surroundings,
): CreateBody {
  refuse(flags)
  const ports = parsePorts(flags.publish, flags.expose)
  const volumes = parseVolumes(flags.volume, where.cwd)
  const health = healthcheck(flags)
  const networks = endpointsOf(flags.network, {
    aliases: flags['network-alias'],
    links: flags.link,
    ip: flags.ip,
    ip6: flags.ip6,
    mac: flags['mac-address'],
    linkLocal: flags['link-local-ip'],
  })
  const attachStdin = flags.attach.includes('stdin') || flags.interactive
  const attachOutput = (name: string): boolean => flags.attach.length === 0 || flags.attach.includes(name)
  const mac = flags.network[0]?.mac ?? ''
  return {
    Hostname: flags.hostname,
    Domainname: flags.domainname,
    User: flags.user,
    AttachStdin: attachStdin,
    AttachStdout: attachOutput('stdout'),
    AttachStderr: attachOutput('stderr'),
    ...optional('ExposedPorts', ports.exposed),
    Tty: flags.tty,
    OpenStdin: flags.interactive,
    StdinOnce: flags.interactive && attachStdin,
    Env: orNull(readKeyValues(flags['env-file'], flags.env, where.env)),
    Cmd: orNull(args),
    ...(health === undefined ? {} : { Healthcheck: health }),
    Image: image,
    Volumes: volumes.anonymous,
    WorkingDir: flags.workdir,
    Entrypoint: flags.given.has('entrypoint') ? [flags.entrypoint] : null,
    ...text('MacAddress', flags['mac-address'] === '' ? mac : flags['mac-address']),
    OnBuild: null,
    Labels: toMap(readKeyValues(flags['label-file'], flags.label, undefined)),
    ...text('StopSignal', flags['stop-signal']),
    ...(flags.given.has('stop-timeout') ? { StopTimeout: flags['stop-timeout'] } : {}),
    HostConfig: hostConfig(flags, volumes.binds, ports.bindings),
    NetworkingConfig: { EndpointsConfig: networks },
  }
}

function refuse(flags: CreateFlags): void {
  if (flags.gpus.length > 0)
    throw new Error('--gpus is not supported: no level of dewar gives a container a GPU (take the flag away)')
  if (
    flags['memory-swappiness'] !== -1 &&
    (flags['memory-swappiness'] < 0 || flags['memory-swappiness'] > 100)
  ) {
    throw new Error(`invalid value: ${flags['memory-swappiness']}. Valid memory swappiness range is 0-100`)
  }
  if (flags['log-driver'] === 'none' && flags['log-opt'].length > 0)
    throw new Error('invalid logging opts for driver none')
  if (!/^$|^host$|^container:./.test(flags.pid)) throw new Error('--pid: invalid PID mode')
  if (!/^$|^host$/.test(flags.uts)) throw new Error('--uts: invalid UTS mode')
  if (!/^$|^host$/.test(flags.userns)) throw new Error('--userns: invalid USER mode')
  if (!/^$|^host$|^private$/.test(flags.cgroupns)) throw new Error('--cgroupns: invalid CGROUP mode')
  if (flags.rm && parseRestart(flags.restart).Name !== 'no' && flags.restart !== '') {
    throw new Error('conflicting options: cannot specify both --restart and --rm')
  }
}

function hostConfig(flags: CreateFlags, binds: readonly string[], bindings: object): HostConfigBody {
  const security = parseSecurity(flags['security-opt'])
  return {
    Binds: orNull(binds),
    ContainerIDFile: flags.cidfile,
    LogConfig: { Type: flags['log-driver'], Config: toMap(flags['log-opt']) },
    NetworkMode: flags.network[0]?.target ?? 'default',
    PortBindings: bindings,
    RestartPolicy: parseRestart(flags.restart),
    AutoRemove: flags.rm,
    VolumeDriver: flags['volume-driver'],
    VolumesFrom: orNull(flags['volumes-from']),
    ConsoleSize: [0, 0],
    ...optional('Annotations', toMap(flags.annotation)),
    CapAdd: orNull(capabilities(flags['cap-add'])),
    CapDrop: orNull(capabilities(flags['cap-drop'])),
    CgroupnsMode: flags.cgroupns,
    Dns: flags.dns,
    DnsOptions: flags['dns-option'],
    DnsSearch: flags['dns-search'],
    ExtraHosts: orNull(flags['add-host']),
    GroupAdd: orNull(flags['group-add']),
    IpcMode: flags.ipc,
    Cgroup: '',
    Links: orNull(flags.link),
    OomScoreAdj: flags['oom-score-adj'],
    PidMode: flags.pid,
    Privileged: flags.privileged,
    PublishAllPorts: flags['publish-all'],
    ReadonlyRootfs: flags['read-only'],
    SecurityOpt: security.options,
    ...optional('StorageOpt', storageOptions(flags['storage-opt'])),
    ...optional('Tmpfs', tmpfsMap(flags.tmpfs)),
    UTSMode: flags.uts,
    UsernsMode: flags.userns,
    ShmSize: flags['shm-size'],
    ...optional('Sysctls', toMap(flags.sysctl)),
    ...text('Runtime', flags.runtime),
    Isolation: flags.isolation,
    ...resources(flags),
    ...(flags.mount.length === 0 ? {} : { Mounts: flags.mount }),
    MaskedPaths: security.maskedPaths,
    ReadonlyPaths: security.readonlyPaths,
    ...(flags.given.has('init') ? { Init: flags.init } : {}),
  }
}

function resources(flags: CreateFlags): object {
  const cdi = flags.device.filter(isCdiName)
  return {
    CpuShares: flags['cpu-shares'],
    Memory: flags.memory,
    NanoCpus: flags.cpus,
    CgroupParent: flags['cgroup-parent'],
    BlkioWeight: flags['blkio-weight'],
    BlkioWeightDevice: flags['blkio-weight-device'],
    BlkioDeviceReadBps: flags['device-read-bps'],
    BlkioDeviceWriteBps: flags['device-write-bps'],
    BlkioDeviceReadIOps: flags['device-read-iops'],
    BlkioDeviceWriteIOps: flags['device-write-iops'],
    CpuPeriod: flags['cpu-period'],
    CpuQuota: flags['cpu-quota'],
    CpuRealtimePeriod: flags['cpu-rt-period'],
    CpuRealtimeRuntime: flags['cpu-rt-runtime'],
    CpusetCpus: flags['cpuset-cpus'],
    CpusetMems: flags['cpuset-mems'],
    Devices: flags.device.filter((device) => !isCdiName(device)).map(parseDevice),
    DeviceCgroupRules: orNull(flags['device-cgroup-rule']),
    DeviceRequests:
      cdi.length === 0
        ? null
        : [{ Driver: 'cdi', Count: 0, DeviceIDs: cdi, Capabilities: null, Options: null }],
    MemoryReservation: flags['memory-reservation'],
    MemorySwap: flags['memory-swap'],
    MemorySwappiness: flags['memory-swappiness'],
    OomKillDisable: flags['oom-kill-disable'],
    PidsLimit: flags['pids-limit'],
    Ulimits: flags.ulimit.toSorted((a, b) => (a.Name < b.Name ? -1 : 1)),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
  }
}

function healthcheck(flags: CreateFlags): object | undefined {
  const names = [
    'health-interval',
    'health-timeout',
    'health-start-period',
    'health-start-interval',
    'health-retries',
  ] as const
  const any = flags['health-cmd'] !== '' || names.some((name) => flags[name] !== 0)
  if (flags['no-healthcheck']) {
    if (any) throw new Error('--no-healthcheck conflicts with --health-* options')
    return { Test: ['NONE'] }
  }
  if (!any) return undefined
  const negative = names.find((name) => flags[name] < 0)
  if (negative !== undefined) throw new Error(`--${negative} cannot be negative`)
  return {
    ...(flags['health-cmd'] === '' ? {} : { Test: ['CMD-SHELL', flags['health-cmd']] }),
    ...number('Interval', flags['health-interval']),
    ...number('Timeout', flags['health-timeout']),
    ...number('StartPeriod', flags['health-start-period']),
    ...number('StartInterval', flags['health-start-interval']),
    ...number('Retries', flags['health-retries']),
  }
}

/** net_admin → CAP_NET_ADMIN, sorted, once each; ALL stands alone. */
function capabilities(words: readonly string[]): readonly string[] {
  const names = words.map((word) => word.trim().toUpperCase())
  if (names.includes('ALL')) return ['ALL']
  return [...new Set(names.map((name) => (name.startsWith('CAP_') ? name : `CAP_${name}`)))].toSorted()
}

function storageOptions(words: readonly string[]): Record<string, string> {
  if (words.some((word) => !word.includes('='))) throw new Error('invalid storage option')
  return toMap(words)
}

function tmpfsMap(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const [target, options] = cut(word, ':')
      return [target, options ?? '']
    }),
  )
}

function orNull<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list
}

/** Left out when empty, as Go's omitempty does. */
function optional(key: string, value: object): object {
  return Object.keys(value).length === 0 ? {} : { [key]: value }
}

function text(key: string, value: string): object {
  return value === '' ? {} : { [key]: value }
}

function number(key: string, value: number): object {
  return value === 0 ? {} : { [key]: value }
}
