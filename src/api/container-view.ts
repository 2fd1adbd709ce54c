/** Containers as `inspect` and `ps` show them, field by field as dockerd 28 does. */
import type { ContainerState, ContainerView, EndpointState, MountPoint } from '../engine/types.ts'
import { CONFIG, HOST_CONFIG_CODEC } from './container-schema.ts'
import { isEmpty, sortedMap } from './codec.ts'
import { rfc3339Nano } from './go-time.ts'
import { statusText } from './status-text.ts'

/** Windows' knobs, which dockerd shows as zeros on Linux. */
const WINDOWS = { cpuCount: 0, cpuPercent: 0, ioMaximumIOps: 0, ioMaximumBandwidth: 0 }

export function inspectJson(view: ContainerView, minor: number): object {
  return {
    Id: view.id,
    Created: rfc3339Nano(view.created),
    Path: view.path,
    Args: view.args,
    State: stateJson(view.state),
    Image: view.imageId,
    ResolvConfPath: view.paths.resolvConf,
    HostnamePath: view.paths.hostname,
    HostsPath: view.paths.hosts,
    LogPath: view.paths.log,
    Name: slashed(view.name),
    RestartCount: view.restartCount,
    Driver: 'overlay2',
    Platform: view.platform.split('/', 1)[0],
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: view.execIds.length === 0 ? null : view.execIds,
    HostConfig: HOST_CONFIG_CODEC.encode({ ...view.hostConfig, ...WINDOWS }),
    GraphDriver: graphJson(view),
    ...sizes(view),
    Mounts: view.mounts.map(mountJson),
    Config: configJson(view),
    NetworkSettings: networkSettingsJson(view, minor),
  }
}

export function slashed(name: string): string {
  return name.startsWith('/') ? name : `/${name}`
}

/** The writable layer's size is left out when it is 0, as Go's omitempty does. */
function sizes(view: ContainerView): object {
  return {
    ...(view.sizeRw === undefined ? {} : { SizeRw: view.sizeRw }),
    ...(view.sizeRootFs === undefined ? {} : { SizeRootFs: view.sizeRootFs }),
  }
}

function configJson(view: ContainerView): unknown {
  const volumes = isEmpty(view.config.volumes) ? null : view.config.volumes
  return CONFIG.encode({ ...view.config, volumes })
}

function stateJson(state: ContainerState): object {
  return {
    Status: state.status,
    Running: state.running,
    Paused: state.paused,
    Restarting: state.restarting,
    OOMKilled: state.oomKilled,
    Dead: state.dead,
    Pid: state.pid,
    ExitCode: state.exitCode,
    Error: state.error,
    StartedAt: rfc3339Nano(state.startedAt),
    FinishedAt: rfc3339Nano(state.finishedAt),
    ...healthJson(state),
  }
}

function healthJson({ health }: ContainerState): object {
  if (health === undefined || health.status === 'none') return {}
  const log = health.log.map((entry) => ({
    Start: rfc3339Nano(entry.start),
    End: rfc3339Nano(entry.end),
    ExitCode: entry.exitCode,
    Output: entry.output,
  }))
  return { Health: { Status: health.status, FailingStreak: health.failingStreak, Log: log } }
}

function graphJson(view: ContainerView): object {
  const { lower, upper, work } = view.graph
  const merged = upper === '' ? '' : upper.replace(/[^/]+$/, 'merged')
  return {
    Data: { LowerDir: lower.join(':'), MergedDir: merged, UpperDir: upper, WorkDir: work },
    Name: 'overlay2',
  }
}

export function mountJson(mount: MountPoint): object {
  return {
    Type: mount.type,
    ...(mount.name === undefined || mount.name === '' ? {} : { Name: mount.name }),
    Source: mount.source,
    Destination: mount.destination,
    ...(mount.driver === undefined || mount.driver === '' ? {} : { Driver: mount.driver }),
    Mode: mount.mode,
    RW: mount.rw,
    Propagation: mount.propagation,
  }
}

/** The old top-level address fields repeat those of the default bridge's endpoint, and of no other. */
function networkSettingsJson(view: ContainerView, minor: number): object {
  const bridge = view.networks['bridge']
  return {
    Bridge: '',
    SandboxID: view.state.running ? view.id : '',
    SandboxKey: view.state.pid > 0 ? `/proc/${view.state.pid}/ns/net` : '',
    Ports: portMapJson(view.ports),
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: bridge?.endpointID ?? '',
    Gateway: bridge?.gateway ?? '',
    GlobalIPv6Address: bridge?.globalIPv6Address ?? '',
    GlobalIPv6PrefixLen: bridge?.globalIPv6PrefixLen ?? 0,
    IPAddress: bridge?.ipAddress ?? '',
    IPPrefixLen: bridge?.ipPrefixLen ?? 0,
    IPv6Gateway: bridge?.ipv6Gateway ?? '',
    MacAddress: bridge?.macAddress ?? '',
    Networks: endpointsJson(view.networks, minor),
  }
}

