/** A plan in words, one line a step, for `dewar plan`. */
import { capabilityNames } from './capabilities.ts'
import type { Action, Plan, Step } from './plan.ts'

/** Who carries a step out, as people read it. */
const WHO: Readonly<Record<Step['actor'], string>> = {
  host: 'host',
  parent: 'parent',
  guest: 'guest',
  after: 'at end',
}

const CLONE_NAMES: readonly (readonly [flag: number, name: string])[] = [
  [0x80, 'time'],
  [0x2_0000, 'mount'],
  [0x200_0000, 'cgroup'],
  [0x400_0000, 'uts'],
  [0x800_0000, 'ipc'],
  [0x1000_0000, 'user'],
  [0x2000_0000, 'pid'],
  [0x4000_0000, 'network'],
]

const ATTR_NAMES: readonly (readonly [flag: number, name: string])[] = [
  [0x1, 'ro'],
  [0x2, 'nosuid'],
  [0x4, 'nodev'],
  [0x8, 'noexec'],
  [0x10, 'noatime'],
  [0x20, 'strictatime'],
  [0x80, 'nodiratime'],
  [0x20_0000, 'nosymfollow'],
]

const PROPAGATION_NAMES: readonly (readonly [flag: number, name: string])[] = [
  [0x2_0000, 'unbindable'],
  [0x4_0000, 'private'],
  [0x8_0000, 'slave'],
  [0x10_0000, 'shared'],
]

const names = (flags: number, table: readonly (readonly [number, string])[]): string =>
  table
    .filter(([flag]) => (flags & flag) !== 0)
    .map(([, name]) => name)
    .join(', ')

const octal = (mode: number): string => `0${(mode & 0o7777).toString(8)}`
const inside = (s: { readonly at?: number; readonly path: string; readonly within?: string }): string =>
  s.at === undefined ? s.path : `${s.within ?? ''}${s.path} in #${s.at}`
const shown = (data: string | Uint8Array): string =>
  typeof data === 'string' ? JSON.stringify(data) : `${data.length} bytes`

/** "guest   mount proc on /proc" … */
export function describePlan(plan: Plan): string[] {
  return plan.steps.map((step) => `${WHO[step.actor].padEnd(7)} ${describeStep(step)}`)
}

export function describeStep(s: Action): string {
  switch (s.op) {
    case 'open':
      return `open ${inside(s)} as #${s.slot}`
    case 'write':
      return `write ${shown(s.data)} to ${inside(s)}${s.optional === true ? ' (if it can be)' : ''}`
    case 'mkdir':
      return `make the folder ${inside(s)} ${octal(s.mode)}`
    case 'mknod':
      return `make the device ${inside(s)} ${s.major}:${s.minor} ${octal(s.mode)}`
    case 'symlink':
      return `link ${inside(s)} to ${s.target}`
    case 'rmdir':
      // writableStep in src/isolation/namespaces/rootfs.ts
      return s.path.length > 255 ? `check that #${s.at} can be written to` : `remove the folder ${inside(s)}`
    case 'fsmount':
      return `make a mount of ${s.type} as #${s.slot}${describeOptions(s.options, s.attrs)}`
    case 'clone-mount':
      return `take ${inside(s)} as mount #${s.slot}${s.recursive ? ' with all below it' : ''}`
    case 'mount-attr':
      return `set #${s.slot} ${describeAttr(s)}`
    case 'attach-mount':
      return `mount #${s.slot} on ${inside(s)}`
    case 'cover':
      return s.by === undefined ? `make ${inside(s)} ${names(s.attrs, ATTR_NAMES)}` : `hide ${inside(s)}`
    case 'umount':
      return `unmount ${s.path}`
    case 'propagation':
      return `let mounts of the host ${(s.flags & 0x4_0000) !== 0 ? 'and the guest stay apart' : 'propagate'}`
    case 'pivot':
      return `make #${s.slot} the root; the old root is gone`
    case 'read':
      return `read up to ${s.max} bytes of ${inside(s)}`
    case 'pack':
      return s.alone === true ? `describe ${s.path}` : `read the files under ${s.path}`
    case 'unpack':
      return 'unpack the files that come in'
    case 'netlink':
      return `network: ${s.why}`
    case 'reserve-port':
      return s.lendAs === undefined
        ? `keep ${s.protocol} port ${s.port} from everyone else`
        : `hand the engine a socket at ${s.protocol} port ${s.port}`
    default:
      return describeProcessStep(s)
  }
}

