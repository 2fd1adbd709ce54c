/** Refusals of contradictory or impossible host configurations, in dockerd's words (its clients print them). */
import { DewarError } from '../base/errors.ts'
import { envName } from './config.ts'
import type { ContainerConfig, CreateContainer, HostConfig } from './types.ts'

/** What the answers depend on. */
export interface HostLimits {
  readonly cpus: number
  /** "0-3", as the kernel writes lists */
  readonly onlineCpus: string
  readonly onlineMems: string
}

const SIX_MEGABYTES = 6 * 1024 * 1024

function refuse(message: string, remedy?: string): never {
  throw new DewarError('invalid-argument', message, remedy === undefined ? {} : { remedy })
}

export function validateCreate(request: CreateContainer, host: HostConfig, limits: HostLimits): void {
  validateConfig(request.config)
  validateModes(host)
  validateNetworkMode(request, host)
  validateCgroupParent(host)
  validateRestart(host)
  validatePorts(request.config, host)
  validateKeys(host)
  validateResources(host, limits)
}

function validateConfig(config: Partial<ContainerConfig>): void {
  for (const entry of config.env ?? []) {
    if (envName(entry) === '') refuse(`invalid environment variable: ${entry}`)
    if (entry.includes('\0')) refuse(`invalid environment variable: ${JSON.stringify(entry)}`)
  }
  const directory = config.workingDir ?? ''
  if (directory !== '' && !directory.startsWith('/')) {
    refuse(`the working directory '${directory}' is invalid, it needs to be an absolute path`)
  }
  const health = config.healthcheck
  if (health === undefined) return
  const short = (value: number | undefined) => value !== undefined && value !== 0 && value < 1_000_000
  if (short(health.interval)) refuse('Interval in Healthcheck cannot be less than 1ms')
  if (short(health.timeout)) refuse('Timeout in Healthcheck cannot be less than 1ms')
  if (short(health.startPeriod)) refuse('StartPeriod in Healthcheck cannot be less than 1ms')
  if (short(health.startInterval)) refuse('StartInterval in Healthcheck cannot be less than 1ms')
  if ((health.retries ?? 0) < 0) refuse('Retries in Healthcheck cannot be negative')
}

const MODES: readonly (readonly [
  keyof HostConfig & ('ipcMode' | 'pidMode' | 'utsMode' | 'usernsMode' | 'cgroupnsMode'),
  string,
  RegExp,
])[] = [
  ['ipcMode', 'IPC', /^(none|host|private|shareable|container:.+)?$/],
  ['pidMode', 'PID', /^(host|private|container:.+)?$/],
  ['utsMode', 'UTS', /^(host|private)?$/],
  ['usernsMode', 'userns', /^(host|private)?$/],
  ['cgroupnsMode', 'cgroup namespace', /^(host|private)?$/],
]

function validateModes(host: HostConfig): void {
  for (const [key, name, accepted] of MODES) {
    if (!accepted.test(host[key])) refuse(`invalid ${name} mode: ${host[key]}`)
  }
  if (host.shmSize < 0) refuse('SHM size can not be less than 0')
  if (host.oomScoreAdj < -1000 || host.oomScoreAdj > 1000) {
    refuse(`Invalid value ${host.oomScoreAdj}, range for oom score adj is [-1000, 1000]`)
  }
}

function validateNetworkMode(request: CreateContainer, host: HostConfig): void {
  const mode = host.networkMode
  const hostname = request.config.hostname ?? ''
  if (host.utsMode === 'host' && hostname !== '') refuse('conflicting options: hostname and the UTS mode')
  if (mode === 'host' && (host.links?.length ?? 0) > 0) {
    refuse(
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    )
  }
  if (!mode.startsWith('container:')) return
  if (mode === 'container:') refuse('Invalid network mode: invalid container format container:<name|id>')
  if (hostname !== '') refuse('conflicting options: hostname and the network mode')
  if ((host.links?.length ?? 0) > 0) {
    refuse(
      "conflicting options: container type network can't be used with links. This would result in undefined behavior",
    )
  }
  if (host.dns.length > 0) refuse('conflicting options: dns and the network mode')
  if ((host.extraHosts?.length ?? 0) > 0) {
    refuse('conflicting options: custom host-to-IP mapping and the network mode')
  }
  if (Object.values(request.endpoints).some((endpoint) => endpoint.macAddress)) {
    refuse('conflicting options: mac-address and the network mode')
  }
  if (Object.keys(host.portBindings).length > 0 || host.publishAllPorts) {
    refuse('conflicting options: port publishing and the container type network mode')
  }
  if (Object.keys(request.config.exposedPorts ?? {}).length > 0) {
    refuse('conflicting options: port exposing and the container type network mode')
  }
}

/** A parent with dots would put the container's limits into a group of somebody else. */
function validateCgroupParent({ cgroupParent }: HostConfig): void {
  if (cgroupParent === '' || /^\/?[^/\0\n]+(\/[^/\0\n]+)*$/.test(cgroupParent)) {
    if (!cgroupParent.split('/').some((part) => part === '..' || part === '.')) return
  }
  throw new DewarError('invalid-argument', `invalid cgroup parent ${JSON.stringify(cgroupParent)}`, {
    remedy: 'give a plain path such as /my/group',
  })
}

function validatePorts({ exposedPorts = {} }: Partial<ContainerConfig>, { portBindings }: HostConfig): void {
  for (const port of [...Object.keys(exposedPorts), ...Object.keys(portBindings)]) {
    if (!isPort(port)) refuse(`invalid port specification: ${JSON.stringify(port)}`)
  }
  for (const { hostPort } of Object.values(portBindings).flatMap((bindings) => bindings ?? [])) {
    if (hostPort === '') continue
    const [first = '', last = first, ...rest] = hostPort.split('-')
    const range =
      rest.length === 0 && isNumber(first, 0) && isNumber(last, 0) && Number(first) <= Number(last)
    if (!range) refuse(`invalid port specification: ${JSON.stringify(hostPort)}`)
  }
}

