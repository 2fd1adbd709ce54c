/**
 * Compiles a policy to a seccomp filter: the entry point by its architecture, then a balanced tree over
 * ranges of call numbers with one verdict, then the conditions on arguments, if any.
 *
 * Calls whose verdict does not depend on arguments cost nothing at run time since Linux 5.11: the kernel runs
 * the filter once at load for each number and keeps a bitmap of those always allowed. It follows loads of nr
 * and arch, jumps and AND only (seccomp_is_const_allow), which is all that stands before the leaves here.
 */
import { DewarError } from '../base/errors.ts'
import { MAX_INSTRUCTIONS, bpfBuilder } from './bpf-program.ts'
import type { BpfBuilder, Label } from './bpf-program.ts'
import type { OciSeccomp } from './oci.ts'
import { RESULT, entryPolicy } from './seccomp-rules.ts'
import type { CallRules, Condition, EntryPolicy } from './seccomp-rules.ts'
import type { SyscallArch } from './syscalls-table.ts'

/** Machines Dewar runs on. */
export type MachineArch = 'x86_64' | 'arm64'

/** linux/audit.h. x32 shares the architecture of x86-64 and sets this bit in the number instead. */
export const AUDIT_ARCH: Readonly<Record<SyscallArch, number>> = {
  x86_64: 0xc000_003e,
  x32: 0xc000_003e,
  i386: 0x4000_0003,
  arm64: 0xc000_00b7,
  arm: 0x4000_0028,
}
export const X32_BIT = 0x4000_0000

/** The specification's names. */
export const SCMP_ARCH: Readonly<Record<SyscallArch, string>> = {
  x86_64: 'SCMP_ARCH_X86_64',
  x32: 'SCMP_ARCH_X32',
  i386: 'SCMP_ARCH_X86',
  arm64: 'SCMP_ARCH_AARCH64',
  arm: 'SCMP_ARCH_ARM',
}

/**
 * What a call through an entry point outside the policy gets, as with libseccomp: there is no rule to go by.
 */
const CLOSED_ENTRY = RESULT.KILL_PROCESS
const ARCH_OFFSET = 4
const NR_OFFSET = 0
const LAST_NR = 0xffff_ffff

/** For the `seccomp` step. */
export interface SeccompFilter {
  readonly filter: Uint8Array
  /** SECCOMP_FILTER_FLAG_* */
  readonly flags: number
}

const FLAGS: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
}

/**
 * Throws invalid-argument for what cannot be kept: unknown actions or operators, NOTIFY, more than 4096
 * instructions.
 */
export function compileSeccomp(policy: OciSeccomp, machine: MachineArch): SeccompFilter {
  const has = (arch: SyscallArch) => policy.architectures.includes(SCMP_ARCH[arch])
  const builder = bpfBuilder()
  const closed = builder.ret(CLOSED_ENTRY)
  const compat = machine === 'x86_64' ? 'i386' : 'arm'
  const compatEntry = has(compat) ? entry(builder, ranges(entryPolicy(policy, compat))) : closed
  const native = entry(builder, nativeRanges(policy, machine, has('x32')))
  const compatOrClosed = builder.jump('EQUAL', AUDIT_ARCH[compat], compatEntry, closed)
  builder.load(ARCH_OFFSET, builder.jump('EQUAL', AUDIT_ARCH[machine], native, compatOrClosed))
  return { filter: finish(builder), flags: flagsOf(policy.flags ?? []) }
}

function finish(builder: BpfBuilder): Uint8Array {
  try {
    return builder.finish()
  } catch (cause) {
    throw new DewarError(
      'invalid-argument',
      'Compiling the seccomp profile: it needs too many instructions',
      {
        cause,
        remedy: `the kernel takes ${MAX_INSTRUCTIONS}; use fewer conditions on arguments`,
      },
    )
  }
}

function flagsOf(names: readonly string[]): number {
  return names.reduce((sum, name) => {
    const flag = FLAGS[name]
    if (flag !== undefined) return sum | flag
    throw new DewarError(
      'invalid-argument',
      `Reading the seccomp profile: unknown flag ${JSON.stringify(name)}`,
      {
        remedy: `known are ${Object.keys(FLAGS).join(', ')}`,
      },
    )
  }, 0)
}

/** Numbers from `first` up to the next range's. */
interface Range {
  readonly first: number
  readonly call: CallRules
}

