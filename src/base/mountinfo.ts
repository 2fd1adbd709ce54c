/** The kernel's table of mounts, /proc/self/mountinfo (proc_pid_mountinfo(5)). Pure. */

export interface HostMount {
  readonly id: string
  readonly parent: string
  /** Of its file system: "98:0". */
  readonly device: string
  /** Where it is mounted, without the table's escapes. */
  readonly path: string
  readonly type: string
  /** Takes part in the mounts of others: gives its own to them (`shared`), takes theirs (`master`), or neither. */
  readonly propagation: readonly ('shared' | 'master')[]
}

/** In the table's order: of several mounts at one place the last one is on top. */
export function parseMountinfo(text: string): HostMount[] {
  return text.split('\n').flatMap(parseLine)
}

/** "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw": the type stands behind the lone dash. */
function parseLine(line: string): HostMount[] {
  const [id, parent, device, , path, , ...rest] = line.split(' ')
  const dash = rest.indexOf('-')
  const type = rest[dash + 1]
  if (id === undefined || parent === undefined || device === undefined) return []
  if (path === undefined || type === undefined) return []
  const tags = rest.slice(0, dash)
  const propagation = (['shared', 'master'] as const).filter((word) =>
    tags.some((tag) => tag.startsWith(`${word}:`)),
  )
  const plain = path.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
  return [{ id, parent, device, path: plain, type, propagation }]
}

/** The mount that `path`, absolute and without symlinks, is in. */
export function mountOf(mounts: readonly HostMount[], path: string): HostMount | undefined {
  return mounts.reduce<HostMount | undefined>((best, mount) => {
    if (!isWithin(mount.path, path)) return best
    return best === undefined || mount.path.length >= best.path.length ? mount : best
  }, undefined)
}

/** Whether `path` is `folder` or lies in it; both absolute. */
export function isWithin(folder: string, path: string): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`)
}
