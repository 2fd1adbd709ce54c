/** The last part of a plan: one process's limits, identity and command. Pure. */
import { capsAction } from '../../kernel/capabilities.ts'
import type { OciProcess, OciSpec } from '../../kernel/oci.ts'
import type { Step } from '../../kernel/plan.ts'
import { rlimitAction } from '../../kernel/rlimits.ts'
import { seccompAction, type MachineArch } from '../../kernel/seccomp.ts'

export function oomSteps({ oomScoreAdj: score }: OciProcess): Step[] {
  return score === undefined ? [] : [{ actor: 'parent', op: 'oom-score', score }]
}

/**
 * Raising a limit needs the parent's rights. A parent without CAP_SYS_RESOURCE cannot even lower those of a child that
 * is another user (prlimit(2)), but the child can lower its own.
 */
export function rlimitSteps(
  process: OciProcess,
  { raisesLimits }: { readonly raisesLimits: boolean },
): Step[] {
  return process.rlimits
    .filter((limit) => !isLow(limit) || limit.hard < 0 || limit.hard >= DESCRIPTORS)
    .map((limit): Step => ({
      actor: raisesLimits ? 'parent' : 'guest',
      ...rlimitAction(isLow(limit) ? { ...limit, soft: limit.hard } : limit),
    }))
}

/** More than the slots of a plan and what else a process holds before its command. */
const DESCRIPTORS = 1024

const isLow = ({ type, soft }: OciProcess['rlimits'][number]): boolean =>
  type === 'RLIMIT_NOFILE' && soft >= 0 && soft < DESCRIPTORS

/** With few descriptors the steps before could not be carried out. */
function lateLimits(process: OciProcess): Step[] {
  return process.rlimits.filter(isLow).map((limit): Step => ({ actor: 'guest', ...rlimitAction(limit) }))
}

/**
 * From a process with all rights in its namespaces to the container's command. The filter comes before the
 * capabilities are dropped, since loading one needs CAP_SYS_ADMIN or no_new_privs; with no_new_privs it comes
 * last, so that it need not allow what the steps before it do.
 */
export function processSteps(spec: OciSpec, process: OciProcess, init: boolean, arch: MachineArch): Step[] {
  const { user } = process
  const filter: Step[] =
    spec.linux.seccomp === undefined ? [] : [{ actor: 'guest', ...seccompAction(spec.linux.seccomp, arch) }]
  const [height, width] = [process.consoleSize?.height ?? 0, process.consoleSize?.width ?? 0]
  const tty: Step[] = process.terminal
    ? [{ actor: 'guest', op: 'tty', rows: height, cols: width, console: process === spec.process }]
    : []
  return [
    { actor: 'guest', op: 'chdir', path: process.cwd, create: process === spec.process },
    ...tty,
    ...lateLimits(process),
    ...(process.noNewPrivileges ? [{ actor: 'guest', op: 'no-new-privs' } satisfies Step] : filter),
    {
      actor: 'guest',
      op: 'user',
      uid: user.uid,
      gid: user.gid,
      groups: user.additionalGids,
    },
    { actor: 'guest', ...capsAction(process.capabilities) },
    ...(process.noNewPrivileges ? filter : []),
    { actor: 'guest', op: 'exec', argv: process.args, env: process.env, init },
  ]
}
