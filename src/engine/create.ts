/** `create`: a request becomes a container on disk, or is refused with nothing left behind. */
import { isIP } from 'node:net'
import { release } from 'node:os'
import { join } from 'node:path'
import { DewarError, messageOf } from '../base/errors.ts'
import { containerCapabilities } from '../kernel/capabilities.ts'
import { checkResources } from '../kernel/cgroup.ts'
import { loadDockerProfile } from '../kernel/seccomp.ts'
import { ulimitToRlimit } from '../kernel/rlimits.ts'
import { parseSignal } from '../kernel/signals.ts'
import { hostsFile } from '../network/resolver-files.ts'
import { storageError } from '../store/write-whole.ts'
import { foreignSources, requireAnswers } from './answering.ts'
import { commandOf, completeHostConfig, mergeConfig } from './config.ts'
import { Container } from './container.ts'
import { makeLayer, removeRunFolder } from './container-folder.ts'
import { copyUp } from './copy-up.ts'
import { checkEndpoint } from './endpoint-check.ts'
import { emptyLayers, initLayer } from './init-layer.ts'
import { checkLineAttributes } from './log-attributes.ts'
import { checkLog, logWarnings } from './log-options.ts'
import { canonicalModes, joinedRange } from './joins.ts'
import { resolveLinks } from './links.ts'
import { resolveMounts, type MountSources } from './mount-points.ts'
import { mountRequests } from './mount-requests.ts'
import { checkName, newId, randomName } from './names.ts'
import { runFolder } from './options.ts'
import type { Spare } from './ready.ts'
import { RecordFile } from './record-file.ts'
import type { ContainerRecord, RecordedMount } from './record.ts'
import { parseSecurityOptions } from './security-options.ts'
import { eventAttributes, type ImageForContainer, type Services } from './services.ts'
import type { IdRange } from './spec-namespaces.ts'
import { parseDeviceRule, NO_BLOCK_DEVICES, resources } from './spec-resources.ts'
import { removeMadeVolumes } from './starter.ts'
import { checkSysctls } from './sysctls.ts'
import type { CreateContainer, HostConfig } from './types.ts'
import { validateCreate } from './validate.ts'
import { inheritedMounts } from './volumes-from.ts'

export interface Created {
  readonly container: Container
  readonly warnings: readonly string[]
}

export async function createContainer(services: Services, request: CreateContainer): Promise<Created> {
  const { containers, bus } = services
  const name = request.name ? checkName(request.name) : randomName((taken) => containers.hasName(taken))
  // All of this before anything is waited for: of two requests with one name, one loses at once, and nothing removes the
  // image in between.
  const image = services.image(request.config.image, request.platform)
  const spare = services.ready.take(image.id, request.hostConfig)
  const id = spare?.id ?? newId()
  try {
    containers.reserveName(name, id)
  } catch (error) {
    giveUp(services, id)
    throw error
  }
  services.imageClaims.add(id, image)
  try {
    const { host, warnings } = await acceptHostConfig(services, request)
    const container = await build(services, { id, spare, name, request, image, host })
    containers.add(container)
    bus.emit('container', 'create', id, eventAttributes(container))
    services.ready.expect(container)
    return { container, warnings: [...(image.warnings ?? []), ...warnings] }
  } catch (error) {
    containers.freeName(name)
    giveUp(services, id)
    // A spare's layers may be mounted for a moment yet. Volumes go last: no record that a crash leaves is to name one gone.
    if (spare === undefined) await services.trash.discard(join(services.settings.folders.containers, id))
    await removeMadeVolumes(services, id)
    throw error
  } finally {
    services.volumes.claims.drop(id)
    services.imageClaims.drop(id)
  }
}

/** Nobody has the ids before the processes that were begun with them are gone; the answer need not wait for that. */
function giveUp({ ready, ranges, settings, trash, warn }: Services, id: string): void {
  const clean = async (): Promise<void> => {
    await ready.drop(id)
    ranges.forget(id)
    removeRunFolder(runFolder(settings, id))
    await trash.discard(join(settings.folders.containers, id))
  }
  void clean().catch((error: unknown) => warn(messageOf(error)))
}

