/**
 * What a version of the API has is what a create of that version may ask for: a field that came later is left out or
 * refused as dockerd does it (moby's postContainersCreate), and a field that went is put where it belongs now. Pure.
 */
import { DewarError } from '../base/errors.ts'
import { ENDPOINT_SYSCTLS } from '../engine/endpoint-sysctls.ts'
import type { CreateContainer, EndpointConfig, HostConfig, Mount } from '../engine/types.ts'

type Request = Pick<CreateContainer, 'config' | 'hostConfig' | 'endpoints'>
type Rule = (request: Request) => Request

/** Each for versions below the number, newest first. */
const BEFORE: readonly (readonly [minor: number, rule: Rule])[] = [
  [48, withoutImageMounts],
  [48, (request) => withEndpoints(request, ({ gwPriority: _unknown, ...endpoint }) => endpoint)],
  [45, withoutSubpaths],
  [44, withoutForcedRecursion],
  [44, withoutStartInterval],
  [44, withOneEndpoint],
  [43, (request) => withHost(request, ({ annotations: _unknown, ...host }) => host)],
  [42, (request) => withHost(request, ({ consoleSize: _ignored, ...host }) => host)],
  [42, (request) => withMounts(request, withoutStrayOptions)],
  [40, (request) => withMounts(request, withoutFlatBinds)],
  [40, (request) => withHost(request, (host) => ({ ...host, ipcMode: host.ipcMode || 'shareable' }))],
  [25, (request) => withHost(request, ({ autoRemove: _byClient, ...host }) => host)],
]

export function createByVersion(
  given: Request,
  minor: number,
  macAddress: string | undefined,
): { readonly request: Request; readonly warnings: readonly string[] } {
  const known = BEFORE.reduce((request, [below, rule]) => (minor < below ? rule(request) : request), given)
  const addressed = macAddress === undefined ? known : withMacAddress(known, macAddress, minor)
  const { request, warnings } = withInterfaceSysctls(addressed, minor)
  const ownMac = minor < 44 && macAddress === undefined
  return {
    request: ownMac ? withEndpoints(request, ({ macAddress: _unknown, ...endpoint }) => endpoint) : request,
    warnings: [
      ...(minor < 48 ? [] : driverWarning(given.hostConfig)),
      ...(minor < 44 || macAddress === undefined ? [] : [MAC_WARNING]),
      ...warnings,
    ],
  }
}

const MAC_WARNING =
  'The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead.'

function refuse(message: string): never {
  throw new DewarError('invalid-argument', message)
}

function withHost(request: Request, change: (host: Partial<HostConfig>) => Partial<HostConfig>): Request {
  return { ...request, hostConfig: change(request.hostConfig) }
}

function withMounts(request: Request, change: (mount: Mount) => Mount): Request {
  const { mounts } = request.hostConfig
  if (mounts === undefined) return request
  return withHost(request, (host) => ({ ...host, mounts: mounts.map(change) }))
}

function withEndpoints(request: Request, change: (endpoint: EndpointConfig) => EndpointConfig): Request {
  const endpoints = Object.entries(request.endpoints).map(([name, endpoint]) => [name, change(endpoint)])
  return { ...request, endpoints: Object.fromEntries(endpoints) as Request['endpoints'] }
}

const asked = (request: Request, what: (mount: Mount) => boolean): boolean =>
  request.hostConfig.mounts?.some(what) === true

function withoutImageMounts(request: Request): Request {
  if (asked(request, ({ type }) => type === 'image')) refuse('Mount type "Image" needs API v1.48 or newer')
  return request
}

/** Not left out: the client would see more of the volume than it means to. */
function withoutSubpaths(request: Request): Request {
  if (asked(request, ({ volumeOptions }) => (volumeOptions?.subpath ?? '') !== ''))
    refuse('VolumeOptions.Subpath needs API v1.45 or newer')
  return request
}

/** Not left out: the client counts on it. */
function withoutForcedRecursion(request: Request): Request {
  if (asked(request, ({ bindOptions }) => bindOptions?.readOnlyForceRecursive === true))
    refuse('BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer')
  return request
}

function withoutStartInterval(request: Request): Request {
  const { healthcheck } = request.config
  if (healthcheck?.startInterval === undefined) return request
  const { startInterval: _unknown, ...known } = healthcheck
  return { ...request, config: { ...request.config, healthcheck: known } }
}

function withOneEndpoint(request: Request): Request {
  const names = Object.keys(request.endpoints)
  if (names.length <= 1) return request
  return refuse(`Container cannot be created with multiple network endpoints: ${names.join(', ')}`)
}

