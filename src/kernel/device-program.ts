/**
 * The device list of cgroup v2: an eBPF program (BPF_PROG_TYPE_CGROUP_DEVICE) that the kernel asks at every
 * open and mknod of a device. It is given struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor;
 * }, where access_type is (access << 16) | type, type 1 block 2 character, access 1 mknod 2 read 4 write, and
 * answers 1 (yes) or 0 (EPERM). See linux/bpf.h.
 *
 * The rules are tried from the last to the first; R2 holds the kinds of access that nobody has allowed yet.
 */
import { effectiveRules, wildcard } from './device-rules.ts'
import type { OciDeviceRule } from './oci.ts'

const TYPE = { b: 1, c: 2 } as const
const ACCESS: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 }

/** R0 answer; R1 context; R2 access wanted; R3 type; R4 major; R5 minor; R6 scratch. */
const [R0, R1, R2, R3, R4, R5, R6] = [0, 1, 2, 3, 4, 5, 6] as const

interface Instruction {
  readonly code: number
  readonly dst: number
  readonly src: number
  readonly offset: number
  readonly imm: number
}

const insn = (code: number, dst: number, src: number, offset: number, imm: number): Instruction => ({
  code,
  dst,
  src,
  offset,
  imm,
})
/** dst = *(u32 *)(R1 + offset) */
const load = (dst: number, offset: number) => insn(0x61, dst, R1, offset, 0)
const move = (dst: number, imm: number) => insn(0xb7, dst, 0, 0, imm)
const copy = (dst: number, src: number) => insn(0xbc, dst, src, 0, 0)
const and = (dst: number, imm: number) => insn(0x54, dst, 0, 0, imm)
const shiftRight = (dst: number, imm: number) => insn(0x74, dst, 0, 0, imm)
const exit = insn(0x95, 0, 0, 0, 0)
/** 32-bit compares (BPF_JMP32, Linux 5.1), since device numbers above 2^31 would be sign-extended in 64. */
const skipIfNot = (dst: number, imm: number, count: number) => insn(0x56, dst, 0, count, imm)
const skipIf = (dst: number, imm: number, count: number) => insn(0x16, dst, 0, count, imm)

/** The program for the `device-program` step; undefined when everything is allowed and none is needed. */
export function deviceProgram(rules: readonly OciDeviceRule[]): Uint8Array | undefined {
  const effective = effectiveRules(rules)
  if (effective.allowAll && effective.rules.every((rule) => rule.allow)) return undefined
  return encode([
    load(R2, 0),
    copy(R3, R2),
    and(R3, 0xffff),
    shiftRight(R2, 16),
    load(R4, 4),
    load(R5, 8),
    ...effective.rules.toReversed().flatMap(oneRule),
    move(R0, effective.allowAll ? 1 : 0),
    exit,
  ])
}

function oneRule(rule: OciDeviceRule): Instruction[] {
  const bits = rule.access.split('').reduce((sum, letter) => sum | (ACCESS[letter] ?? 0), 0)
  const verdict = rule.allow
    ? [and(R2, ~bits & 7), skipIfNot(R2, 0, 2), move(R0, 1), exit]
    : [copy(R6, R2), and(R6, bits), skipIf(R6, 0, 2), move(R0, 0), exit]
  const tests: [register: number, value: number][] = []
  if (rule.type !== 'a') tests.push([R3, TYPE[rule.type]])
  if (rule.major !== undefined && !wildcard(rule.major)) tests.push([R4, rule.major])
  if (rule.minor !== undefined && !wildcard(rule.minor)) tests.push([R5, rule.minor])
  const skips = tests.map(([register, value], i) =>
    skipIfNot(register, value, tests.length - 1 - i + verdict.length),
  )
  return [...skips, ...verdict]
}

/** struct bpf_insn: code, dst | src << 4, offset, immediate. */
function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8)
  const view = new DataView(bytes.buffer)
  for (const [i, { code, dst, src, offset, imm }] of program.entries()) {
    view.setUint8(i * 8, code)
    view.setUint8(i * 8 + 1, dst | (src << 4))
    view.setInt16(i * 8 + 2, offset, true)
    view.setUint32(i * 8 + 4, imm, true)
  }
  return bytes
}
