/**
 * Runs a classic BPF program over struct seccomp_data as the kernel would. For tests and for measuring how
 * many instructions a call takes; nothing that protects depends on it.
 */
import { BPF } from './bpf-program.ts'

export interface SeccompData {
  /** AUDIT_ARCH_* */
  readonly arch: number
  readonly nr: number
  /** Six 64-bit values. */
  readonly args: readonly bigint[]
}

/**
 * `loads`: offsets read. The kernel answers calls whose verdict needs only nr (0) and arch (4) from a bitmap.
 */
export interface Verdict {
  readonly value: number
  readonly instructions: number
  readonly loads: readonly number[]
}

/** Throws RangeError where the kernel's checker would refuse the program. */
export function interpretBpf(program: Uint8Array, data: SeccompData): Verdict {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength)
  const words = seccompData(data)
  const loads: number[] = []
  let a = 0
  let pc = 0
  for (let instructions = 1; instructions <= 4096; instructions++) {
    if (pc * 8 + 8 > program.byteLength) throw new RangeError(`no instruction at ${pc}`)
    const code = view.getUint16(pc * 8, true)
    const k = view.getUint32(pc * 8 + 4, true)
    pc++
    if (code === BPF.RETURN) return { value: k, instructions, loads }
    if (code === BPF.LOAD) {
      if (k % 4 !== 0 || k >= 64) throw new RangeError(`load from ${k}`)
      loads.push(k)
      a = words.getUint32(k, true)
    } else if (code === BPF.AND) a = (a & k) >>> 0
    else if (code === BPF.JUMP) pc += k
    else pc += view.getUint8((pc - 1) * 8 + (holds(code, a, k) ? 2 : 3))
  }
  throw new RangeError('the program does not end')
}

function holds(code: number, a: number, k: number): boolean {
  if (code === BPF.EQUAL) return a === k
  if (code === BPF.GREATER) return a > k
  if (code === BPF.GREATER_EQUAL) return a >= k
  throw new RangeError(`unknown instruction ${code}`)
}

function seccompData(data: SeccompData): DataView {
  const view = new DataView(new ArrayBuffer(64))
  view.setUint32(0, data.nr, true)
  view.setUint32(4, data.arch, true)
  for (let i = 0; i < 6; i++) view.setBigUint64(16 + 8 * i, data.args[i] ?? 0n, true)
  return view
}
