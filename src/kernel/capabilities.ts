/**
 * Capabilities: names, bits, Docker's default set and what --cap-add, --cap-drop and --privileged make of it.
 */
import { readFile } from 'node:fs/promises'
import { DewarError } from '../base/errors.ts'
import type { OciCapabilities } from './oci.ts'
import type { Action } from './plan.ts'

/** In the order of their bits (include/uapi/linux/capability.h); the last three came with 5.8 and 5.9. */
export const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_DAC_READ_SEARCH',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETPCAP',
  'CAP_LINUX_IMMUTABLE',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_CHROOT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_PACCT',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_NICE',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_MKNOD',
  'CAP_LEASE',
  'CAP_AUDIT_WRITE',
  'CAP_AUDIT_CONTROL',
  'CAP_SETFCAP',
  'CAP_MAC_OVERRIDE',
  'CAP_MAC_ADMIN',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
  'CAP_BLOCK_SUSPEND',
  'CAP_AUDIT_READ',
  'CAP_PERFMON',
  'CAP_BPF',
  'CAP_CHECKPOINT_RESTORE',
] as const

export type Capability = (typeof CAPABILITIES)[number]

/**
 * What a container has when nothing is said: Docker's fourteen. Under Dewar's private user namespace they
 * reach only what belongs to the container; each is here because images in everyday use fail without it.
 */
export const DEFAULT_CAPABILITIES: readonly Capability[] = [
  'CAP_CHOWN', // package managers and entry points give files to their service user
  'CAP_DAC_OVERRIDE', // root reads and writes files of other users of the image
  'CAP_FSETID', // set-id bits survive writes by root (package installation)
  'CAP_FOWNER', // chmod and utimes on files of other users (tar, install)
  'CAP_MKNOD', // mknod of FIFOs needs none, devices are refused by the device list and the user namespace
  'CAP_NET_RAW', // ping
  'CAP_SETGID', // su, gosu, nginx's workers
  'CAP_SETUID', // the same
  'CAP_SETFCAP', // package installation sets file capabilities
  'CAP_SETPCAP', // programs drop their own bounding set
  'CAP_NET_BIND_SERVICE', // ports below 1024
  'CAP_SYS_CHROOT', // sshd, build tools
  'CAP_KILL', // supervisors stop workers of other users
  'CAP_AUDIT_WRITE', // pam
]

const BIT = new Map<string, bigint>(CAPABILITIES.map((name, bit) => [name, 1n << BigInt(bit)]))
const isCapability = (name: string): name is Capability => BIT.has(name)

/**
 * Names as Docker keeps them: upper case, with CAP_, `ALL` as it is.
 * Throws invalid-argument with dockerd's words; `field` is CapAdd or CapDrop.
 */
export function normalizeCapabilities(
  names: readonly string[],
  field: 'CapAdd' | 'CapDrop',
): (Capability | 'ALL')[] {
  return names.map((given) => {
    const upper = given.toUpperCase()
    if (upper === 'ALL') return 'ALL'
    const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`
    if (isCapability(name)) return name
    throw new DewarError('invalid-argument', `invalid ${field}: unknown capability: ${JSON.stringify(name)}`)
  })
}

export interface CapabilityRequest {
  readonly add: readonly string[]
  readonly drop: readonly string[]
  readonly privileged: boolean
  /** Highest bit the kernel knows (/proc/sys/kernel/cap_last_cap); names above it are left out of ALL. */
  readonly last?: number
}

/**
 * The set a container gets, in the order of the bits. As Docker: privileged beats all; `--cap-add ALL` gives
 * all but the dropped; `--cap-drop ALL` leaves only the added; else drop from the default set, then add.
 */
export function containerCapabilities(request: CapabilityRequest): Capability[] {
  const known = CAPABILITIES.slice(0, (request.last ?? CAPABILITIES.length - 1) + 1)
  const add = normalizeCapabilities(request.add, 'CapAdd')
  const drop = normalizeCapabilities(request.drop, 'CapDrop')
  refuseUnsupported(add, 'CapAdd', known)
  if (request.privileged) return known
  if (add.includes('ALL')) return known.filter((name) => !drop.includes(name))
  const base = drop.includes('ALL') ? [] : DEFAULT_CAPABILITIES.filter((name) => !drop.includes(name))
  return known.filter((name) => base.includes(name) || add.includes(name))
}

function refuseUnsupported(names: readonly string[], field: string, known: readonly string[]): void {
  const missing = names.find((name) => name !== 'ALL' && !known.includes(name))
  if (missing === undefined) return
  const why = 'capability not supported by your kernel or not available in the current environment'
  throw new DewarError('invalid-argument', `invalid ${field}: ${why}: ${JSON.stringify(missing)}`)
}

/** 64-bit mask of full names such as CAP_CHOWN. Throws invalid-argument for a name that is none. */
export function capabilityMask(names: readonly string[]): bigint {
  return names.reduce((mask, name) => {
    const bit = BIT.get(name)
    if (bit !== undefined) return mask | bit
    throw new DewarError('invalid-argument', `Reading capabilities: ${JSON.stringify(name)} is not one`, {
      remedy: 'use names such as CAP_CHOWN',
    })
  }, 0n)
}

/** The names in a mask, such as CapEff of /proc/PID/status, in the order of their bits. */
export function capabilityNames(mask: bigint): Capability[] {
  return CAPABILITIES.filter((_, bit) => ((mask >> BigInt(bit)) & 1n) === 1n)
}

/** Whether this process holds a capability now (CapEff in /proc/self/status). */
export async function holdsCapability(name: Capability): Promise<boolean> {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return capabilityNames(BigInt(`0x${mask}`)).includes(name)
}

/**
 * Docker's sets for a process: bounding for everyone; effective and permitted for root only, as execve clears
 * them for other users anyway; nothing inheritable or ambient (CVE-2022-24769: inheritable ones let file
 * capabilities of the image raise a user's rights).
 */
export function processCapabilities(names: readonly Capability[], uid: number): OciCapabilities {
  const held = uid === 0 ? names : []
  return { bounding: names, effective: held, permitted: held }
}

/** The `caps` step for OCI sets. */
export function capsAction(sets: OciCapabilities): Action {
  return {
    op: 'caps',
    bounding: capabilityMask(sets.bounding),
    held: capabilityMask(sets.permitted),
  }
}
