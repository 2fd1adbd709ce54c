/** From a container's record to the bundle its level starts: the effects around the pure spec. */
import { randomUUID } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { release } from 'node:os'
import { oomFile } from '../kernel/cgroup.ts'
import { containerCapabilities } from '../kernel/capabilities.ts'
import type { OciSeccomp } from '../kernel/oci.ts'
import { defaultSeccompFor, loadDockerProfile } from '../kernel/seccomp.ts'
import { EXIT_FILE } from '../kernel/shim.ts'
import { join } from 'node:path'
import type { Bundle } from '../isolation/level.ts'
import { isForeign } from './answering.ts'
import { bindParts } from './bind-parts.ts'
import { realPath, refuseUnsharedSources } from './bind-propagation.ts'
import { etcOwner, writeEtcFiles } from './etc-files.ts'
import { renewGuestFile } from './guest-file.ts'
import type { Container } from './container.ts'
import { refuseDeviceRequests, resolveBlockDevices, resolveDevices } from './devices.ts'
import { joinPids, sharedShmOwner } from './joins.ts'
import { linkVariables, requireLinks } from './links.ts'
import { checkLineAttributes, lineAttributes } from './log-attributes.ts'
import { logLimits } from './log-options.ts'
import { runFolder } from './options.ts'
import type { ExecUser } from './passwd.ts'
import type { ContainerRecord } from './record.ts'
import { parseSecurityOptions } from './security-options.ts'
import { levelOf, type Services } from './services.ts'
import { presentMeters } from './meters.ts'
import { refuseProcMounts } from './proc-mounts.ts'
import { buildSpec, effectiveHostname } from './spec.ts'
import type { EtcFiles, ResolvedMount } from './spec-mounts.ts'
import type { Joins } from './spec-namespaces.ts'
import type { ContainerConfig } from './types.ts'
import { withFolderModes } from './tmpfs-mode.ts'
import { NO_BLOCK_DEVICES, parseDeviceRule, type BlockDevices, type DeviceGrant } from './spec-resources.ts'

const ROOT: ExecUser = { uid: 0, gid: 0, additionalGids: [], home: '/' }
const NO_PINS: LaunchPins = {
  user: ROOT,
  joins: {},
  devices: [],
  blockDevices: NO_BLOCK_DEVICES,
  expectAttach: 0,
  parts: false,
  cold: true,
}

/** What is looked up anew at each start. */
interface LaunchPins {
  readonly user: ExecUser
  readonly joins: Joins
  readonly devices: readonly DeviceGrant[]
  readonly blockDevices: BlockDevices
  readonly expectAttach: number
  /** What is below the sources of binds is looked up. */
  readonly parts: boolean
  /** Not for starting: namespaces that would be joined are left out. */
  readonly cold: boolean
}

/** Everything is looked up, the folders are there; what the level gets to start the container. */
export async function bundleForStart(services: Services, container: Container): Promise<Bundle> {
  const { hostConfig, config } = container.record
  checkLineAttributes(container.record)
  refuseDeviceRequests(hostConfig)
  refuseProcMounts(container.record)
  refuseUnsharedSources(container.record, services.settings.root)
  requireLinks(services, container.record)
  const joins = joinPids(hostConfig, services.containers, container.record.range)
  const [devices, blockDevices, user] = await Promise.all([
    resolveDevices(hostConfig),
    resolveBlockDevices(hostConfig),
    services.users.resolve(
      container,
      config.user,
      hostConfig.groupAdd ?? [],
      levelOf(services, container),
      () => bundleForLayers(services, container),
    ),
  ])
  container.expectedAttaches = [...container.pendingAttaches]
  const expectAttach = container.expectedAttaches.filter(
    ({ request: { stdout, stderr } }) => stdout || stderr,
  ).length
  return bundle(services, container, {
    user,
    joins,
    devices,
    blockDevices,
    expectAttach,
    parts: true,
    cold: false,
  })
}

/** For looking into the layers of a container that does not run: two overlays cannot be made of the same at a time. */
export async function bundleForLayers(services: Services, container: Container): Promise<Bundle> {
  await services.ready.drop(container.id)
  return bundleAtRest(services, container)
}

/** What is mounted into it will be, for its files: so the sources are looked at (`requireAnswers` before). */
export function bundleAtRest(services: Services, container: Container): Bundle {
  return bundle(services, container, { ...NO_PINS, parts: true })
}

/** For `release` and the like, and for containers that run: no user, no devices, and no look at the sources of binds. */
export function bundleForFiles(services: Services, container: Container): Bundle {
  return bundle(services, container, NO_PINS)
}

function bundle(services: Services, container: Container, pins: LaunchPins): Bundle {
  const { record, paths } = container
  const startedAt = record.state.status === 'running' ? record.state.startedAt : 0
  const mounts = pins.parts ? withParts(record) : record.mounts
  return {
    id: record.id,
    spec: buildSpec({
      meters: presentMeters(),
      id: record.id,
      config: namedConfig(services, record),
      host: pins.cold ? withoutJoins(record.hostConfig) : record.hostConfig,
      path: record.path,
      args: record.args,
      user: pins.user,
      range: record.range ?? undefined,
      mounts: pins.cold ? mounts : withFolderModes(mounts, [paths.upper, ...record.lower]),
      files: { ...etcFiles(services, container), ...bootIdFile(container) },
      sharedShm: sharedShm(services, container),
      joins: pins.joins,
      facts: services.facts,
      cgroupsPath: cgroupsPath(services, record),
      seccomp: seccompOf(services, record),
      devices: pins.devices,
      extraRules: (record.hostConfig.deviceCgroupRules ?? []).map(parseDeviceRule),
      blockDevices: pins.blockDevices,
      clocks: undefined,
    }),
    rootfs: { lower: record.lower, upper: paths.upper, work: paths.work },
    network: services.networks.steps(record, startedAt),
    init: record.hostConfig.init === true,
    shim: shimOptions(services, container, pins.expectAttach),
  }
}

