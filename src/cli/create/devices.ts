import { posix } from 'node:path'

export interface DeviceMapping {
  readonly PathOnHost: string
  readonly PathInContainer: string
  readonly CgroupPermissions: string
}

/** --device /dev/x[:/dev/y][:rwm] */
export function parseDevice(word: string): DeviceMapping {
  const parts = word.split(':')
  const [source = '', second, third] = parts
  if (parts.length > 3 || source === '') throw new Error(`bad format for path: ${word}`)
  if (third !== undefined && !isMode(third)) throw new Error(`bad mode specified: ${third}`)
  const secondIsMode = parts.length === 2 && second !== undefined && isMode(second)
  const target = second === undefined || secondIsMode ? source : second
  if (!target.startsWith('/')) throw new Error(`${target} is not an absolute path`)
  const clean = parts.length === 3 ? target : posix.normalize(target)
  return {
    PathOnHost: second === undefined || secondIsMode ? clean : source,
    PathInContainer: clean,
    CgroupPermissions: third ?? (secondIsMode ? (second ?? 'rwm') : 'rwm'),
  }
}

function isMode(text: string): boolean {
  return /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length
}

/** vendor.com/class=name: a device of the Container Device Interface. */
export function isCdiName(word: string): boolean {
  return /^[A-Za-z][\w.-]*\/[A-Za-z][\w-]*=[A-Za-z0-9][\w.:-]*$/.test(word)
}
