/**
 * `-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's VOLUMEs as one typed list, with dockerd's refusals.
 * Pure: whether a source exists and which folder a volume has is found out later (mount-points.ts).
 */
import { posix } from 'node:path'
import { DewarError } from '../base/errors.ts'
import type { ContainerConfig, HostConfig, Mount, MountPoint } from './types.ts'

interface Common {
  readonly destination: string
  readonly rw: boolean
  /** The client's words after the second colon of `-v`, shown by inspect. */
  readonly mode: string
}

export interface BindRequest extends Common {
  readonly type: 'bind'
  readonly source: string
  readonly propagation: string
  readonly recursive: boolean
  /** `-v` makes a missing source folder, `--mount` refuses. */
  readonly createSource: boolean
}

export interface VolumeRequest extends Common {
  readonly type: 'volume'
  /** undefined asks for an anonymous volume. */
  readonly name: string | undefined
  /** An anonymous volume of another container: it goes with the last one that is removed with its volumes. */
  readonly shared?: boolean
  readonly noCopy: boolean
  readonly driver: string
  readonly driverOptions: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
}

export interface TmpfsRequest extends Common {
  readonly type: 'tmpfs'
  /** By `--mount`, not by `--tmpfs`. */
  readonly byMount: boolean
  /** mount(8) words such as size=64m */
  readonly options: readonly string[]
}

export type MountRequest = BindRequest | VolumeRequest | TmpfsRequest

type MountInput = Pick<HostConfig, 'binds' | 'mounts' | 'tmpfs' | 'volumeDriver'> &
  Pick<ContainerConfig, 'volumes'>

/** A mount of a `--volumes-from` container. */
export interface InheritedMount extends MountPoint {
  readonly anonymous?: boolean
}

/** What is asked for explicitly wins over what is `inherited`. */
export function mountRequests(input: MountInput, inherited: readonly InheritedMount[]): MountRequest[] {
  const byDestination = new Map<string, MountRequest>()
  for (const point of inherited) byDestination.set(point.destination, inheritedRequest(point))
  const explicit = new Set<string>()
  const add = (request: MountRequest): void => {
    if (explicit.has(request.destination)) {
      throw new DewarError('invalid-argument', `Duplicate mount point: ${request.destination}`)
    }
    explicit.add(request.destination)
    byDestination.set(request.destination, request)
  }
  for (const bind of input.binds ?? []) add(withMode(parseBind(bind, input.volumeDriver)))
  for (const mount of input.mounts ?? []) add(withMode(parseMount(mount)))
  for (const [path, options] of Object.entries(input.tmpfs ?? {})) add(parseTmpfs(path, options))
  for (const path of Object.keys(input.volumes)) {
    const destination = checkDestination(path, path)
    if (!byDestination.has(destination))
      byDestination.set(destination, anonymous(destination, input.volumeDriver))
  }
  return [...byDestination.values()]
}

/** dockerd shows volumes that were asked for as shared between SELinux labels when nothing was said. */
function withMode(request: MountRequest): MountRequest {
  return request.type === 'volume' && request.mode === '' ? { ...request, mode: 'z' } : request
}

const PROPAGATION = new Set(['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared'])
const ACCEPTED_WORDS = new Set([
  'ro',
  'rw',
  'z',
  'Z',
  'nocopy',
  'consistent',
  'cached',
  'delegated',
  ...PROPAGATION,
])
const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