/** Validate first, acquire after: nothing is made before all of this has passed. */
async function acceptHostConfig(
  services: Services,
  request: CreateContainer,
): Promise<{ host: HostConfig; warnings: string[] }> {
  const { settings, facts, containers } = services
  const complete = completeHostConfig(request.hostConfig, {
    runtime: settings.defaultLevel,
    logConfig: settings.log,
  })
  validateCreate(request, complete, facts)
  const host = canonicalModes(complete, containers)
  const security = parseSecurityOptions(host.securityOpt ?? [])
  const capabilities = containerCapabilities({
    add: host.capAdd ?? [],
    drop: host.capDrop ?? [],
    privileged: host.privileged,
    last: facts.lastCapability,
  })
  if (typeof security.seccomp === 'object')
    loadDockerProfile(security.seccomp.profile, { arch: services.arch, capabilities, kernel: release() })
  checkSysctls(host.sysctls ?? {}, host)
  for (const limit of host.ulimits ?? []) ulimitToRlimit(limit)
  if (request.config.stopSignal) parseSignal(request.config.stopSignal)
  checkLog(host.logConfig)
  checkNames(request, host)
  checkEndpoints(services, request, host)
  const rules = (host.deviceCgroupRules ?? []).map(parseDeviceRule)
  const { warnings } = checkResources(services.cgroups, resources(host, rules, NO_BLOCK_DEVICES))
  return { host, warnings: [...security.warnings, ...warnings, ...ownWarnings(host)] }
}

/** A network that is not there (yet) is the start's business. */
function checkEndpoints(services: Services, request: CreateContainer, host: HostConfig): void {
  resolveLinks(services, host)
  for (const [ref, endpoint] of Object.entries(request.endpoints)) {
    const network = services.networks.known.lookup(ref)
    if (network === undefined) continue
    try {
      checkEndpoint(network, endpoint)
    } catch (error) {
      const why = messageOf(error)
      throw new DewarError('invalid-argument', `invalid config for network ${network.name}: ${why}`)
    }
  }
}

/** What would otherwise come out at the start only. */
function checkNames(request: CreateContainer, host: HostConfig): void {
  const { hostname = '', domainname = '' } = request.config
  // What sethostname(2) would refuse, and what would be more than one name in /etc/hosts.
  if (Buffer.byteLength(hostname) > 64 || /[\s\p{Cc}]/u.test(hostname)) {
    throw new DewarError('invalid-argument', `invalid hostname format: ${hostname}`)
  }
  if (domainname.length > 64 || /[\s\0]/.test(domainname)) {
    throw new DewarError('invalid-argument', `invalid domainname format: ${domainname}`)
  }
  const extraHosts = host.extraHosts ?? []
  hostsFile({ hostname, domainname, addresses: [], extraHosts, hostGateway: ['127.0.0.1'] })
  for (const server of host.dns) {
    if (isIP(server) === 0) throw new DewarError('invalid-argument', `${server} is not an ip address`)
  }
}

function ownWarnings(host: HostConfig): string[] {
  const warnings: string[] = []
  if (host.networkMode === 'host' && !runsInHostUserns(host)) {
    warnings.push(
      'With the network of the host the container still has a user namespace of its own: it cannot bind ports below ' +
        '1024. Where that is needed, run it with --userns=host.',
    )
  }
  if (host.networkMode === 'host' && Object.keys(host.portBindings).length > 0) {
    warnings.push('Published ports are discarded when using host network mode')
  }
  if (host.oomKillDisable === true && host.memory === 0) {
    warnings.push(
      'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
    )
  }
  if ((host.cpuPercent ?? 0) > 0) warnings.push('linux does not support CPU percent. Percent discarded.')
  if (host.mounts?.some(({ type }) => type === 'image') === true)
    warnings.push('Image mount is an experimental feature')
  if (host.ipcMode === 'shareable')
    warnings.push('A shareable /dev/shm is a folder on the run filesystem: --shm-size does not limit it.')
  return [...warnings, ...logWarnings(host.logConfig)]
}

