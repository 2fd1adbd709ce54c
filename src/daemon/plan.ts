/**
 * `dewar plan`: a request to create a container and an image's configuration in, the plan out. Nothing is done,
 * nothing is asked of the engine, so it needs no root. What only a start can know (addresses, ports chosen
 * freely, names resolved in /etc/passwd) is shown by an example.
 */
import { CONFIG, CREATE } from '../api/container-schema.ts'
import { DewarError } from '../base/errors.ts'
import { commandOf, completeHostConfig, mergeConfig } from '../engine/config.ts'
import { runsInHostUserns } from '../engine/create.ts'
import type { HostFacts } from '../engine/host-facts.ts'
import { EMPTY_CONFIG } from '../engine/images-changes.ts'
import type { MountRequest } from '../engine/mount-parts.ts'
import { mountRequests } from '../engine/mount-requests.ts'
import type { ExecUser } from '../engine/passwd.ts'
import { parseSecurityOptions } from '../engine/security-options.ts'
import { buildSpec } from '../engine/spec.ts'
import type { ResolvedMount } from '../engine/spec-mounts.ts'
import { NO_BLOCK_DEVICES, parseDeviceRule } from '../engine/spec-resources.ts'
import type { HostConfig, ImageConfig } from '../engine/types.ts'
import { validateCreate } from '../engine/validate.ts'
import type { Bundle, NetworkSteps } from '../isolation/level.ts'
import { planNamespaces } from '../isolation/namespaces/index.ts'
import type { Machine } from '../isolation/namespaces/plan.ts'
import { containerCapabilities } from '../kernel/capabilities.ts'
import type { OciSeccomp } from '../kernel/oci.ts'
import type { Plan } from '../kernel/plan.ts'
import { defaultSeccompFor, loadDockerProfile } from '../kernel/seccomp.ts'
import { bridgeSteps, NO_STEPS } from '../network/container-steps.ts'
import { defaultPool } from '../network/network.ts'
import { decidePorts } from '../network/ports.ts'

export interface PlanRequest {
  /** Body of POST /containers/create. */
  readonly body: unknown
  /** `Config` of the image's inspect; without it the plan is that of an image without any configuration. */
  readonly image?: { readonly config?: unknown; readonly layers: number } | undefined
}

/** Which container it would be, and where things would lie. */
export interface PlanPlaces {
  readonly id: string
  /** As `--root` and `--run` of an engine. */
  readonly root: string
  readonly run: string
  /** The control group that containers' groups lie in, from the top of each tree. */
  readonly group: string
}

/** An id of this form is what a real container has; the same one each time keeps plans comparable. */
const EXAMPLE: PlanPlaces = {
  id: 'e0a1'.repeat(16),
  root: '/var/lib/dewar',
  run: '/run/dewar',
  group: '/dewar',
}
const EXAMPLE_ADDRESS = '172.17.0.2'
const EXAMPLE_MAC = '02:42:ac:11:00:02'
const RANGE = { base: 1_000_000, size: 65_536 }

function imageConfig(json: unknown): ImageConfig {
  const given = Object.entries(CONFIG.decode(json ?? null)).filter(
    ([, value]) => value !== null && value !== undefined,
  )
  return { ...EMPTY_CONFIG, ...Object.fromEntries(given) }
}

/** The planned-for machine and the release of its kernel (uname -r), on which a filter's rules may depend. */
export interface PlanMachine extends Machine {
  readonly kernel: string
}

/** Pure: the same request, machine and facts give the same plan. Throws what `create` would refuse with. */
export function planFor(
  request: PlanRequest,
  machine: PlanMachine,
  facts: HostFacts,
  places = EXAMPLE,
): Plan {
  return planNamespaces(machine).plan(exampleBundle(request, machine, facts, places))
}

