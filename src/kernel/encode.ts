/** Encodes a plan for the native core: the counterpart of native/plan.c, little endian throughout. */
import { DewarError } from '../base/errors.ts'
import { encodeAction, type Encoded, type Text } from './encode-action.ts'
import type { Action, Actor, Plan, Step } from './plan.ts'

const ACTORS: Readonly<Record<Actor, number>> = { host: 0, parent: 1, guest: 2, after: 3 }

/** What is another operation to the core. */
const ALSO = {
  idmap: 'write',
  'oom-score': 'write',
  'clock-offsets': 'write',
  propagation: 'mount-attr',
} as const

/** Operations of the core: those of plans, but for the ones that are `write` steps to it, and how a shim keeps a process. */
type Operation = Exclude<Action['op'], keyof typeof ALSO> | 'shim'

/** Numbers of the operations; a test compares them with the table in native/plan.h. */
export const OPCODES: Readonly<Record<Operation, number>> = {
  open: 1,
  write: 2,
  mkdir: 3,
  mknod: 4,
  symlink: 5,
  rmdir: 6,
  fsmount: 7,
  'clone-mount': 8,
  'mount-attr': 9,
  'attach-mount': 10,
  cover: 11,
  umount: 12,
  pivot: 13,
  clone: 14,
  'open-ns': 15,
  unshare: 16,
  setns: 17,
  join: 18,
  hostname: 19,
  domainname: 20,
  rlimit: 21,
  user: 22,
  caps: 23,
  'no-new-privs': 24,
  seccomp: 25,
  chdir: 26,
  netlink: 27,
  'reserve-port': 28,
  'device-program': 29,
  tty: 30,
  exec: 31,
  unpack: 32,
  pack: 33,
  read: 34,
  sibling: 35,
  shim: 36,
  gate: 37,
}

const operationOf = (op: Action['op'] | 'shim'): Operation => (isAlso(op) ? ALSO[op] : op)
const isAlso = (op: string): op is keyof typeof ALSO => Object.hasOwn(ALSO, op)

/** How a shim keeps a process: the last step of a plan that a shim carries out (shim.ts). */
export interface ShimStep {
  readonly actor: 'host'
  readonly op: 'shim'
  readonly numbers: readonly number[]
  readonly texts: readonly string[]
}
const countOf = ({ numbers, array }: Encoded): number => numbers.length + (array?.length ?? 0) / 8

/** A NUL would cut a path short in the core: /etc/passwd\0/harmless must not become /etc/passwd. */
function checked(op: string, encoded: Encoded): Encoded {
  const most = Math.max(countOf(encoded), encoded.texts.length)
  if (most > 0xffff) {
    throw new DewarError(
      'invalid-argument',
      `Encoding the step ${op} failed: ${most} arguments, at most 65535`,
    )
  }
  for (const text of encoded.texts) {
    if (typeof text !== 'string' || !text.includes('\0')) continue
    throw new DewarError(
      'invalid-argument',
      `Encoding the step ${op} failed: a NUL byte in ${JSON.stringify(text)}`,
    )
  }
  return encoded
}

/** A UTF-16 unit takes at most three bytes of UTF-8; to count them takes as long as to write them. */
const mostBytes = (text: Text): number => (typeof text === 'string' ? 3 * text.length : text.length)

/**
 * The bytes of a plan: "DWR1", u32 count, and per step actor and op (u8 each), counts of numbers and texts
 * (u16 each), numbers (u64), texts (u32 length, bytes, a zero byte).
 */
export function encodePlan(plan: Plan, shim?: ShimStep): Buffer {
  const steps = (shim === undefined ? plan.steps : [...plan.steps, shim]).map(encodedStep)
  let most = 8
  for (const step of steps) most += step instanceof Uint8Array ? step.length : mostOf(step)
  // All zeroes: of most numbers the upper half need not be written, nor the byte behind a text. By DataView, since
  // Buffer's setters check each argument in JavaScript: 0.08 ms for a plan of 182 steps instead of 0.10.
  const out = Buffer.alloc(most)
  const view = new DataView(out.buffer, out.byteOffset, most)
  out.write('DWR1', 0, 'latin1')
  view.setUint32(4, steps.length, true)
  let at = 8
  for (const step of steps) {
    if (step instanceof Uint8Array) out.set(step, at)
    at = step instanceof Uint8Array ? at + step.length : writeStep(step, out, view, at)
  }
  return out.subarray(0, at)
}

/** Of frozen steps, which many plans share. */
const known = new WeakMap<object, Uint8Array>()

function encodedStep(step: Step | ShimStep): EncodedStep | Uint8Array {
  const lasting = Object.isFrozen(step)
  const before = lasting ? known.get(step) : undefined
  if (before !== undefined) return before
  const whole = { step, encoded: checked(step.op, step.op === 'shim' ? step : encodeAction(step)) }
  if (!lasting) return whole
  const out = Buffer.alloc(mostOf(whole))
  const bytes = out.subarray(
    0,
    writeStep(whole, out, new DataView(out.buffer, out.byteOffset, out.length), 0),
  )
  known.set(step, bytes)
  return bytes
}

interface EncodedStep {
  readonly step: Step | ShimStep
  readonly encoded: Encoded
}

function mostOf({ encoded }: EncodedStep): number {
  let most = 6 + countOf(encoded) * 8
  for (const text of encoded.texts) most += 5 + mostBytes(text)
  return most
}

/** Where the next one begins. */
function writeStep({ step, encoded }: EncodedStep, out: Buffer, view: DataView, start: number): number {
  const { numbers, array, texts } = encoded
  out[start] = ACTORS[step.actor]
  out[start + 1] = OPCODES[operationOf(step.op)]
  view.setUint16(start + 2, countOf(encoded), true)
  view.setUint16(start + 4, texts.length, true)
  let at = start + 6
  for (const n of numbers) {
    if (typeof n === 'number' && n >= 0 && n <= 0xffff_ffff) view.setUint32(at, n, true)
    else view.setBigUint64(at, BigInt.asUintN(64, BigInt(n)), true)
    at += 8
  }
  if (array !== undefined) out.set(array, at)
  at += array?.length ?? 0
  for (const text of texts) {
    const length = typeof text === 'string' ? out.write(text, at + 4) : text.length
    if (typeof text !== 'string') out.set(text, at + 4)
    view.setUint32(at, length, true)
    at += 5 + length
  }
  return at
}
