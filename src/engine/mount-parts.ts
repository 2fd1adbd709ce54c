/** What mounts are asked for by, and the checks that all ways of asking share. Pure. */
import { posix } from 'node:path'
import { DewarError } from '../base/errors.ts'

interface Common {
  readonly destination: string
  readonly rw: boolean
  /** The client's words after the second colon of `-v`, shown by inspect. */
  readonly mode: string
}

export interface BindRequest extends Common {
  readonly type: 'bind'
  readonly source: string
  /** Empty when it was not said. */
  readonly propagation: string
  readonly recursive: boolean
  /** Read-only alone, not what is mounted below it. */
  readonly topReadOnly: boolean
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
  /** A folder in the volume, "" for all of it. */
  readonly subpath: string
}

export interface TmpfsRequest extends Common {
  readonly type: 'tmpfs'
  /** By `--mount`, not by `--tmpfs`. */
  readonly byMount: boolean
  /** mount(8) words such as size=64m */
  readonly options: readonly string[]
}

/** The files of another image, which nothing can write. */
export interface ImageRequest extends Common {
  readonly type: 'image'
  readonly source: string
  /** A file or folder in the image, "" for all of it. */
  readonly subpath: string
}

export type MountRequest = BindRequest | VolumeRequest | TmpfsRequest | ImageRequest

export const PROPAGATION = new Set(['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared'])
const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

export function invalidSpec(spec: string): DewarError {
  return new DewarError('invalid-argument', `invalid volume specification: '${spec}'`, {
    remedy: 'write SOURCE:DESTINATION or SOURCE:DESTINATION:MODE',
  })
}

/** A clean absolute path other than `/`. */
export function checkDestination(path: string, spec: string): string {
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
