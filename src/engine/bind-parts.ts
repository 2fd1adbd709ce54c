/**
 * How a bind mount's source is handed to a container with ids of its own. The kernel maps the ids of a whole
 * tree or of nothing (mount_setattr(2)), and some file systems cannot be mapped at all: those among the tree
 * (/proc in `-v /:/host:ro`, say) are mounted one by one, as they are. Pure.
 */
import { isWithin, mountOf, parseMountinfo, type HostMount } from '../base/mountinfo.ts'

export interface BindPart {
  readonly source: string
  /** The path below the mount's destination: "" or "/proc". */
  readonly below: string
  readonly recursive: boolean
  /** Without it the files keep the host's ids, none of which exists inside: all belong to nobody. */
  readonly idmap: boolean
}

/** Those with FS_ALLOW_IDMAP in their kernel code (Linux 6.18). */
const MAPPED = new Set([
  ...['bcachefs', 'btrfs', 'ceph', 'erofs', 'exfat', 'ext4', 'f2fs', 'msdos', 'ntfs3', 'ramfs', 'squashfs'],
  ...['tmpfs', 'vfat', 'xfs', 'zfs'],
])

/** The kernel's own, whose files stand for things of the host: they belong to the host's root in any case. */
const KERNEL = new Set([
  ...['autofs', 'binfmt_misc', 'bpf', 'cgroup', 'cgroup2', 'configfs', 'debugfs', 'devpts', 'devtmpfs'],
  ...['efivarfs', 'fusectl', 'mqueue', 'nsfs', 'proc', 'pstore', 'rpc_pipefs', 'securityfs', 'selinuxfs'],
  ...['sysfs', 'tracefs'],
])

/** `source`: absolute, without symlinks. `mountinfo`: the host's /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export function bindParts(mountinfo: string, source: string, recursive: boolean): BindPart[] {
  const all = parseMountinfo(mountinfo)
  const top = mountOf(all, source)
  if (top === undefined) return [{ source, below: '', recursive, idmap: true }]
  // An unknown type is tried: the kernel's refusal comes back as the start's error.
  if (KERNEL.has(top.type)) return [{ source, below: '', recursive, idmap: false }]
  const children = recursive ? visibleBelow(all, top).filter((mount) => isWithin(source, mount.path)) : []
  return split({ ...top, path: source }, children, all, source)
}

function split(
  mount: HostMount,
  children: readonly HostMount[],
  all: readonly HostMount[],
  source: string,
): BindPart[] {
  const part = {
    source: mount.path,
    below: mount.path.slice(source === '/' ? 0 : source.length).replace(/^\/$/, ''),
  }
  if (mount.path !== source && !MAPPED.has(mount.type)) return [{ ...part, recursive: true, idmap: false }]
  const below = children.map((child) => split(child, visibleBelow(all, child), all, source))
  if (below.every((parts) => parts.length === 1 && parts[0]?.idmap === true)) {
    return [{ ...part, recursive: children.length > 0, idmap: true }]
  }
  return [{ ...part, recursive: false, idmap: true }, ...below.flat()]
}

/** The mounts directly on `mount` that a path still leads to: the topmost at each place, none under another. */
function visibleBelow(all: readonly HostMount[], mount: HostMount): HostMount[] {
  const children = all.filter((one) => one.parent === mount.id && one.id !== mount.id)
  return children
    .filter((one) => !children.some((other) => other.path !== one.path && isWithin(other.path, one.path)))
    .map((one) => topmost(all, one))
}

function topmost(all: readonly HostMount[], mount: HostMount): HostMount {
  const over = all.find((one) => one.parent === mount.id && one.path === mount.path && one.id !== mount.id)
  return over === undefined ? mount : topmost(all, over)
}