/** `SOURCE:DESTINATION[:MODE]`, `NAME:DESTINATION[:MODE]` or `DESTINATION`. */
export function parseBind(spec: string, driver = ''): BindRequest | VolumeRequest {
  const parts = spec.split(':')
  const [first = '', second, mode = ''] = parts
  if (first === '' || parts.length > 3 || parts.includes('', 1)) throw invalidSpec(spec)
  if (second === undefined) return anonymous(checkDestination(first, spec), driver)
  const words = parseMode(mode, spec)
  const common = { destination: checkDestination(second, spec), rw: !words.includes('ro'), mode }
  if (first.startsWith('/')) {
    if (words.includes('nocopy')) throw new DewarError('invalid-argument', `invalid mode: ${mode}`)
    const propagation = words.find((word) => PROPAGATION.has(word)) ?? 'rprivate'
    return {
      type: 'bind',
      source: posix.normalize(first),
      propagation,
      recursive: true,
      createSource: true,
      ...common,
    }
  }
  if (words.some((word) => PROPAGATION.has(word)))
    throw new DewarError('invalid-argument', `invalid mode: ${mode}`)
  return { ...namedVolume(first, driver), noCopy: words.includes('nocopy'), ...common }
}

function parseMode(mode: string, spec: string): string[] {
  if (mode === '') return []
  const words = mode.split(',')
  const propagations = words.filter((word) => PROPAGATION.has(word)).length
  const access = words.filter((word) => word === 'ro' || word === 'rw').length
  if (words.some((word) => !ACCEPTED_WORDS.has(word)) || propagations > 1 || access > 1) {
    throw new DewarError('invalid-argument', `invalid mode: ${mode}`, {
      remedy: `the mount asked for is ${spec}`,
    })
  }
  return words
}

function invalidSpec(spec: string): DewarError {
  return new DewarError('invalid-argument', `invalid volume specification: '${spec}'`, {
    remedy: 'write SOURCE:DESTINATION or SOURCE:DESTINATION:MODE',
  })
}

/** A clean absolute path other than `/`. */
function checkDestination(path: string, spec: string): string {
  if (path.includes('\0')) throw invalidSpec(spec)
  if (!path.startsWith('/')) {
    throw new DewarError(
      'invalid-argument',
      `invalid volume specification: '${spec}': invalid mount path: '${path}' mount path must be absolute`,
    )
  }
  const clean = posix.normalize(path).replace(/\/+$/, '')
  if (clean === '') {
    throw new DewarError(
      'invalid-argument',
      `invalid volume specification: '${spec}': invalid specification: destination can't be '/'`,
    )
  }
  return clean
}

export function checkVolumeName(name: string): string {
  if (VOLUME_NAME.test(name)) return name
  throw new DewarError(
    'invalid-argument',
    `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. ` +
      'If you intended to pass a host directory, use absolute path',
  )
}

function namedVolume(name: string, driver: string) {
  return {
    type: 'volume',
    name: checkVolumeName(name),
    driver: driver || 'local',
    driverOptions: {},
    labels: {},
  } as const
}

function anonymous(destination: string, driver: string): VolumeRequest {
  return {
    type: 'volume',
    name: undefined,
    destination,
    rw: true,
    mode: '',
    noCopy: false,
    driver: driver || 'local',
    driverOptions: {},
    labels: {},
  }
}

function inheritedRequest(point: InheritedMount): MountRequest {
  const common = { destination: point.destination, rw: point.rw, mode: point.mode }
  if (point.type === 'volume') {
    return {
      ...anonymous(point.destination, point.driver ?? ''),
      name: point.name,
      shared: point.anonymous === true,
      noCopy: true,
      ...common,
    }
  }
  const propagation = point.propagation || 'rprivate'
  return { type: 'bind', source: point.source, propagation, recursive: true, createSource: false, ...common }
}

function parseMount(mount: Mount): MountRequest {
  const refuse = (why: string): DewarError =>
    new DewarError('invalid-argument', `invalid mount config for type "${mount.type}": ${why}`)
  if (mount.target === '') throw refuse('field Target must not be empty')
  const destination = checkDestination(mount.target, mount.target)
  const common = { destination, rw: mount.readOnly !== true, mode: '' }
  switch (mount.type) {
    case 'bind':
      return { ...bindMount(mount, refuse), ...common }
    case 'volume':
      return { ...volumeMount(mount, refuse), ...common }
    case 'tmpfs':
      if (mount.bindOptions !== undefined) throw misplaced('BindOptions', mount)
      if (mount.volumeOptions !== undefined) throw misplaced('VolumeOptions', mount)
      if (mount.source) throw refuse('field Source must not be specified')
      return { type: 'tmpfs', byMount: true, options: tmpfsOptions(mount), ...common }
    case 'npipe':
    case 'cluster':
    case 'image':
      throw new DewarError('invalid-argument', `mount type "${mount.type}" is not supported on this engine`, {
        remedy: 'use bind, volume or tmpfs',
      })
  }
}