/** `80`, `80/tcp` */
function isPort(text: string): boolean {
  const [number = '', protocol = 'tcp', ...rest] = text.split('/')
  return rest.length === 0 && isNumber(number, 1) && ['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())
}

function isNumber(text: string, least: number): boolean {
  return /^[0-9]{1,5}$/.test(text) && Number(text) >= least && Number(text) <= 65535
}

function validateKeys({ annotations = {}, storageOpt = {} }: HostConfig): void {
  if (Object.hasOwn(annotations, ''))
    refuse('invalid Annotations: the empty string is not permitted as an annotation key')
  const [option] = Object.keys(storageOpt)
  if (option === undefined) return
  const why =
    option === 'size'
      ? "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"
      : `Unknown option ${option}`
  throw new DewarError('system', why, { remedy: 'leave the storage option out' })
}

export function validateRestart(host: HostConfig): void {
  const { name, maximumRetryCount } = host.restartPolicy
  if (!['', 'no', 'always', 'unless-stopped', 'on-failure'].includes(name)) {
    refuse(
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    )
  }
  if (maximumRetryCount < 0) refuse('invalid restart policy: maximum retry count cannot be negative')
  if (maximumRetryCount !== 0 && name !== 'on-failure') {
    refuse("invalid restart policy: maximum retry count can only be used with 'on-failure'")
  }
  if (host.autoRemove && name !== '' && name !== 'no') {
    refuse("can't create 'AutoRemove' container with restart policy")
  }
}

export function validateResources(host: HostConfig, limits: HostLimits): void {
  validateMemory(host)
  validateCpu(host, limits)
  if (host.ioMaximumIOps || host.ioMaximumBandwidth)
    refuse('Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps')
  if (host.blkioWeight !== 0 && (host.blkioWeight < 10 || host.blkioWeight > 1000)) {
    refuse('Range of blkio weight is from 10 to 1000')
  }
}

function validateMemory(host: HostConfig): void {
  const { memory, memorySwap, memoryReservation, memorySwappiness } = host
  if (memory !== 0 && memory < SIX_MEGABYTES) refuse('Minimum memory limit allowed is 6MB')
  if (memory > 0 && memorySwap > 0 && memorySwap < memory) {
    refuse('Minimum memoryswap limit should be larger than memory limit, see usage')
  }
  if (memory === 0 && memorySwap > 0) {
    refuse('You should always set the Memory limit when using Memoryswap limit, see usage')
  }
  if (memorySwappiness !== null && (memorySwappiness < -1 || memorySwappiness > 100)) {
    refuse(`Invalid value: ${memorySwappiness}, valid memory swappiness range is 0-100`)
  }
  if (memoryReservation !== 0 && memoryReservation < SIX_MEGABYTES)
    refuse('Minimum memory reservation allowed is 6MB')
  if (memory > 0 && memoryReservation > 0 && memory < memoryReservation) {
    refuse('Minimum memory limit can not be less than memory reservation limit, see usage')
  }
}

function validateCpu(host: HostConfig, limits: HostLimits): void {
  if (host.nanoCpus > 0 && host.cpuPeriod > 0)
    refuse('Conflicting options: Nano CPUs and CPU Period cannot both be set')
  if (host.nanoCpus > 0 && host.cpuQuota > 0)
    refuse('Conflicting options: Nano CPUs and CPU Quota cannot both be set')
  if (host.nanoCpus < 0 || (host.nanoCpus > 0 && host.nanoCpus < 1e7) || host.nanoCpus > limits.cpus * 1e9) {
    refuse(`Range of CPUs is from 0.01 to ${limits.cpus}.00, as there are only ${limits.cpus} CPUs available`)
  }
  if (host.cpuPeriod !== 0 && (host.cpuPeriod < 1000 || host.cpuPeriod > 1_000_000)) {
    refuse('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)')
  }
  if (host.cpuQuota > 0 && host.cpuQuota < 1000) refuse('CPU cfs quota can not be less than 1ms (i.e. 1000)')
  const { cpuRealtimePeriod: period, cpuRealtimeRuntime: runtime } = host
  if (period !== 0 && runtime > period)
    refuse('cpu real-time runtime cannot be higher than cpu real-time period')
  if (host.cpuShares < 0) refuse(`invalid CPU shares (${host.cpuShares}): value must be a positive integer`)
  checkList(host.cpusetCpus, limits.onlineCpus, 'cpus', 'CPUs')
  checkList(host.cpusetMems, limits.onlineMems, 'mems', 'Memory nodes')
}

function checkList(asked: string, available: string, file: string, name: string): void {
  if (asked === '') return
  const wanted = parseList(asked)
  if (wanted === undefined) refuse(`Invalid value ${asked} for cpuset ${file}`)
  const there = new Set(parseList(available) ?? [])
  if (wanted.every((cpu) => there.has(cpu))) return
  refuse(`Requested ${name} are not available - requested ${asked}, available: ${available}`)
}

/** "0,2-4" → [0, 2, 3, 4]; undefined for anything else. Bounded: a list names at most 8192. */
export function parseList(text: string): number[] | undefined {
  const found: number[] = []
  for (const part of text.split(',')) {
    const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(part.trim())
    if (match === null) return undefined
    const from = Number(match[1])
    const to = Number(match[2] ?? match[1])
    if (to < from || to > 8191) return undefined
    for (let n = from; n <= to; n += 1) found.push(n)
  }
  return found
}
