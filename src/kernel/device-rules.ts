/**
 * Which devices a container may use: Docker's default list as data, what a list of rules means, and how v1's
 * devices controller is told. The meaning is the specification's: for each kind of access the last rule that
 * matches decides, and what no rule matches is closed.
 */
import { DewarError } from '../base/errors.ts'
import type { OciDevice, OciDeviceRule } from './oci.ts'

const rule = (
  type: 'c' | 'b',
  major: number | undefined,
  minor: number | undefined,
  access: string,
): OciDeviceRule => ({
  allow: true,
  type,
  ...(major !== undefined && { major }),
  ...(minor !== undefined && { minor }),
  access,
})

/** Everything closed, then what every container has. `--device` and `--device-cgroup-rule` append theirs. */
export const DEFAULT_DEVICE_RULES: readonly OciDeviceRule[] = [
  { allow: false, type: 'a', access: 'rwm' },
  rule('c', undefined, undefined, 'm'), // making a node opens nothing: package managers and archives make them
  rule('b', undefined, undefined, 'm'), // the same
  rule('c', 1, 3, 'rwm'), // null
  rule('c', 1, 5, 'rwm'), // zero
  rule('c', 1, 7, 'rwm'), // full
  rule('c', 1, 8, 'rwm'), // random
  rule('c', 1, 9, 'rwm'), // urandom
  rule('c', 5, 0, 'rwm'), // tty: the process's own terminal, whichever that is
  rule('c', 5, 1, 'rwm'), // console: a slave of the container's own devpts is bound over it
  rule('c', 5, 2, 'rwm'), // ptmx: of the container's own devpts
  rule('c', 136, undefined, 'rwm'), // the slaves of that
]

/** `--privileged`. */
export const ALL_DEVICES: readonly OciDeviceRule[] = [{ allow: true, type: 'a', access: 'rwm' }]

const node = (path: string, major: number, minor: number): OciDevice => ({
  path,
  type: 'c',
  major,
  minor,
  fileMode: 0o666,
  uid: 0,
  gid: 0,
})

/**
 * Nodes in every container's /dev, bound from the host's. ptmx and pts come with the container's devpts,
 * console with -t.
 */
export const DEFAULT_DEVICES: readonly OciDevice[] = [
  node('/dev/null', 1, 3),
  node('/dev/zero', 1, 5),
  node('/dev/full', 1, 7),
  node('/dev/random', 1, 8),
  node('/dev/urandom', 1, 9),
  node('/dev/tty', 5, 0),
]

/** Throws invalid-argument when a rule cannot be read. */
export function checkDeviceRule(given: OciDeviceRule): void {
  const numbers = [given.major, given.minor].every(
    (n) => n === undefined || n === -1 || (Number.isInteger(n) && n >= 0 && n < 2 ** 32),
  )
  if (numbers && /^[rwm]{1,3}$/.test(given.access)) return
  throw new DewarError('invalid-argument', `Reading the device rule ${describe(given)}: it cannot be`, {
    remedy: 'access is r, w, m or several of them; numbers have 32 bits, left out means all',
  })
}

/** -1 is how config.json files write "all". */
export const wildcard = (n: number | undefined): boolean => n === undefined || n === -1
const number = (n: number | undefined): string => (wildcard(n) ? '*' : String(n))
const describe = ({ type, major, minor, access }: OciDeviceRule): string =>
  `${type} ${number(major)}:${number(minor)} ${access}`

/** Rules that still matter: from the last that speaks of everything. `start` is what it says. */
export function effectiveRules(rules: readonly OciDeviceRule[]): {
  readonly allowAll: boolean
  readonly rules: readonly OciDeviceRule[]
} {
  rules.forEach(checkDeviceRule)
  const speaksOfAll = (r: OciDeviceRule) =>
    r.type === 'a' && wildcard(r.major) && wildcard(r.minor) && isFull(r.access)
  const last = rules.findLastIndex(speaksOfAll)
  return { allowAll: rules[last]?.allow === true, rules: rules.slice(last + 1) }
}

const isFull = (access: string): boolean => ['r', 'w', 'm'].every((letter) => access.includes(letter))

export interface DeviceWrite {
  readonly file: 'devices.allow' | 'devices.deny'
  readonly data: string
}

/**
 * Writes for v1, where a new group has its parent's list (all). The controller keeps a default and
 * exceptions, and an exception is only taken back by naming it exactly, else the write does nothing: such
 * rules are refused here.
 */
export function deviceWrites(rules: readonly OciDeviceRule[]): DeviceWrite[] {
  const effective = effectiveRules(rules)
  const writes: DeviceWrite[] = effective.allowAll ? [] : [{ file: 'devices.deny', data: 'a' }]
  for (const [i, one] of effective.rules.entries()) {
    const earlier = effective.rules.slice(0, i)
    if (one.type === 'a') throw unsupported(one)
    if (
      one.allow === effective.allowAll &&
      earlier.some((r) => r.allow !== one.allow && overlap(r, one) && !sameDevices(r, one))
    ) {
      throw unsupported(one)
    }
    writes.push({ file: one.allow ? 'devices.allow' : 'devices.deny', data: describe(one) })
  }
  return writes
}

const sameDevices = (a: OciDeviceRule, b: OciDeviceRule): boolean =>
  a.type === b.type && number(a.major) === number(b.major) && number(a.minor) === number(b.minor)

function overlap(a: OciDeviceRule, b: OciDeviceRule): boolean {
  const meet = (x: number | undefined, y: number | undefined) => wildcard(x) || wildcard(y) || x === y
  const access = a.access.split('').some((letter) => b.access.includes(letter))
  return (
    access &&
    (a.type === b.type || a.type === 'a' || b.type === 'a') &&
    meet(a.major, b.major) &&
    meet(a.minor, b.minor)
  )
}

const unsupported = (one: OciDeviceRule): DewarError =>
  new DewarError(
    'invalid-argument',
    `Setting the device rule ${one.allow ? 'allow' : 'deny'} ${describe(one)}: control groups v1 cannot`,
    {
      remedy:
        'the v1 devices controller takes back only rules it was given; list the devices one by one, or use cgroup v2',
    },
  )
