/** Encodes a plan for the native core: the counterpart of native/plan.c, little endian throughout. */
import { uptime } from 'node:os'
import { DewarError } from '../base/errors.ts'
import { execStrings } from './encode-exec.ts'
import { lendingLine } from './lent-sockets.ts'
import { answersTo, socketAddress, socketNumbers } from './encode-network.ts'
import { u32 } from './frames.ts'
import type { Action, Actor, Plan, Slot, Step } from './plan.ts'

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
}

const operationOf = (op: Action['op'] | 'shim'): Operation => (isAlso(op) ? ALSO[op] : op)
const isAlso = (op: string): op is keyof typeof ALSO => Object.hasOwn(ALSO, op)

/** For parent steps: the folder of the waiting child in /proc (native/plan.h CHILD_SLOT). */
export const CHILD_SLOT = 254

/** "No slot", "no uid": all bits set. */
const NONE = 0xffff_ffff_ffff_ffffn
const CLONE_INTO_CGROUP = 2 ** 33
const MOUNT_ATTR_IDMAP = 0x10_0000
const MS_REC = 0x4000
/** Commands of fsconfig(2). */
const FSCONFIG = { flag: 0, string: 1, fd: 5 } as const

type Text = string | Uint8Array
/** How a shim keeps a process: the last step of a plan that a shim carries out (shim.ts). */
export interface ShimStep {
  readonly actor: 'host'
  readonly op: 'shim'
  readonly numbers: readonly number[]
  readonly texts: readonly string[]
}
interface Encoded {
  readonly numbers: readonly (number | bigint)[]
  /** What the kernel takes as an array, as numbers behind the others, where it lies aligned: 8-byte instructions, groups. */
  readonly array?: Uint8Array
  readonly texts: readonly Text[]
}

const or = (value: number | undefined): number | bigint => value ?? NONE
const bit = (value: boolean | undefined): number => (value === true ? 1 : 0)
/** The numbers and texts of one step, in the order native/steps.c expects. */
function encodeAction(s: Action): Encoded {
  switch (s.op) {
    case 'open':
      return { numbers: [or(s.at), s.slot, s.flags, s.mode ?? 0], texts: [s.path] }
    case 'write':
      return { numbers: [or(s.at), bit(s.optional)], texts: [s.path, s.data] }
    case 'mkdir':
      return { numbers: [or(s.at), s.mode, or(s.uid), or(s.gid)], texts: [s.path] }
    case 'mknod':
      return { numbers: [or(s.at), s.mode, s.major, s.minor, or(s.uid), or(s.gid)], texts: [s.path] }
    case 'symlink':
      return { numbers: [or(s.at), or(s.uid), or(s.gid)], texts: [s.path, s.target] }
    case 'rmdir':
      return { numbers: [or(s.at)], texts: [s.path] }
    case 'fsmount':
      return {
        numbers: [s.slot, s.attrs, ...s.options.flatMap(([, value]) => mountOption(value))],
        texts: [s.type, ...s.options.flatMap(([key, v]) => [key, typeof v === 'string' ? v : ''])],
      }
    case 'clone-mount':
      return { numbers: [or(s.at), s.slot, bit(s.recursive)], texts: [s.path] }
    case 'mount-attr': {
      const set = s.userns === undefined ? s.set : s.set | MOUNT_ATTR_IDMAP
      const numbers = [s.slot, set, s.clear, s.propagation ?? 0, or(s.userns), bit(s.recursive)]
      return { numbers, texts: [''] }
    }
    case 'attach-mount':
      return { numbers: [or(s.at), s.slot, bit(s.create)], texts: [s.path] }
    case 'cover':
      return {
        numbers: [or(s.at), s.attrs, bit(s.optional), or(s.by?.folder), or(s.by?.file)],
        texts: [s.path],
      }
    case 'umount':
      return { numbers: [s.flags], texts: [s.path] }
    case 'netlink': {
      const pids = s.pidAt ?? []
      const numbers = [s.protocol, bit(s.emit), answersTo(s.data), pids.length, ...pids, ...(s.ignore ?? [])]
      return { numbers, texts: [s.data] }
    }
    case 'reserve-port':
      return {
        numbers: socketNumbers(s.protocol, s.address, s.port),
        texts: [
          socketAddress(s.address, s.port),
          s.lendAs === undefined ? '' : lendingLine(s.protocol, s.lendAs),
        ],
      }
    case 'exec':
      return execStrings(s)
    case 'read':
      return { numbers: [or(s.at), s.max], texts: [s.path] }
    default:
      return encodeProcessAction(s)
  }
}

/** The command of fsconfig(2) for an option, and a slot. */
function mountOption(value: string | { readonly slot: Slot } | undefined): readonly (number | bigint)[] {
  if (value === undefined) return [FSCONFIG.flag, NONE]
  return typeof value === 'string' ? [FSCONFIG.string, NONE] : [FSCONFIG.fd, value.slot]
}

/** gid_t[], and with an odd one out four bytes more. */
function groupArray(groups: readonly number[]): Uint8Array {
  return u32(...groups, ...(groups.length % 2 === 0 ? [] : [0]))
}