export const runsInHostUserns = (host: Pick<HostConfig, 'privileged' | 'usernsMode'>): boolean =>
  host.privileged || host.usernsMode === 'host'

export interface Parts {
  readonly id: string
  /** Whose folder and ids it gets. */
  readonly spare?: Spare | undefined
  readonly name: string
  readonly request: CreateContainer
  readonly image: ImageForContainer
  readonly host: HostConfig
  /** The image's own files alone, without what every container has below them. */
  readonly plain?: boolean
}

async function build(services: Services, parts: Parts): Promise<Container> {
  const container = await draftContainer(services, parts)
  await makeFolders(container, parts.spare !== undefined)
  await fillVolumes(services, container, container.record.mounts)
  return container
}

/** Everything decided and nothing on disk but volumes. A range of ids is taken in its name. */
export async function draftContainer(services: Services, parts: Parts): Promise<Container> {
  const { id, request, image, host } = parts
  const config = mergeConfig({ ...request, hostConfig: host }, image.config, id)
  const { path, args } = commandOf(config)
  checkLineAttributes({ id, name: parts.name, imageId: image.id, config, hostConfig: host })
  const level = await services.levels.choose(host)
  const inherited = inheritedMounts(services.containers, host.volumesFrom ?? [])
  const requests = mountRequests({ ...host, volumes: config.volumes }, inherited)
  const mounts = await resolveMounts(requests, mountSources(services, id))
  const joined = joinedRange(host, services.containers)
  const own = (): IdRange => parts.spare?.range ?? services.ranges.take(id)
  const range = joined !== undefined ? joined.range : runsInHostUserns(host) ? null : own()
  const links = resolveLinks(services, host)
  const draft = { hostConfig: host, endpoints: request.endpoints, config }
  const record: ContainerRecord = {
    version: 1,
    id,
    name: parts.name,
    created: Date.now(),
    imageId: image.id,
    lower: parts.plain === true ? image.lower : [...image.lower, initLayer(services.settings.root)],
    platform: image.os,
    level,
    path,
    args,
    config,
    hostConfig: host,
    endpoints: request.endpoints,
    ...(links.length === 0 ? {} : { links }),
    range,
    mounts,
    state: { status: 'created', exitCode: 0, error: '' },
    restartCount: 0,
    manuallyStopped: false,
    lastDelay: 0,
    network: { attachments: [], published: [] },
    networks: services.networks.idle(draft),
    ports: {},
  }
  const folder = join(services.settings.folders.containers, id)
  return new Container(record, folder, new RecordFile(folder))
}

/** Overlayfs stacks two layers at least: there is an empty one below the image's. */
function mountSources({ volumes, image, imageClaims, settings }: Services, container: string): MountSources {
  return {
    root: settings.root,
    volumes: { ensure: (request) => volumes.ensure(request, container) },
    image(ref) {
      const found = image(ref, undefined)
      const { id, lower } = found
      imageClaims.add(container, found)
      return { id, lower: [...lower, ...emptyLayers(settings.root).slice(lower.length > 0 ? 1 : 0)] }
    },
  }
}

/** The record comes last: a folder without one is what a crash left, and is cleaned up. */
async function makeFolders(container: Container, furnished: boolean): Promise<void> {
  try {
    if (!furnished) makeLayer(container.paths, container.record.range)
  } catch (error) {
    throw storageError(`Making the files of container ${container.name}`, error)
  }
  await container.update({})
}

async function fillVolumes(
  services: Services,
  container: Container,
  mounts: readonly RecordedMount[],
): Promise<void> {
  const filled = mounts.filter(
    // Not a part of a volume, which has to be there already.
    ({ type, options, subpath }) => type === 'volume' && subpath === undefined && !options.includes('nocopy'),
  )
  if (filled.length === 0) return
  try {
    await services.volumes.mountFor(container)
    await requireAnswers(foreignSources(filled))
    for (const mount of filled) await copyUp(services, container, mount)
  } finally {
    await services.volumes.releaseFor(container)
  }
}
