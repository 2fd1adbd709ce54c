/** The API's `Mounts`: objects of type bind, volume, tmpfs or image, checked in dockerd's words. Pure. */
import { posix } from 'node:path'
import { DewarError } from '../base/errors.ts'
import { checkDestination, checkVolumeName, PROPAGATION, type MountRequest } from './mount-parts.ts'
import type { Mount } from './types.ts'

export function parseMount(mount: Mount): MountRequest {
  const refuse = (why: string): DewarError =>
    new DewarError('invalid-argument', `invalid mount config for type "${mount.type}": ${why}`)
  if (mount.target === '') throw refuse('field Target must not be empty')
  const extra = (field: string): DewarError => refuse(`field ${field} must not be specified`)
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
      if (mount.imageOptions !== undefined) throw extra('ImageOptions')
      if (mount.source) throw extra('Source')
      for (const option of mount.tmpfsOptions?.options ?? []) checkTmpfsOption(option, refuse)
      return { type: 'tmpfs', byMount: true, options: tmpfsOptions(mount), ...common }
    case 'image':
      return { ...imageMount(mount, refuse), ...common, rw: false }
    case 'npipe':
    case 'cluster':
      throw new DewarError('invalid-argument', `mount type "${mount.type}" is not supported on this engine`, {
        remedy: 'use bind, volume, tmpfs or image',
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
  if (mount.imageOptions !== undefined) throw refuse('field ImageOptions must not be specified')
  const propagation = mount.bindOptions?.propagation ?? ''
  if (propagation !== '' && !PROPAGATION.has(propagation))
    throw refuse(`invalid propagation mode: ${propagation}`)
  const recursive = mount.bindOptions?.nonRecursive !== true
  const createSource = mount.bindOptions?.createMountpoint === true
  const topReadOnly = mount.bindOptions?.readOnlyNonRecursive === true
  checkReadOnly(mount, refuse)
  return {
    type: 'bind',
    source: posix.normalize(source),
    propagation,
    recursive,
    topReadOnly,
    createSource,
  } as const
}

/** Read-only binds are recursively so here on every kernel, so to force it is to ask for what is done anyway. */
function checkReadOnly({ readOnly, bindOptions = {} }: Mount, refuse: (why: string) => DewarError): void {
  const { readOnlyNonRecursive, readOnlyForceRecursive, propagation } = bindOptions
  if (readOnlyForceRecursive !== true) return
  if (readOnly !== true) throw refuse('mount must be read-only to force recursion')
  if (readOnlyNonRecursive === true)
    throw refuse('ReadOnlyForceRecursive and ReadOnlyNonRecursive cannot both be set')
  if (propagation !== undefined && propagation !== 'rprivate')
    throw refuse('ReadOnlyForceRecursive needs the propagation rprivate')
}

function volumeMount(mount: Mount, refuse: (why: string) => DewarError) {
  if (mount.bindOptions !== undefined) throw misplaced('BindOptions', mount)
  if (mount.tmpfsOptions !== undefined) throw misplaced('TmpfsOptions', mount)
  if (mount.imageOptions !== undefined) throw refuse('field ImageOptions must not be specified')
  const options = mount.volumeOptions
  const subpath = options?.subpath ?? ''
  if (mount.readOnly === true && !mount.source)
    throw refuse('must not set ReadOnly mode when using anonymous volumes')
  if (subpath !== '' && !mount.source) throw refuse('must not set Subpath when using anonymous volumes')
  if (subpath !== '' && !isLocal(subpath)) throw refuse(OUTSIDE)
  return {
    type: 'volume',
    name: mount.source ? checkVolumeName(mount.source) : undefined,
    noCopy: options?.noCopy === true,
    driver: options?.driverConfig?.name || 'local',
    driverOptions: options?.driverConfig?.options ?? {},
    labels: options?.labels ?? {},
    subpath,
  } as const
}

function imageMount(mount: Mount, refuse: (why: string) => DewarError) {
  if (mount.volumeOptions !== undefined) throw misplaced('VolumeOptions', mount)
  if (mount.bindOptions !== undefined) throw misplaced('BindOptions', mount)
  if (mount.tmpfsOptions !== undefined) throw misplaced('TmpfsOptions', mount)
  const { source = '', imageOptions } = mount
  if (source === '') throw refuse('field Source must not be empty')
  const subpath = imageOptions?.subpath ?? ''
  if (subpath !== '' && !isLocal(subpath)) throw refuse(OUTSIDE)
  return { type: 'image', source, subpath } as const
}

/** dockerd's word for images, too. */
const OUTSIDE = 'subpath must be a relative path within the volume'

/** Go's filepath.IsLocal: it does not leave the folder it is in. */
function isLocal(path: string): boolean {
  const clean = posix.normalize(path)
  return !clean.startsWith('/') && clean !== '..' && !clean.startsWith('../') && !path.includes('\0')
}

function checkTmpfsOption(option: readonly string[], refuse: (why: string) => DewarError): void {
  if (option.length < 1 || option.length > 2) throw refuse('invalid option array length')
  const [name = ''] = option
  if (name !== 'exec' && name !== 'noexec') throw refuse(`invalid option: ${name}`)
}

function tmpfsOptions(mount: Mount): string[] {
  const { sizeBytes, mode, options } = mount.tmpfsOptions ?? {}
  const words = ['noexec', 'nosuid', 'nodev']
  if (sizeBytes) words.push(`size=${sizeBytes}`)
  if (mode) words.push(`mode=${mode.toString(8)}`)
  for (const option of options ?? []) words.push(option.join('='))
  return words
}
