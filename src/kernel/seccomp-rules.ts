/**
 * From a policy in the specification's form to what each call of one entry point gets: pure bookkeeping, no
 * BPF.
 *
 * How several rules for one call come together follows what runc and libseccomp do with the same profile:
 * - a rule whose action is the default action says nothing and is left out;
 * - a rule without conditions wins over rules with conditions, whatever their order;
 * - else the first rule that matches wins;
 * - conditions of one rule must all hold, unless two of them look at the same argument: then each stands
 *   alone.
 */
import { DewarError } from '../base/errors.ts'
import type { OciSeccomp } from './oci.ts'
import { multiplexedCall } from './seccomp-multiplexed.ts'
import { isSyscallName, syscallNumbers } from './syscalls-table.ts'
import type { SyscallArch } from './syscalls-table.ts'

export type Operator = 'NE' | 'LT' | 'LE' | 'EQ' | 'GE' | 'GT' | 'MASKED_EQ'

/** 64 bits, unsigned. MASKED_EQ: (argument & value) = second. */
export interface Condition {
  readonly index: number
  readonly op: Operator
  readonly value: bigint
  readonly second: bigint
}

/** `when` empty: always. `result`: a SECCOMP_RET_* value. */
export interface Rule {
  readonly when: readonly Condition[]
  readonly result: number
}

export interface CallRules {
  readonly rules: readonly Rule[]
  readonly otherwise: number
}

export interface EntryPolicy {
  readonly calls: ReadonlyMap<number, CallRules>
  readonly otherwise: number
}

export const RESULT = {
  KILL_PROCESS: 0x8000_0000,
  KILL_THREAD: 0,
  TRAP: 0x0003_0000,
  ERRNO: 0x0005_0000,
  TRACE: 0x7ff0_0000,
  LOG: 0x7ffc_0000,
  ALLOW: 0x7fff_0000,
} as const

const EPERM = 1
const ENOSYS = 38
/** MAX_ERRNO of the kernel, which cuts greater ones down to it. */
const MAX_ERRNO = 4095

/** SCMP_ACT_* and its errno → SECCOMP_RET_*. Throws invalid-argument. */
export function resultOf(action: string, errno: number = EPERM): number {
  const word = action.replace(/^SCMP_ACT_/, '')
  if (word === 'ERRNO') return RESULT.ERRNO | Math.min(errno, MAX_ERRNO)
  if (word === 'TRACE') return RESULT.TRACE | (errno & 0xffff)
  if (word === 'KILL') return RESULT.KILL_THREAD
  if (word === 'NOTIFY') {
    throw new DewarError('invalid-argument', 'Reading the seccomp profile: SCMP_ACT_NOTIFY cannot be had', {
      remedy: 'it hands calls to a listener outside the container, and Dewar starts none; use SCMP_ACT_ERRNO',
    })
  }
  const known = Object.entries(RESULT).find(([name]) => name === word)
  if (known !== undefined) return known[1]
  throw new DewarError(
    'invalid-argument',
    `Reading the seccomp profile: unknown action ${JSON.stringify(action)}`,
    {
      remedy: 'known are SCMP_ACT_ALLOW, ERRNO, KILL, KILL_THREAD, KILL_PROCESS, TRAP, TRACE and LOG',
    },
  )
}

/** Whether a call with this result is carried out. */
export const lets = (result: number): boolean =>
  result === RESULT.ALLOW || result === RESULT.LOG || (result & 0x7fff_0000) === RESULT.TRACE

/**
 * What each call of the entry point `arch` gets. Throws invalid-argument for a policy that cannot be kept.
 */
export function entryPolicy(policy: OciSeccomp, arch: SyscallArch): EntryPolicy {
  const otherwise = resultOf(policy.defaultAction, policy.defaultErrnoRet)
  const collected = new Map<number, Rule[]>()
  const add = (nr: number, rule: Rule) => collected.set(nr, [...(collected.get(nr) ?? []), rule])
  let newest = -1
  for (const entry of policy.syscalls) {
    const result = resultOf(entry.action, entry.errnoRet)
    const rules = alternatives(entry.args ?? []).map((when) => ({ when, result }))
    for (const name of entry.names) {
      refuseUnknownName(name, result)
      const nr = syscallNumbers(arch).get(name)
      if (nr !== undefined) newest = Math.max(newest, nr)
      if (result === otherwise) continue
      if (nr !== undefined) for (const rule of rules) add(nr, rule)
      const other = multiplexedCall(arch, name, rules, lets(result) || !lets(otherwise))
      if (other !== undefined) add(other.nr, other.rule)
    }
  }
  return { calls: withUnknown(arch, collected, otherwise, newest), otherwise: unknownResult(otherwise) }
}

/**
 * Programs ask for new calls and take an older way on ENOSYS; on EPERM they give up. So a call that the
 * policy's writer cannot have known (newer than all it names), or that no kernel has, answers ENOSYS: what
 * runc does.
 */
const unknownResult = (otherwise: number): number => (lets(otherwise) ? otherwise : RESULT.ERRNO | ENOSYS)

function withUnknown(
  arch: SyscallArch,
  collected: ReadonlyMap<number, readonly Rule[]>,
  otherwise: number,
  newest: number,
): ReadonlyMap<number, CallRules> {
  const calls = new Map<number, CallRules>()
  for (const nr of syscallNumbers(arch).values()) {
    const rules = collected.get(nr) ?? []
    const always = rules.find((rule) => rule.when.length === 0)
    if (always !== undefined) calls.set(nr, { rules: [], otherwise: always.result })
    else calls.set(nr, { rules, otherwise: nr > newest ? unknownResult(otherwise) : otherwise })
  }
  return calls
}

/**
 * A misspelt name in a rule that allows leaves a call closed, as in Docker; in one that closes it would open
 * one.
 */
function refuseUnknownName(name: string, result: number): void {
  if (lets(result) || isSyscallName(name)) return
  throw new DewarError(
    'invalid-argument',
    `Reading the seccomp profile: no system call is named ${JSON.stringify(name)}`,
    {
      remedy: 'a rule that closes a call must name one that exists, else nothing is closed',
    },
  )
}

type OciArgs = NonNullable<OciSeccomp['syscalls'][number]['args']>

function alternatives(args: OciArgs): (readonly Condition[])[] {
  const conditions = args.map(condition)
  const indexes = new Set(conditions.map((one) => one.index))
  if (indexes.size === conditions.length) return [conditions]
  return conditions.map((one) => [one])
}

const OPERATORS: readonly string[] = ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'] satisfies Operator[]
const isOperator = (word: string): word is Operator => OPERATORS.includes(word)

function condition(arg: OciArgs[number]): Condition {
  const op = arg.op.replace(/^SCMP_CMP_/, '')
  const [value, second] = [BigInt(arg.value), BigInt(arg.valueTwo ?? 0)]
  const is64 = value === BigInt.asUintN(64, value) && second === BigInt.asUintN(64, second)
  if (isOperator(op) && is64 && arg.index >= 0 && arg.index < 6)
    return { index: arg.index, op, value, second }
  const shown = `argument ${arg.index} ${arg.op} ${value}`
  throw new DewarError('invalid-argument', `Reading the seccomp profile: the condition ${shown} cannot be`, {
    remedy: `index is 0 to 5, values have 64 bits, op is one of ${OPERATORS.map((o) => `SCMP_CMP_${o}`).join(', ')}`,
  })
}
