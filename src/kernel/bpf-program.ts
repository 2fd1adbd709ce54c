/**
 * An assembler for classic BPF as seccomp takes it (linux/filter.h, linux/seccomp.h).
 *
 * Jumps in classic BPF only go forward, and their offsets are bytes. So a program is put together from its
 * end to its beginning: every target is already there when a jump to it is written, its distance is known,
 * and one that is too far gets a long jump (BPF_JA, 32 bits) in between. Equal ends are shared.
 */
export const BPF = {
  /** A = 32-bit word of struct seccomp_data at offset k */
  LOAD: 0x20,
  JUMP: 0x05,
  EQUAL: 0x15,
  GREATER: 0x25,
  GREATER_EQUAL: 0x35,
  /** A &= k */
  AND: 0x54,
  RETURN: 0x06,
} as const

/** BPF_MAXINSNS: the kernel refuses longer programs. */
export const MAX_INSTRUCTIONS = 4096

/** A place in the program, counted from its end. */
export type Label = number

interface Instruction {
  readonly code: number
  readonly jt: number
  readonly jf: number
  readonly k: number
}

export type Compare = 'EQUAL' | 'GREATER' | 'GREATER_EQUAL'

export interface BpfBuilder {
  readonly ret: (value: number) => Label
  /** Goes to `yes` if A compares so to k, else to `no`. */
  readonly jump: (compare: Compare, k: number, yes: Label, no: Label) => Label
  /** A = word at `offset`, then on to `next`. */
  readonly load: (offset: number, next: Label) => Label
  /** A &= `mask`, then on to `next`. */
  readonly and: (mask: number, next: Label) => Label
  /** struct sock_filter[], little endian. Throws RangeError above 4096 instructions. */
  readonly finish: () => Uint8Array
}

/** Two long jumps may have to be squeezed in between a jump and its targets. */
const NEAR = 255 - 2

export function bpfBuilder(): BpfBuilder {
  const reversed: Instruction[] = []
  const ends = new Map<number, Label>()
  const distance = (label: Label) => reversed.length - 1 - label

  function emit(code: number, k: number, jt = 0, jf = 0): Label {
    reversed.push({ code, jt, jf, k: k >>> 0 })
    return reversed.length - 1
  }
  function near(label: Label): Label {
    return distance(label) <= NEAR ? label : emit(BPF.JUMP, distance(label))
  }
  function ret(value: number): Label {
    const shared = ends.get(value)
    if (shared !== undefined && distance(shared) <= NEAR) return shared
    const label = emit(BPF.RETURN, value)
    ends.set(value, label)
    return label
  }
  function jump(compare: Compare, k: number, yes: Label, no: Label): Label {
    if (yes === no) return yes
    const [jt, jf] = [near(yes), near(no)]
    return emit(BPF[compare], k, distance(jt), distance(jf))
  }
  function finish(): Uint8Array {
    if (reversed.length > MAX_INSTRUCTIONS) {
      throw new RangeError(`${reversed.length} instructions, the kernel takes ${MAX_INSTRUCTIONS}`)
    }
    const bytes = new Uint8Array(reversed.length * 8)
    const view = new DataView(bytes.buffer)
    for (const [i, instruction] of reversed.toReversed().entries()) {
      view.setUint16(i * 8, instruction.code, true)
      view.setUint8(i * 8 + 2, instruction.jt)
      view.setUint8(i * 8 + 3, instruction.jf)
      view.setUint32(i * 8 + 4, instruction.k, true)
    }
    return bytes
  }
  /** Instructions that do not jump go on with their neighbour, so `next` must become that. */
  function plain(code: number, k: number, next: Label): Label {
    if (distance(next) > 0) emit(BPF.JUMP, distance(next))
    return emit(code, k)
  }
  return {
    ret,
    jump,
    load: (offset, next) => plain(BPF.LOAD, offset, next),
    and: (mask, next) => plain(BPF.AND, mask, next),
    finish,
  }
}