function describeOptions(options: Extract<Action, { op: 'fsmount' }>['options'], attrs: number): string {
  const words = options.map(([key, value]) => {
    if (value === undefined) return key
    return typeof value === 'string' ? `${key}=${value}` : `${key}=#${value.slot}`
  })
  const all = [names(attrs, ATTR_NAMES), ...words].filter((word) => word !== '')
  return all.length === 0 ? '' : ` (${all.join(', ')})`
}

function describeAttr(s: Extract<Action, { op: 'mount-attr' }>): string {
  const parts = [names(s.set, ATTR_NAMES)]
  if (s.userns !== undefined) parts.push(`ids mapped by the user namespace #${s.userns}`)
  if (s.propagation !== undefined) parts.push(names(s.propagation, PROPAGATION_NAMES))
  return parts.filter((part) => part !== '').join(', ')
}

type FileAction = Extract<Action, { readonly path: string }>
type ProcessAction = Exclude<
  Action,
  | FileAction
  | {
      readonly op: 'fsmount' | 'mount-attr' | 'propagation' | 'pivot' | 'unpack' | 'netlink' | 'reserve-port'
    }
>

function describeProcessStep(s: ProcessAction | Extract<Action, { op: 'chdir' }>): string {
  switch (s.op) {
    case 'clone':
      return `make the process with its own ${names(s.flags, CLONE_NAMES) || 'nothing'}${s.owner === undefined ? '' : `, owned by uid ${s.owner}`}`
    case 'gate':
      return 'wait: what is behind this may be decided later'
    case 'idmap':
      return `map its user ids ${s.uid.trim().replaceAll('\n', '; ')} and group ids ${s.gid.trim().replaceAll('\n', '; ')}`
    case 'open-ns':
      return `take its ${s.kind} namespace as #${s.slot}`
    case 'unshare':
      return `get an own ${names(s.flags, CLONE_NAMES)} namespace`
    case 'setns':
      return `enter the ${names(s.flags, CLONE_NAMES)} namespace of #${s.slot}`
    case 'sibling':
      return `let a sibling go on${s.flags === 0 ? '' : ` in an own ${names(s.flags, CLONE_NAMES)} namespace`}`
    case 'clock-offsets':
      return s.zero
        ? 'let its clocks start at nought'
        : `set its clocks: ${s.offsets.trim().replaceAll('\n', '; ')}`
    case 'join':
      return `join the cgroup #${s.slot}`
    case 'hostname':
      return `be named ${s.name}`
    case 'domainname':
      return `have the domain ${s.name}`
    case 'rlimit':
      return `limit resource ${s.resource} to ${s.soft} (${s.hard})`
    case 'oom-score':
      return `have the OOM score ${s.score}`
    case 'user':
      return `become user ${s.uid}:${s.gid}${s.groups.length > 0 ? ` with groups ${s.groups.join(', ')}` : ''}`
    case 'caps':
      return `keep the capabilities ${capabilityNames(s.bounding).join(', ') || 'none'}; check that no other comes back`
    case 'no-new-privs':
      return 'never gain privileges again'
    case 'seccomp':
      return `load the system call filter (${s.filter.length / 8} instructions)`
    case 'chdir':
      return `go to ${s.path}; check that it is inside the root`
    case 'device-program':
      return `guard the devices of the cgroup #${s.slot} (${s.program.length / 8} instructions)`
    case 'tty':
      return `get a terminal${s.rows > 0 ? ` of ${s.cols}×${s.rows}` : ''}`
    case 'exec':
      return `run ${s.init ? 'under a small init ' : ''}${JSON.stringify(s.argv)} with ${s.env.length} variables`
  }
}
