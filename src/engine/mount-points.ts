/** Mount requests made real: sources checked, volumes made, so that the spec only has to copy them. */
import { stat } from 'node:fs/promises'
import { DewarError, errnoOf } from '../base/errors.ts'
import { requireAnswers } from './answering.ts'
import { bindPropagation } from './bind-propagation.ts'
import type { BindRequest, ImageRequest, MountRequest, TmpfsRequest, VolumeRequest } from './mount-parts.ts'
import type { RecordedMount } from './record.ts'
import type { MountPoint } from './types.ts'

/** The part of the volumes that creating a container needs. */
export interface VolumeSource {
  /** Makes the volume when it is not there. `undefined`: an anonymous one. */
  ensure(request: VolumeRequest): Promise<{
    readonly name: string
    readonly mountpoint: string
    readonly driver: string
    /** Something is mounted on it while it is in use. */
    readonly mounted?: boolean
  }>
}

export interface MountSources {
  /** The engine's folder. */
  readonly root: string
  readonly volumes: VolumeSource
  /** Id and layers, two at least, topmost first. Throws not-found. */
  image(ref: string): { readonly id: string; readonly lower: readonly string[] }
}

export async function resolveMounts(
  requests: readonly MountRequest[],
  sources: MountSources,
): Promise<RecordedMount[]> {
  const resolved: RecordedMount[] = []
  for (const request of requests) resolved.push(await resolveMount(request, sources))
  return resolved
}

async function resolveMount(request: MountRequest, sources: MountSources): Promise<RecordedMount> {
  switch (request.type) {
    case 'bind':
      return resolveBind(request, sources.root)
    case 'volume':
      return resolveVolume(request, sources.volumes)
    case 'tmpfs':
      return resolveTmpfs(request)
    case 'image':
      return resolveImage(request, sources)
  }
}

async function resolveBind(request: BindRequest, engineRoot: string): Promise<RecordedMount> {
  if (request.source.includes('\0'))
    throw new DewarError('invalid-argument', `invalid mount path: ${JSON.stringify(request.source)}`, {
      remedy: 'a path of the host has no null byte',
    })
  await requireAnswers([request.source])
  const propagation = bindPropagation(request, engineRoot)
  const file = await kindOf(request)
  const point: MountPoint = {
    type: 'bind',
    source: request.source,
    destination: request.destination,
    mode: request.mode,
    rw: request.rw,
    propagation,
  }
  const { source, destination, rw, recursive, createSource } = request
  return {
    type: 'bind',
    source,
    destination,
    rw,
    file,
    recursive,
    topReadOnly: request.topReadOnly,
    propagation,
    options: [],
    point,
    anonymous: false,
    createSource,
  }
}

/** Whether the source is a file. A missing one is made at the start for `-v`, refused for `--mount`. */
async function kindOf(request: BindRequest): Promise<boolean> {
  try {
    return !(await stat(request.source)).isDirectory()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && request.createSource) return false
    throw new DewarError(
      'invalid-argument',
      `invalid mount config for type "bind": bind source path does not exist: ${request.source}`,
      { cause: error },
    )
  }
}

async function resolveVolume(request: VolumeRequest, volumes: VolumeSource): Promise<RecordedMount> {
  const volume = await volumes.ensure(request)
  const point: MountPoint = {
    type: 'volume',
    name: volume.name,
    source: volume.mountpoint,
    destination: request.destination,
    driver: volume.driver,
    mode: request.mode,
    rw: request.rw,
    propagation: '',
  }
  return {
    type: 'volume',
    source: volume.mountpoint,
    destination: request.destination,
    rw: request.rw,
    file: false,
    recursive: false,
    propagation: 'rprivate',
    mounted: volume.mounted === true,
    ...(request.subpath === '' ? {} : { subpath: request.subpath }),
    options: request.noCopy ? ['nocopy'] : [],
    point,
    anonymous: request.name === undefined || request.shared === true,
    createSource: false,
  }
}

function resolveTmpfs(request: TmpfsRequest): RecordedMount {
  const { destination, rw, mode, options } = request
  const point: MountPoint = { type: 'tmpfs', source: '', destination, mode, rw, propagation: '' }
  return {
    type: 'tmpfs',
    source: '',
    destination,
    rw,
    file: false,
    recursive: false,
    propagation: 'rprivate',
    options: options.filter((word) => !/^r?(private|shared|slave|unbindable)$/.test(word)),
    point,
    anonymous: false,
    createSource: false,
    listed: request.byMount,
  }
}

/** The layers are kept with the container, so that it goes on when the image is removed by force. */
async function resolveImage(request: ImageRequest, sources: MountSources): Promise<RecordedMount> {
  const { id, lower } = sources.image(request.source)
  const { destination, mode, rw, subpath } = request
  const propagation = 'rprivate'
  const shown = { type: 'image', source: id, destination, mode, rw, propagation } as const
  return {
    ...shown,
    lower,
    file: false,
    recursive: false,
    ...(subpath === '' ? {} : { subpath }),
    options: [],
    point: { ...shown, name: request.source },
    anonymous: false,
    createSource: false,
  }
}