/** x86-64 and x32 enter by the same architecture; the number's bit 30 tells them apart. */
function nativeRanges(policy: OciSeccomp, machine: MachineArch, x32: boolean): Range[] {
  const native = ranges(entryPolicy(policy, machine))
  if (machine !== 'x86_64') return native
  if (!x32) return [...native, { first: X32_BIT, call: { rules: [], otherwise: CLOSED_ENTRY } }]
  const upper = ranges(entryPolicy(policy, 'x32')).filter(
    (_, i, all) => (all[i + 1]?.first ?? Infinity) > X32_BIT,
  )
  return [...native, ...upper.map((range) => ({ ...range, first: Math.max(range.first, X32_BIT) }))]
}

/** Covers all 32-bit numbers without a gap; neighbours with the same verdict are one range. */
function ranges(policy: EntryPolicy): Range[] {
  const unknown: CallRules = { rules: [], otherwise: policy.otherwise }
  const found: Range[] = []
  let next = 0
  for (const [nr, call] of [...policy.calls].toSorted(([a], [b]) => a - b)) {
    if (nr > next) found.push({ first: next, call: unknown })
    found.push({ first: nr, call })
    next = nr + 1
  }
  if (next <= LAST_NR) found.push({ first: next, call: unknown })
  return found.filter((range, i) => i === 0 || keyOf(range.call) !== keyOf(found[i - 1]?.call))
}

/** Equal keys, equal verdicts. */
function keyOf(call: CallRules | undefined): string {
  if (call === undefined) return ''
  const rules = call.rules.map((rule) => {
    const when = rule.when.map((c) => `${c.index}${c.op}${c.value}/${c.second}`)
    return `${when.join('&')}→${rule.result}`
  })
  return [...rules, call.otherwise].join(' ')
}

function entry(builder: BpfBuilder, list: readonly Range[]): Label {
  return builder.load(NR_OFFSET, tree(builder, list))
}

function tree(builder: BpfBuilder, list: readonly Range[]): Label {
  const middle = list[list.length >> 1]
  if (middle === undefined || list.length === 1) return leaf(builder, list[0])
  const above = tree(builder, list.slice(list.length >> 1))
  const below = tree(builder, list.slice(0, list.length >> 1))
  return builder.jump('GREATER_EQUAL', middle.first, above, below)
}

function leaf(builder: BpfBuilder, range: Range | undefined): Label {
  if (range === undefined) return builder.ret(CLOSED_ENTRY)
  const { rules, otherwise } = range.call
  return rules.toReversed().reduce((no, rule) => {
    const yes = builder.ret(rule.result)
    return rule.when.toReversed().reduce((go, one) => test(builder, one, go, no), yes)
  }, builder.ret(otherwise))
}

/** Offset of the low and high half of an argument; both machines are little endian. */
const low = (index: number) => 16 + 8 * index
const high = (index: number) => low(index) + 4

/** A condition on a 64-bit value, half by half. */
function test(builder: BpfBuilder, { index, op, value, second }: Condition, yes: Label, no: Label): Label {
  if (yes === no) return yes
  if (op === 'NE') return test(builder, { index, op: 'EQ', value, second }, no, yes)
  if (op === 'LT') return test(builder, { index, op: 'GE', value, second }, no, yes)
  if (op === 'LE') return test(builder, { index, op: 'GT', value, second }, no, yes)
  if (op === 'MASKED_EQ') return masked(builder, index, value, second, yes, no)
  const [valueHigh, valueLow] = halves(value)
  const compare = op === 'EQ' ? 'EQUAL' : op === 'GT' ? 'GREATER' : 'GREATER_EQUAL'
  const lowHalf = builder.load(low(index), builder.jump(compare, valueLow, yes, no))
  const equal = builder.jump('EQUAL', valueHigh, lowHalf, no)
  return builder.load(high(index), op === 'EQ' ? equal : builder.jump('GREATER', valueHigh, yes, equal))
}

function masked(
  builder: BpfBuilder,
  index: number,
  mask: bigint,
  wanted: bigint,
  yes: Label,
  no: Label,
): Label {
  const [maskHigh, maskLow] = halves(mask)
  const [wantedHigh, wantedLow] = halves(wanted)
  const lowHalf = builder.load(low(index), builder.and(maskLow, builder.jump('EQUAL', wantedLow, yes, no)))
  if (maskHigh === 0 && wantedHigh === 0) return lowHalf
  const highTest = builder.jump('EQUAL', wantedHigh, lowHalf, no)
  return builder.load(high(index), builder.and(maskHigh, highTest))
}

const halves = (value: bigint): [high: number, low: number] => [
  Number(value >> 32n),
  Number(BigInt.asUintN(32, value)),
]