/** Combinations that nobody checked then. */
function withoutStrayOptions(mount: Mount): Mount {
  const { volumeOptions, tmpfsOptions, bindOptions, ...rest } = mount
  const { createMountpoint: _unknown, ...bind } = bindOptions ?? {}
  return {
    ...rest,
    ...(bindOptions === undefined ? {} : { bindOptions: bind }),
    ...(volumeOptions === undefined || mount.type !== 'volume' ? {} : { volumeOptions }),
    ...(tmpfsOptions === undefined || mount.type !== 'tmpfs' ? {} : { tmpfsOptions }),
  }
}

/** Binds were recursive before there was a word for those that are not. */
function withoutFlatBinds(mount: Mount): Mount {
  const { bindOptions, ...rest } = mount
  if (bindOptions === undefined) return mount
  const { nonRecursive: _unknown, ...bind } = bindOptions
  return { ...rest, bindOptions: bind }
}

/** Since API 1.44 the address belongs to an endpoint; older clients put it beside the config. */
function withMacAddress(request: Request, macAddress: string, minor: number): Request {
  const mode = request.hostConfig.networkMode ?? ''
  const shared = withoutInterface(mode)
  if (shared && minor < 44) refuse('conflicting options: mac-address and the network mode')
  if (shared) return request
  const name = endpointNameOf(
    request,
    mode,
    minor,
    'unable to migrate container-wide MAC address to a specific network',
  )
  const endpoint = request.endpoints[name]
  const own = endpoint?.macAddress ?? ''
  if (minor >= 44 && own !== '' && own !== macAddress) {
    refuse(
      'the container-wide MAC address must match the endpoint-specific MAC address for the main network, or be left empty',
    )
  }
  return { ...request, endpoints: { ...request.endpoints, [name]: { ...endpoint, macAddress } } }
}

/**
 * A setting of an interface is one of an endpoint since API 1.46, for the interface is there only when the network is.
 * Only eth0 can be meant in the container's own: which network another number falls to, nobody knows before.
 */
function withInterfaceSysctls(
  request: Request,
  minor: number,
): { readonly request: Request; readonly warnings: readonly string[] } {
  const { sysctls = {}, networkMode: mode = '' } = request.hostConfig
  const all = Object.entries(sysctls)
  const moved = all.filter(([name]) => /^net\.[^.]+\.[^.]+\.eth[^.]*\../.test(name))
  const [first] = moved.map(([name]) => name)
  if (first === undefined || withoutInterface(mode)) return { request, warnings: [] }
  if (minor > 46) {
    refuse(
      `interface specific sysctl setting "${first}" must be supplied using driver option '${ENDPOINT_SYSCTLS}'`,
    )
  }
  const other = moved.find(([name]) => name.split('.')[3] !== 'eth0')
  if (other !== undefined) {
    refuse(
      `unable to determine network endpoint for sysctl ${other[0]}, use driver option '${ENDPOINT_SYSCTLS}' to set per-interface sysctls`,
    )
  }
  const name = endpointNameOf(request, mode, minor, `unable to find a network for sysctl ${first}`)
  const endpoint = request.endpoints[name]
  const settings = moved.map(([key, value]) => `${key.replace('.eth0.', '.IFNAME.')}=${value}`).join(',')
  const own = endpoint?.driverOpts?.[ENDPOINT_SYSCTLS]
  const driverOpts = {
    ...endpoint?.driverOpts,
    [ENDPOINT_SYSCTLS]: own === undefined ? settings : `${settings},${own}`,
  }
  const host = {
    ...request.hostConfig,
    sysctls: Object.fromEntries(all.filter((entry) => !moved.includes(entry))),
  }
  const keys = moved.map(([key]) => key).join(',')
  return {
    request: {
      ...request,
      hostConfig: host,
      endpoints: { ...request.endpoints, [name]: { ...endpoint, driverOpts } },
    },
    warnings: [`Migrated sysctl "${keys}" to DriverOpts{"${ENDPOINT_SYSCTLS}":"${settings}"}.`],
  }
}

function withoutInterface(mode: string): boolean {
  return mode === 'host' || mode === 'none' || mode.startsWith('container:')
}

function endpointNameOf(request: Request, mode: string, minor: number, failed: string): string {
  const names = Object.keys(request.endpoints)
  const wanted = mode === '' || mode === 'default' ? ['default', 'bridge'] : [mode]
  const [first = wanted[0] ?? 'default'] = names
  if (names.length === 0 || minor < 44) return first
  return (
    wanted.find((name) => names.includes(name)) ??
    refuse(
      `${failed}: HostConfig.NetworkMode must match the identity of a network in NetworkSettings.Networks`,
    )
  )
}

function driverWarning({ volumeDriver = '', mounts = [] }: Partial<HostConfig>): string[] {
  const ignored = mounts.some(
    ({ type, volumeOptions }) => type === 'volume' && !volumeOptions?.driverConfig?.name,
  )
  if (volumeDriver === '' || !ignored) return []
  return [
    "WARNING: the container-wide volume-driver configuration is ignored for volumes specified via 'mount'. " +
      "Use '--mount type=volume,volume-driver=...' instead",
  ]
}