/** Told by the API before the mount itself is looked at. */
function misplaced(options: string, { type }: Mount): DewarError {
  return new DewarError('invalid-argument', `${options} must not be specified on mount type "${type}"`)
}

function bindMount(mount: Mount, refuse: (why: string) => DewarError) {
  const source = mount.source ?? ''
  if (source === '') throw refuse('field Source must not be empty')
  if (!source.startsWith('/')) throw refuse(`invalid mount path: '${source}' mount path must be absolute`)
  if (mount.volumeOptions !== undefined) throw misplaced('VolumeOptions', mount)
  if (mount.tmpfsOptions !== undefined) throw misplaced('TmpfsOptions', mount)
  const propagation = mount.bindOptions?.propagation || 'rprivate'
  if (!PROPAGATION.has(propagation)) throw refuse(`invalid propagation mode: ${propagation}`)
  const recursive = mount.bindOptions?.nonRecursive !== true
  const createSource = mount.bindOptions?.createMountpoint === true
  return { type: 'bind', source: posix.normalize(source), propagation, recursive, createSource } as const
}

function volumeMount(mount: Mount, refuse: (why: string) => DewarError) {
  if (mount.bindOptions !== undefined) throw misplaced('BindOptions', mount)
  if (mount.tmpfsOptions !== undefined) throw misplaced('TmpfsOptions', mount)
  const options = mount.volumeOptions
  const subpath = options?.subpath ?? ''
  // A symlink in the volume, which a container wrote, could lead the mount's source anywhere on the host.
  if (subpath !== '') throw refuse('volume subpaths are not supported by this engine; mount the whole volume')
  return {
    type: 'volume',
    name: mount.source ? checkVolumeName(mount.source) : undefined,
    noCopy: options?.noCopy === true,
    driver: options?.driverConfig?.name || 'local',
    driverOptions: options?.driverConfig?.options ?? {},
    labels: options?.labels ?? {},
  } as const
}

function tmpfsOptions(mount: Mount): string[] {
  const { sizeBytes, mode, options } = mount.tmpfsOptions ?? {}
  const words = ['noexec', 'nosuid', 'nodev']
  if (sizeBytes) words.push(`size=${sizeBytes}`)
  if (mode) words.push(`mode=${mode.toString(8)}`)
  for (const option of options ?? []) words.push(option.join('='))
  return words
}

const TMPFS_WORD =
  /^(ro|rw|(no)?(exec|suid|dev|atime|diratime|relatime|strictatime)|relatime|strictatime|sync|async|dirsync|r?(private|shared|slave|unbindable)|(size|nr_blocks|nr_inodes|mode|uid|gid|mpol)=[^,]+)$/

function parseTmpfs(path: string, options: string): TmpfsRequest {
  const words = options === '' ? [] : options.split(',')
  const bad = words.find((word) => !TMPFS_WORD.test(word))
  if (bad !== undefined)
    throw new DewarError('invalid-argument', `invalid tmpfs option ${JSON.stringify(bad)}`)
  const rw = !words.includes('ro')
  // Later words win, as with mount(8): --tmpfs /x:exec opens what the defaults close.
  return {
    type: 'tmpfs',
    byMount: false,
    destination: checkDestination(path, path),
    rw,
    mode: options,
    options: ['noexec', 'nosuid', 'nodev', ...words],
  }
}
