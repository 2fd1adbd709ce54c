/**
 * How a bind mount's source is handed to a container with ids of its own. The kernel maps the ids of a whole
 * tree or of nothing (mount_setattr(2)), and some file systems cannot be mapped at all: those among the tree
 * (/proc in `-v /:/host:ro`, say) are mounted one by one, as they are. Pure.
 */

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

interface HostMount {
  readonly id: string
  readonly parent: string
  readonly path: string
  readonly type: string
}

/** `source`: absolute, without symlinks. `mountinfo`: the host's /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export function bindParts(mountinfo: string, source: string, recursive: boolean): BindPart[] {
  const all = mountinfo.split('\n').flatMap(parseLine)
  const top = all.reduce<HostMount | undefined>((best, mount) => {
    if (!contains(mount.path, source)) return best
    // Of several at one place the last one is on top.
    return best === undefined || mount.path.length >= best.path.length ? mount : best
  }, undefined)
  if (top === undefined) return [{ source, below: '', recursive, idmap: true }]
  // An unknown type is tried: the kernel's refusal comes back as the start's error.
  if (KERNEL.has(top.type)) return [{ source, below: '', recursive, idmap: false }]
  const children = recursive ? visibleBelow(all, top).filter((mount) => contains(source, mount.path)) : []
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
    .filter((one) => !children.some((other) => other.path !== one.path && contains(other.path, one.path)))
    .map((one) => topmost(all, one))
}

function topmost(all: readonly HostMount[], mount: HostMount): HostMount {
  const over = all.find((one) => one.parent === mount.id && one.path === mount.path && one.id !== mount.id)
  return over === undefined ? mount : topmost(all, over)
}

/** "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw": the type stands behind the lone dash. */
function parseLine(line: string): HostMount[] {
  const [id, parent, , , path, ...rest] = line.split(' ')
  const type = rest[rest.indexOf('-') + 1]
  if (id === undefined || parent === undefined || path === undefined || type === undefined) return []
  const plain = path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
  return [{ id, parent, path: plain, type }]
}

function contains(folder: string, path: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`)
}
