/**
 * Seccomp from the outside: the default policy or a profile → the specification's form → the `seccomp` step.
 */
import type { OciSeccomp } from './oci.ts'
import type { Action } from './plan.ts'
import { compileSeccomp } from './seccomp-compile.ts'
import type { MachineArch, SeccompFilter } from './seccomp-compile.ts'
import { DEFAULT_PROFILE } from './seccomp-policy.ts'
import { parseProfile, resolveProfile } from './seccomp-profile.ts'
import type { Profile, SeccompContext } from './seccomp-profile.ts'

export { compileSeccomp } from './seccomp-compile.ts'
export type { MachineArch, SeccompFilter } from './seccomp-compile.ts'
export { resolveProfile } from './seccomp-profile.ts'
export type { Profile, SeccompContext } from './seccomp-profile.ts'

/** Dewar's policy, conditions on capabilities still open. */
export function defaultSeccomp(): Profile {
  return DEFAULT_PROFILE
}

/**
 * A file given with `--security-opt seccomp=FILE`, Docker's or the specification's form, for this container.
 * Throws invalid-argument.
 */
export function loadDockerProfile(json: string, context: SeccompContext): OciSeccomp {
  return resolveProfile(parseProfile(json), context)
}

const resolved = new Map<string, OciSeccomp>()
const compiled = new WeakMap<OciSeccomp, Map<MachineArch, SeccompFilter>>()

/**
 * The default policy for these capabilities; the same object for the same answer, so that compiling it is
 * cached.
 */
export function defaultSeccompFor(context: SeccompContext): OciSeccomp {
  const key = [context.arch, ...context.capabilities.toSorted()].join()
  const known = resolved.get(key)
  if (known !== undefined) return known
  const policy = resolveProfile(DEFAULT_PROFILE, context)
  resolved.set(key, policy)
  return policy
}

/**
 * `compileSeccomp`, remembered for as long as the policy object lives: 10 ms the first time, nothing after.
 */
export function seccompFilter(policy: OciSeccomp, arch: MachineArch): SeccompFilter {
  const byArch = compiled.get(policy) ?? new Map<MachineArch, SeccompFilter>()
  compiled.set(policy, byArch)
  const filter = byArch.get(arch) ?? compileSeccomp(policy, arch)
  byArch.set(arch, filter)
  return filter
}

/** The `seccomp` step. */
export function seccompAction(policy: OciSeccomp, arch: MachineArch): Action {
  return { op: 'seccomp', ...seccompFilter(policy, arch) }
}

/** Node's process.arch → ours; undefined for machines Dewar has no system call tables for. */
export function machineArch(nodeArch: string): MachineArch | undefined {
  if (nodeArch === 'x64') return 'x86_64'
  return nodeArch === 'arm64' ? 'arm64' : undefined
}