/** What its processes see: variables of links; in another's network the other's name, too, as with Docker. */
export function namedConfig(services: Services, record: ContainerRecord): ContainerConfig {
  const { hostConfig } = record
  const links = linkVariables(services, record)
  const config =
    links.length === 0 ? record.config : { ...record.config, env: [...links, ...record.config.env] }
  if (config.hostname !== '' || !hostConfig.networkMode.startsWith('container:')) return config
  const owner = services.containers.byId(hostConfig.networkMode.slice('container:'.length))?.record
  if (owner === undefined) return config
  const named = { config: namedConfig(services, owner), host: owner.hostConfig, facts: services.facts }
  return { ...config, hostname: effectiveHostname(named), domainname: named.config.domainname }
}

/** What the host has mounted in and under the sources is looked up at each start. */
function withParts({ mounts, range }: ContainerRecord): readonly ResolvedMount[] {
  if (range === null || !mounts.some(isForeign)) return mounts
  const mountinfo = readText('/proc/self/mountinfo')
  return mounts.map((mount) =>
    !isForeign(mount)
      ? mount
      : { ...mount, parts: bindParts(mountinfo, realPath(mount.source), mount.recursive) },
  )
}

/** A stopped container's files can be read while those it would join are gone. */
function withoutJoins(host: ContainerRecord['hostConfig']): ContainerRecord['hostConfig'] {
  const own = (mode: string, otherwise: string): string => (mode.startsWith('container:') ? otherwise : mode)
  return {
    ...host,
    networkMode: own(host.networkMode, 'none'),
    pidMode: own(host.pidMode, ''),
    ipcMode: own(host.ipcMode, 'private'),
  }
}

export function cgroupsPath(services: Services, record: ContainerRecord): string {
  const parent = record.hostConfig.cgroupParent || `/dewar-${services.settings.instance}`
  return join('/', parent, record.id)
}

function seccompOf(services: Services, record: ContainerRecord): OciSeccomp | undefined {
  const { hostConfig } = record
  const { seccomp } = parseSecurityOptions(hostConfig.securityOpt ?? [])
  if (hostConfig.privileged || seccomp === 'unconfined') return undefined
  const capabilities = containerCapabilities({
    add: hostConfig.capAdd ?? [],
    drop: hostConfig.capDrop ?? [],
    privileged: false,
    last: services.facts.lastCapability,
  })
  const context = { arch: services.arch, capabilities, kernel: release() }
  return seccomp === 'default' ? defaultSeccompFor(context) : loadDockerProfile(seccomp.profile, context)
}

function shimOptions(services: Services, container: Container, expectAttach: number): Bundle['shim'] {
  const { config, hostConfig } = container.record
  const limits = logLimits(hostConfig.logConfig)
  const oom = oomFile(services.cgroups, cgroupsPath(services, container.record))
  return {
    runDir: runFolder(services.settings, container.id),
    tty: config.tty,
    stdin: config.openStdin,
    stdinOnce: config.stdinOnce,
    expectAttach,
    ...(oom === undefined ? {} : { oomFile: oom }),
    ...(limits === undefined
      ? {}
      : { log: { path: container.paths.log, ...limits, attributes: lineAttributes(container.record) } }),
  }
}

function sharedShm(services: Services, container: Container): string | undefined {
  const owner = sharedShmOwner(container, services.containers)
  return owner === undefined ? undefined : join(runFolder(services.settings, owner.id), 'shm')
}

function etcFiles(services: Services, container: Container): EtcFiles {
  const { hostConfig, config } = container.record
  if (hostConfig.networkMode === 'none' && config.networkDisabled === true) return {}
  const owner = etcOwner(services.containers, container)
  if (owner === undefined) return {}
  const { hosts, hostname, resolvConf } = owner.paths
  return { hosts, hostname, resolvConf }
}

/** Only where /proc is not left open: whoever opens it wants the host's. */
function bootIdFile(container: Container): EtcFiles {
  const { privileged, maskedPaths, securityOpt } = container.record.hostConfig
  const open =
    privileged || maskedPaths?.length === 0 || securityOpt?.includes('systempaths=unconfined') === true
  return open ? {} : { bootId: container.paths.bootId }
}

/** The folders and files a start needs. Small and synchronous: together about 0.2 ms, and nothing can come between. */
export function prepareFolders(services: Services, container: Container): void {
  const { record } = container
  const run = runFolder(services.settings, container.id)
  const made = mkdirSync(run, { recursive: true, mode: 0o700 })
  // Of the run before, when a full disk kept its end from the record: it would be taken for the end of this one.
  if (made === undefined && existsSync(join(run, EXIT_FILE))) rmSync(join(run, EXIT_FILE))
  if (record.hostConfig.ipcMode === 'shareable') makeShm(join(run, 'shm'))
  makeSources(record)
  writeEtcFiles(services, container)
  // A start of the container is what booting is for a machine.
  renewGuestFile(container.paths.bootId, `${randomUUID()}\n`)
}

/** What `-v` names on the host is made as a folder when it is not there. */
export function makeSources({ mounts }: ContainerRecord): void {
  for (const mount of mounts)
    if (mount.createSource && !mount.file) mkdirSync(mount.source, { recursive: true, mode: 0o755 })
}

/** Idmapped when it is mounted, so it belongs to root here; mkdir's own mode would be cut by the umask. */
function makeShm(path: string): void {
  mkdirSync(path, { recursive: true })
  chmodSync(path, 0o1777)
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
