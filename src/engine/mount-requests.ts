/**
 * `-v`, `--mount`, `--tmpfs`, `--volumes-from` and the image's VOLUMEs as one typed list, with dockerd's refusals.
 * Pure: whether a source exists and which folder a volume has is found out later (mount-points.ts).
 */
import { posix } from 'node:path'
import { DewarError } from '../base/errors.ts'
import { parseMount } from './mount-objects.ts'
import {
  checkDestination,
  checkVolumeName,
  invalidSpec,
  PROPAGATION,
  type BindRequest,
  type MountRequest,
  type TmpfsRequest,
  type VolumeRequest,
} from './mount-parts.ts'
import type { ContainerConfig, HostConfig, MountPoint } from './types.ts'

type MountInput = Pick<HostConfig, 'binds' | 'mounts' | 'tmpfs' | 'volumeDriver'> &
  Pick<ContainerConfig, 'volumes'>

/** A mount of a `--volumes-from` container. */
export interface InheritedMount extends MountPoint {
  readonly anonymous?: boolean
  readonly subpath?: string
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
    // Images may leave out the first slash.
    const destination = checkDestination(path === '' ? path : posix.join('/', path), path)
    if (!byDestination.has(destination))
      byDestination.set(destination, anonymous(destination, input.volumeDriver))
  }
  return [...byDestination.values()]
}

/** dockerd shows volumes that were asked for as shared between SELinux labels when nothing was said. */
function withMode(request: MountRequest): MountRequest {
  return request.type === 'volume' && request.mode === '' ? { ...request, mode: 'z' } : request
}

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
    const propagation = words.find((word) => PROPAGATION.has(word)) ?? ''
    return {
      type: 'bind',
      source: posix.normalize(first),
      propagation,
      recursive: true,
      topReadOnly: false,
      createSource: true,
      ...common,
    }
  }
  if (words.some((word) => PROPAGATION.has(word))) {
    throw new DewarError(
      'invalid-argument',
      `invalid volume specification: '${spec}': invalid mount config for type "volume": field BindOptions must not be specified`,
      { remedy: 'name a folder of the host, as an absolute path, for mounts to travel' },
    )
  }
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

function namedVolume(name: string, driver: string) {
  return {
    type: 'volume',
    name: checkVolumeName(name),
    driver: driver || 'local',
    driverOptions: {},
    labels: {},
    subpath: '',
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
    subpath: '',
  }
}

/** A part of a volume stays that part: the rest of it was not given to the other container either. */
function inheritedRequest(point: InheritedMount): MountRequest {
  const common = { destination: point.destination, rw: point.rw, mode: point.mode }
  const { subpath = '' } = point
  if (point.type === 'image') return { type: 'image', source: point.source, subpath, ...common }
  if (point.type === 'volume') {
    return {
      ...anonymous(point.destination, point.driver ?? ''),
      name: point.name,
      shared: point.anonymous === true,
      noCopy: true,
      subpath,
      ...common,
    }
  }
  return {
    type: 'bind',
    source: point.source,
    // Whether it was asked for is not known of it: what is asked for nobody is given by default again.
    propagation: point.propagation === 'rprivate' ? '' : point.propagation,
    recursive: true,
    topReadOnly: false,
    createSource: false,
    ...common,
  }
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
