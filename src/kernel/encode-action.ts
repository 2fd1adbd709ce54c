/** One action of a plan as the numbers and texts that the native core takes. */
import { uptime } from 'node:os'
import { execStrings } from './encode-exec.ts'
import { answersTo, socketAddress, socketNumbers } from './encode-network.ts'
import { u32 } from './frames.ts'
import { lendingLine } from './lent-sockets.ts'
import type { Action, Slot } from './plan.ts'

/** For parent steps: the folder of the waiting child in /proc (native/plan.h CHILD_SLOT). */
export const CHILD_SLOT = 254

/** "No slot", "no uid": all bits set. */
const NONE = 0xffff_ffff_ffff_ffffn
const CLONE_INTO_CGROUP = 2 ** 33
const MOUNT_ATTR_IDMAP = 0x10_0000
const MS_REC = 0x4000
/** Commands of fsconfig(2). */
const FSCONFIG = { flag: 0, string: 1, fd: 5 } as const

export type Text = string | Uint8Array
export interface Encoded {
  readonly numbers: readonly (number | bigint)[]
  /** What the kernel takes as an array, as numbers behind the others, where it lies aligned: 8-byte instructions, groups. */
  readonly array?: Uint8Array
  readonly texts: readonly Text[]
}

const or = (value: number | undefined): number | bigint => value ?? NONE
const bit = (value: boolean | undefined): number => (value === true ? 1 : 0)
/** The numbers and texts of one step, in the order native/steps.c expects. */
export function encodeAction(s: Action): Encoded {
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
      return { numbers: [bit(s.alone === true)], texts: [s.path] }
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
      return { numbers: [CHILD_SLOT, 0], texts: ['timens_offsets', s.zero ? atNought() : s.offsets] }
    case 'hostname':
    case 'domainname':
      return { numbers: [], texts: [s.name] }
    case 'rlimit':
      return { numbers: [s.resource, s.soft, s.hard], texts: [] }
    case 'user':
      return { numbers: [s.uid, s.gid, s.groups.length], array: groupArray(s.groups), texts: [] }
    case 'caps':
      return { numbers: [s.bounding, s.held], texts: [] }
    case 'gate':
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