function exampleBundle(
  request: PlanRequest,
  machine: PlanMachine,
  facts: HostFacts,
  { id, root, run, group }: PlanPlaces,
): Bundle {
  const {
    hostConfig = {},
    networkingConfig: _,
    macAddress: __,
    image = '',
    ...given
  } = CREATE.decode(request.body)
  const host = completeHostConfig(hostConfig, {
    runtime: 'namespaces',
    logConfig: { type: 'json-file', config: {} },
  })
  const create = { config: { ...given, image }, hostConfig, endpoints: {} }
  validateCreate(create, host, facts)
  const config = mergeConfig({ ...create, hostConfig: host }, imageConfig(request.image?.config), id)
  const { path, args } = commandOf(config)
  const folder = `${root}/containers/${id}`
  const spec = buildSpec({
    id,
    config,
    host,
    path,
    args,
    user: exampleUser(config.user),
    range: runsInHostUserns(host) ? undefined : RANGE,
    mounts: mountRequests({ ...host, volumes: config.volumes }, []).map((mount) => exampleMount(mount, root)),
    files: { hosts: `${folder}/hosts`, hostname: `${folder}/hostname`, resolvConf: `${folder}/resolv.conf` },
    sharedShm: undefined,
    joins: {},
    facts,
    cgroupsPath: `${group}/${id}`,
    seccomp: seccompOf(host, machine, facts),
    devices: [],
    extraRules: (host.deviceCgroupRules ?? []).map(parseDeviceRule),
    blockDevices: NO_BLOCK_DEVICES,
    clocks: undefined,
  })
  const lower = Array.from({ length: request.image?.layers ?? 1 }, (_, i) => `${root}/layers/LAYER-${i}`)
  return {
    id,
    spec,
    rootfs: { lower: lower.toReversed(), upper: `${folder}/upper`, work: `${folder}/work` },
    network: exampleNetwork(host, config.exposedPorts, id),
    init: host.init === true,
    shim: {
      runDir: `${run}/${id.slice(0, 12)}`,
      tty: config.tty,
      stdin: config.openStdin,
      stdinOnce: config.stdinOnce,
      expectAttach: 0,
    },
  }
}

/** Names would be looked up in the image's files: nobody (65534) stands for them. */
function exampleUser(user: string): ExecUser {
  const [uid = '', gid] = user.split(':')
  const number = (text: string | undefined, otherwise: number): number =>
    text === undefined || text === '' ? otherwise : /^\d+$/.test(text) ? Number(text) : 65_534
  return { uid: number(uid, 0), gid: number(gid, 0), additionalGids: [], home: '/' }
}

function exampleMount(request: MountRequest, root: string): ResolvedMount {
  const { type, destination, rw } = request
  const mount = {
    type,
    destination,
    rw,
    source: '',
    file: false,
    recursive: false,
    propagation: 'rprivate' as const,
    options: [],
  }
  if (type === 'tmpfs') return { ...mount, options: request.options }
  if (type === 'bind') {
    const { source, recursive, propagation } = request
    return { ...mount, source, recursive, propagation }
  }
  if (type === 'image') {
    const lower = [`${root}/layers/LAYER-OF-${request.source}`, `${root}/empty-layer-2`]
    return { ...mount, lower, ...(request.subpath === '' ? {} : { subpath: request.subpath }) }
  }
  return { ...mount, source: `${root}/volumes/${request.name ?? 'ANONYMOUS'}/_data` }
}

function seccompOf(host: HostConfig, machine: PlanMachine, facts: HostFacts): OciSeccomp | undefined {
  const { seccomp } = parseSecurityOptions(host.securityOpt ?? [])
  if (host.privileged || seccomp === 'unconfined') return undefined
  const capabilities = containerCapabilities({
    add: host.capAdd ?? [],
    drop: host.capDrop ?? [],
    privileged: false,
    last: facts.lastCapability,
  })
  const context = { arch: machine.arch, capabilities, kernel: machine.kernel }
  return seccomp === 'default' ? defaultSeccompFor(context) : loadDockerProfile(seccomp.profile, context)
}

function exampleNetwork(
  host: HostConfig,
  exposed: Readonly<Record<string, object>>,
  id: string,
): NetworkSteps {
  const mode = host.networkMode
  if (mode.startsWith('container:')) {
    throw new DewarError(
      'invalid-argument',
      `Planning the container failed: ${mode} is known only to a running engine`,
    )
  }
  if (mode === 'host' || mode === 'none') return NO_STEPS
  const network = {
    id: 'example',
    name: 'bridge',
    driver: 'bridge' as const,
    created: 0,
    ipv4: defaultPool('172.17.0.0/16'),
    bridge: 'dewar0',
    internal: false,
    attachable: false,
    mtu: 1500,
    icc: true,
    masquerade: true,
    hostBinding: '',
    options: {},
    labels: {},
  }
  const { published } = decidePorts({
    bindings: host.portBindings,
    exposed,
    publishAll: host.publishAllPorts,
    address: EXAMPLE_ADDRESS,
    hostBinding: '',
    taken: [],
    busy: new Set(),
    ephemeral: [32_768, 60_999],
    endpoint: { name: 'example', id },
  })
  return bridgeSteps({
    containerId: id,
    start: 0,
    vethPrefix: 'dw',
    table: 'dewar_dewar0',
    ipv6: false,
    guard: true,
    attachments: [
      { network, bridgeIndex: 2, address: EXAMPLE_ADDRESS, mac: EXAMPLE_MAC, slot: 0, gatewayPriority: 0 },
    ],
    published,
  })
}