type Placed = 'open' | 'write' | 'mkdir' | 'mknod' | 'symlink' | 'rmdir' | 'fsmount' | 'clone-mount'
type Shaped =
  | 'mount-attr'
  | 'attach-mount'
  | 'cover'
  | 'umount'
  | 'netlink'
  | 'reserve-port'
  | 'exec'
  | 'read'
type ProcessAction = Exclude<Action, { readonly op: Placed | Shaped }>

function encodeProcessAction(s: ProcessAction): Encoded {
  switch (s.op) {
    case 'pack':
      return { numbers: [], texts: [s.path] }
    case 'propagation':
      return { numbers: [NONE, 0, 0, s.flags & ~MS_REC, NONE, bit((s.flags & MS_REC) !== 0)], texts: ['/'] }
    case 'unshare':
    case 'sibling':
      return { numbers: [s.flags], texts: [] }
    case 'pivot':
    case 'join':
      return { numbers: [s.slot], texts: [] }
    case 'clone':
      return {
        numbers: [s.flags + (s.cgroup === undefined ? 0 : CLONE_INTO_CGROUP), or(s.cgroup), or(s.owner)],
        texts: [],
      }
    case 'idmap':
      return { numbers: [CHILD_SLOT, 0], texts: ['gid_map', s.gid, 'uid_map', s.uid] }
    case 'open-ns':
      return { numbers: [s.slot], texts: [`ns/${s.kind}`] }
    case 'setns':
      return { numbers: [s.slot, s.flags], texts: [] }
    case 'clock-offsets':
      return { numbers: [NONE, 0], texts: ['/proc/self/timens_offsets', s.zero ? atNought() : s.offsets] }
    case 'hostname':
    case 'domainname':
      return { numbers: [], texts: [s.name] }
    case 'rlimit':
      return { numbers: [s.resource, s.soft, s.hard], texts: [] }
    case 'user':
      return { numbers: [s.uid, s.gid, s.groups.length], array: groupArray(s.groups), texts: [] }
    case 'caps':
      return { numbers: [s.bounding, s.held], texts: [] }
    case 'no-new-privs':
    case 'unpack':
      return { numbers: [], texts: [] }
    case 'seccomp':
      return { numbers: [s.flags], array: s.filter, texts: [] }
    case 'chdir':
      return { numbers: [bit(s.create)], texts: [s.path] }
    case 'device-program':
      return { numbers: [s.slot], array: s.program, texts: [] }
    case 'oom-score':
      return { numbers: [CHILD_SLOT, 0], texts: ['oom_score_adj', String(s.score)] }
    case 'tty':
      return { numbers: [s.rows, s.cols, bit(s.console)], texts: [] }
  }
}

/** Offsets that make the clocks of a new time namespace start at nought, in whole seconds as the kernel wants them. */
function atNought(): string {
  const monotonic = process.hrtime.bigint() / 1_000_000_000n
  return `monotonic -${monotonic} 0\nboottime -${Math.floor(uptime())} 0\n`
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

const NOTHING = new Uint8Array()

/**
 * The bytes of a plan: "DWR1", u32 count, and per step actor and op (u8 each), counts of numbers and texts
 * (u16 each), numbers (u64), texts (u32 length, bytes, a zero byte).
 */
export function encodePlan(plan: Plan, shim?: ShimStep): Buffer {
  const steps = [...plan.steps, ...(shim === undefined ? [] : [shim])].map((step: Step | ShimStep) => ({
    step,
    encoded: checked(step.op, step.op === 'shim' ? step : encodeAction(step)),
  }))
  let most = 8
  for (const { encoded } of steps) {
    most += 6 + countOf(encoded) * 8
    for (const text of encoded.texts) most += 5 + mostBytes(text)
  }
  // All zeroes: of most numbers the upper half need not be written, nor the byte behind a text. By DataView, since
  // Buffer's setters check each argument in JavaScript: 0.08 ms for a plan of 182 steps instead of 0.10.
  const out = Buffer.alloc(most)
  const view = new DataView(out.buffer, out.byteOffset, most)
  out.write('DWR1', 0, 'latin1')
  view.setUint32(4, steps.length, true)
  let at = 8
  for (const { step, encoded } of steps) {
    out[at] = ACTORS[step.actor]
    out[at + 1] = OPCODES[operationOf(step.op)]
    view.setUint16(at + 2, countOf(encoded), true)
    view.setUint16(at + 4, encoded.texts.length, true)
    at += 6
    for (const n of encoded.numbers) {
      if (typeof n === 'number' && n >= 0 && n <= 0xffff_ffff) view.setUint32(at, n, true)
      else view.setBigUint64(at, BigInt.asUintN(64, BigInt(n)), true)
      at += 8
    }
    out.set(encoded.array ?? NOTHING, at)
    at += encoded.array?.length ?? 0
    for (const text of encoded.texts) {
      const length = typeof text === 'string' ? out.write(text, at + 4) : text.length
      if (typeof text !== 'string') out.set(text, at + 4)
      view.setUint32(at, length, true)
      at += 5 + length
    }
  }
  return out.subarray(0, at)
}