/** Go's decoder would take any case of these names, other clients do not. */
function portMapJson(ports: ContainerView['ports']): object {
  const shown = Object.entries(sortedMap(ports)).map(([port, bindings]): [string, object | null] => [
    port,
    bindings?.map(({ hostIp, hostPort }) => ({ HostIp: hostIp, HostPort: hostPort })) ?? null,
  ])
  return Object.fromEntries(shown)
}

function endpointsJson(networks: Readonly<Record<string, EndpointState>>, minor: number): object {
  return Object.fromEntries(
    Object.entries(sortedMap(networks)).map(([name, endpoint]) => [name, endpointJson(endpoint, minor)]),
  )
}

function endpointJson(endpoint: EndpointState, minor: number): object {
  const ipam = endpoint.ipamConfig
  return {
    IPAMConfig: ipam === undefined || ipam === null ? null : ipamJson(ipam),
    Links: endpoint.links ?? null,
    Aliases: endpoint.aliases ?? null,
    MacAddress: endpoint.macAddress ?? '',
    DriverOpts: endpoint.driverOpts ?? null,
    ...(minor >= 48 ? { GwPriority: endpoint.gwPriority ?? 0 } : {}),
    NetworkID: endpoint.networkID,
    EndpointID: endpoint.endpointID,
    Gateway: endpoint.gateway,
    IPAddress: endpoint.ipAddress,
    IPPrefixLen: endpoint.ipPrefixLen,
    IPv6Gateway: endpoint.ipv6Gateway,
    GlobalIPv6Address: endpoint.globalIPv6Address,
    GlobalIPv6PrefixLen: endpoint.globalIPv6PrefixLen,
    ...(minor >= 44 ? { DNSNames: endpoint.dnsNames } : {}),
  }
}

function ipamJson(ipam: NonNullable<EndpointState['ipamConfig']>): object {
  return {
    ...(ipam.ipv4Address === undefined ? {} : { IPv4Address: ipam.ipv4Address }),
    ...(ipam.ipv6Address === undefined ? {} : { IPv6Address: ipam.ipv6Address }),
    ...(ipam.linkLocalIps === undefined ? {} : { LinkLocalIPs: ipam.linkLocalIps }),
  }
}

/** One row of `ps`. `image` is the name, or the id when the name has moved on to another image. */
export function summaryJson(view: ContainerView, image: string, minor: number, now: number): object {
  return {
    Id: view.id,
    Names: [slashed(view.name), ...view.linkNames],
    Image: image,
    ImageID: view.imageId,
    Command: commandText(view),
    Created: Math.floor(view.created / 1000),
    Ports: portsJson(view.ports),
    ...(view.sizeRw === undefined || view.sizeRw === 0 ? {} : { SizeRw: view.sizeRw }),
    ...(view.sizeRootFs === undefined || view.sizeRootFs === 0 ? {} : { SizeRootFs: view.sizeRootFs }),
    Labels: sortedMap(view.config.labels),
    State: view.state.status,
    Status: statusText(view.state, now),
    HostConfig: {
      NetworkMode: view.hostConfig.networkMode,
      ...(minor >= 46 && !isEmpty(view.hostConfig.annotations)
        ? { Annotations: sortedMap(view.hostConfig.annotations) }
        : {}),
    },
    NetworkSettings: { Networks: endpointsJson(view.networks, minor) },
    Mounts: view.mounts.map(mountJson),
  }
}

function commandText(view: ContainerView): string {
  return [view.path, ...view.args.map((arg) => (arg.includes(' ') ? `'${arg}'` : arg))].join(' ')
}

export function portsJson(ports: ContainerView['ports']): object[] {
  return Object.entries(ports).flatMap(([key, bindings]) => {
    const [port = '', type = 'tcp'] = key.split('/')
    const base = { PrivatePort: Number(port), Type: type }
    if (bindings === null || bindings.length === 0) return [base]
    return bindings.map((binding) => ({
      ...(binding.hostIp === '' ? {} : { IP: binding.hostIp }),
      PrivatePort: Number(port),
      ...(binding.hostPort === '' ? {} : { PublicPort: Number(binding.hostPort) }),
      Type: type,
    }))
  })
}
