/** Names in paths. Whatever cannot be a name is answered like a name nobody has, before the engine sees it. */
import { DewarError } from '../base/errors.ts'

const NAME = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]*$/
const MAX_NAME = 256

/** A container's name, id or id prefix. Throws not-found in dockerd's words. */
export function checkRef(ref: string): string {
  if (ref.length <= MAX_NAME && NAME.test(ref)) return ref
  if (ref === '') throw new DewarError('invalid-argument', 'invalid name or ID supplied: ""')
  throw new DewarError('not-found', `No such container: ${ref.slice(0, MAX_NAME)}`)
}

/** A network's name or id. */
export function checkNetworkRef(ref: string): string {
  if (ref.length > 0 && ref.length <= MAX_NAME && !ref.includes('\0') && !ref.includes('/')) return ref
  throw new DewarError('not-found', `network ${ref.slice(0, MAX_NAME)} not found`)
}

/** A volume's name. */
export function checkVolumeRef(ref: string): string {
  if (ref.length <= MAX_NAME && NAME.test(ref)) return ref
  throw new DewarError('not-found', `get ${ref.slice(0, MAX_NAME)}: no such volume`)
}

/** An exec's id. */
export function checkExecRef(ref: string): string {
  if (ref.length <= MAX_NAME && NAME.test(ref)) return ref
  throw new DewarError('not-found', `No such exec instance: ${ref.slice(0, MAX_NAME)}`)
}

/** Image references are parsed by the engine; here only what no reference can hold is kept out. */
export function checkImageRef(ref: string): string {
  if (ref.length > 0 && ref.length <= 4096 && /^[\x21-\x7e]+$/.test(ref) && !ref.split('/').includes('..'))
    return ref
  throw new DewarError('invalid-argument', 'invalid reference format')
}
