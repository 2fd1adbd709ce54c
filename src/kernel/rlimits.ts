/** Resource limits: --ulimit's names, the specification's types and the numbers of setrlimit(2). */
import { DewarError } from '../base/errors.ts'
import type { OciProcess } from './oci.ts'
import type { Action } from './plan.ts'

/** asm-generic/resource.h; x86-64, arm64 and their 32-bit forms agree. */
export const RLIMITS = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
} as const

/** RLIM_INFINITY of the kernel's 64-bit interface (prlimit64). */
export const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn

export type OciRlimit = OciProcess['rlimits'][number]

export interface Ulimit {
  readonly name: string
  /** -1 is unlimited. */
  readonly soft: number
  readonly hard: number
}

/** Docker has no `as` among its ulimit names; Dewar takes it (the kernel and the specification know it). */
export function ulimitToRlimit(ulimit: Ulimit): OciRlimit {
  const type = `RLIMIT_${ulimit.name.toUpperCase()}`
  if (!Object.hasOwn(RLIMITS, type) || ulimit.name !== ulimit.name.toLowerCase()) {
    throw new DewarError('invalid-argument', `invalid ulimit type: ${ulimit.name}`)
  }
  const softIsMore = ulimit.hard !== -1 && (ulimit.soft === -1 || ulimit.soft > ulimit.hard)
  if (softIsMore) {
    const words = 'ulimit soft limit must be less than or equal to hard limit'
    throw new DewarError('invalid-argument', `${words}: ${ulimit.soft} > ${ulimit.hard}`)
  }
  return { type, soft: ulimit.soft, hard: ulimit.hard }
}

/**
 * The `rlimit` step. Numbers below zero, and those no double can tell from 2^64-1, are unlimited.
 * Throws invalid-argument for an unknown type or a fraction.
 */
export function rlimitAction(limit: OciRlimit): Action {
  const resource = Object.entries(RLIMITS).find(([name]) => name === limit.type)?.[1]
  if (resource === undefined) {
    throw new DewarError('invalid-argument', `Setting resource limits: ${limit.type} is not one`, {
      remedy: `known are ${Object.keys(RLIMITS).join(', ')}`,
    })
  }
  return { op: 'rlimit', resource, soft: rlimitValue(limit.soft), hard: rlimitValue(limit.hard) }
}

function rlimitValue(value: number): bigint {
  if (value < 0 || value >= 2 ** 63) return RLIM_INFINITY
  if (Number.isInteger(value)) return BigInt(value)
  throw new DewarError('invalid-argument', `Setting resource limits: ${value} is not a whole number`)
}
