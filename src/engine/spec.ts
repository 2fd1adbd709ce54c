/** A container's record, its image's wishes and the host's facts as one OCI spec. Pure: the same input, the same spec. */
import { containerCapabilities, processCapabilities } from '../kernel/capabilities.ts'
import { DEFAULT_DEVICES } from '../kernel/device-rules.ts'
import type { OciDeviceRule, OciProcess, OciSeccomp, OciSpec } from '../kernel/oci.ts'
import { ulimitToRlimit } from '../kernel/rlimits.ts'
import { processEnv } from './config.ts'
import type { HostFacts } from './host-facts.ts'
import type { ExecUser } from './passwd.ts'
import { parseSecurityOptions } from './security-options.ts'
import { closedPaths, mounts, type EtcFiles, type ResolvedMount } from './spec-mounts.ts'
import { idMappings, namespaces, timeOffsets, type IdRange, type Joins } from './spec-namespaces.ts'
import { deviceRules, resources, type BlockDevices, type DeviceGrant } from './spec-resources.ts'
import { checkSysctls, defaultSysctls } from './sysctls.ts'
import type { ContainerConfig, HostConfig } from './types.ts'

export interface SpecInput {
  /** Paths of the host's meters: closed like what is closed on each host, unless the client says what is. */
  readonly meters?: readonly string[]
  readonly id: string
  readonly config: ContainerConfig
  readonly host: HostConfig
  readonly path: string
  readonly args: readonly string[]
  readonly user: ExecUser
  /** undefined: the container runs in the host's user namespace. */
  readonly range: IdRange | undefined
  readonly mounts: readonly ResolvedMount[]
  readonly files: EtcFiles
  readonly sharedShm: string | undefined
  readonly joins: Joins
  readonly facts: HostFacts
  readonly cgroupsPath: string
  /** undefined: no filter. */
  readonly seccomp: OciSeccomp | undefined
  readonly devices: readonly DeviceGrant[]
  readonly extraRules: readonly OciDeviceRule[]
  readonly blockDevices: BlockDevices
  /** Seconds of the host's clocks now; undefined leaves them as they are. */
  readonly clocks: { readonly monotonic: number; readonly boottime: number } | undefined
}

export function buildSpec(input: SpecInput): OciSpec {
  const { config, host, range } = input
  const security = parseSecurityOptions(host.securityOpt ?? [])
  const closed = closedPaths(host, security.systemPathsOpen, input.meters)
  const ownUts = host.utsMode !== 'host'
  const own = namespaces({ host, range, joins: input.joins, timeNamespaces: input.facts.timeNamespaces })
  const offsets =
    input.clocks === undefined || !input.facts.timeNamespaces
      ? undefined
      : timeOffsets(input.clocks.monotonic, input.clocks.boottime)
  return {
    ociVersion: '1.2.0',
    process: containerProcess(input, security.noNewPrivileges),
    root: { path: 'rootfs', readonly: host.readonlyRootfs },
    ...(ownUts && effectiveHostname(input) !== '' ? { hostname: effectiveHostname(input) } : {}),
    ...(ownUts && config.domainname !== '' ? { domainname: config.domainname } : {}),
    mounts: mounts({
      host,
      userNamespace: range !== undefined,
      hostQueues: input.facts.messageQueues,
      sharedShm: input.sharedShm,
      mounts: input.mounts,
      files: input.files,
    }),
    annotations: host.annotations ?? {},
    linux: {
      namespaces: own,
      uidMappings: idMappings(range),
      gidMappings: idMappings(range),
      ...(offsets === undefined ? {} : { timeOffsets: offsets }),
      devices: [...DEFAULT_DEVICES, ...input.devices.map((grant) => grant.device)],
      cgroupsPath: input.cgroupsPath,
      resources: resources(
        host,
        deviceRules(host.privileged, input.devices, input.extraRules),
        input.blockDevices,
      ),
      ...(input.seccomp === undefined ? {} : { seccomp: input.seccomp }),
      maskedPaths: closed.masked,
      readonlyPaths: closed.readonly,
      sysctl: { ...defaultSysctls(host, range?.size), ...checkSysctls(host.sysctls ?? {}, host) },
    },
  }
}

/** The host's own name for containers in its UTS or network namespace, as with Docker. */
export function effectiveHostname(input: Pick<SpecInput, 'config' | 'host' | 'facts'>): string {
  if (input.config.hostname !== '') return input.config.hostname
  const shares = input.host.utsMode === 'host' || input.host.networkMode === 'host'
  return shares ? input.facts.hostname : ''
}

function containerProcess(input: SpecInput, noNewPrivileges: boolean): OciProcess {
  const { config, host, user } = input
  const [height, width] = host.consoleSize
  return {
    terminal: config.tty,
    ...(config.tty && height > 0 && width > 0 ? { consoleSize: { height, width } } : {}),
    user: { uid: user.uid, gid: user.gid, additionalGids: allGids(user) },
    args: [input.path, ...input.args],
    env: processEnv({ config, hostname: effectiveHostname(input), home: user.home }),
    cwd: config.workingDir || '/',
    capabilities: processCapabilities(capabilitiesOf(host, input.facts), user.uid),
    rlimits: (host.ulimits ?? []).map(ulimitToRlimit),
    noNewPrivileges,
    ...(host.oomScoreAdj === input.facts.oomScoreAdj ? {} : { oomScoreAdj: host.oomScoreAdj }),
  }
}

function allGids(user: ExecUser): number[] {
  // The primary group is among the supplementary ones, or "deny this group" ACLs could be dodged (CVE-2022-36109).
  return [user.gid, ...user.additionalGids]
}

function capabilitiesOf(host: HostConfig, facts: HostFacts) {
  return containerCapabilities({
    add: host.capAdd ?? [],
    drop: host.capDrop ?? [],
    privileged: host.privileged,
    last: facts.lastCapability,
  })
}

export interface ExecProcessInput {
  readonly config: ContainerConfig
  readonly host: HostConfig
  readonly facts: HostFacts
  readonly user: ExecUser
  readonly cmd: readonly string[]
  readonly env: readonly string[]
  readonly workingDir: string
  readonly tty: boolean
  readonly privileged: boolean
  readonly consoleSize: readonly [number, number] | undefined
}

/** One more process in a running container: its own user, directory and terminal, the container's walls. */
export function buildExecProcess(input: ExecProcessInput): OciProcess {
  const { config, host, user } = input
  const [height, width] = input.consoleSize ?? [0, 0]
  const capabilities = capabilitiesOf(
    { ...host, privileged: host.privileged || input.privileged },
    input.facts,
  )
  return {
    terminal: input.tty,
    ...(input.tty && height > 0 && width > 0 ? { consoleSize: { height, width } } : {}),
    user: { uid: user.uid, gid: user.gid, additionalGids: allGids(user) },
    args: input.cmd,
    env: processEnv({
      config,
      hostname: effectiveHostname(input),
      home: user.home,
      extra: input.env,
      tty: input.tty,
    }),
    cwd: input.workingDir || config.workingDir || '/',
    capabilities: processCapabilities(capabilities, user.uid),
    rlimits: (host.ulimits ?? []).map(ulimitToRlimit),
    noNewPrivileges: parseSecurityOptions(host.securityOpt ?? []).noNewPrivileges,
    ...(host.oomScoreAdj === input.facts.oomScoreAdj ? {} : { oomScoreAdj: host.oomScoreAdj }),
  }
}
