/** mount(8) words of an OCI mount → what the new mount API takes. */

/** MOUNT_ATTR_* of <linux/mount.h>. */
export const ATTR = {
  ro: 0x01,
  nosuid: 0x02,
  nodev: 0x04,
  noexec: 0x08,
  noatime: 0x10,
  strictatime: 0x20,
  nodiratime: 0x80,
  nosymfollow: 0x20_0000,
} as const

/** MS_PRIVATE */
export const PRIVATE = 0x4_0000
const PROPAGATION: Readonly<Record<string, number>> = {
  private: PRIVATE,
  slave: 0x8_0000,
  shared: 0x10_0000,
  unbindable: 0x2_0000,
}

const MS_REC = 0x4000

/** Words that take an earlier one back, as with mount(8): `--tmpfs /x:exec` opens what the engine's defaults close. */
const CLEARED: Readonly<Record<string, number>> = {
  rw: ATTR.ro,
  suid: ATTR.nosuid,
  dev: ATTR.nodev,
  exec: ATTR.noexec,
  atime: ATTR.noatime,
  diratime: ATTR.nodiratime,
}

/** Words that only say what is the default. */
const DEFAULTS = new Set(['relatime', 'norelatime', 'defaults', 'async'])
/** Words for others than the kernel: SELinux labels, consistency hints of Docker Desktop. */
const IGNORED = new Set(['z', 'Z', 'cached', 'delegated', 'consistent', 'nocopy', 'copy', 'tmpcopyup', 'rro'])

export interface MountWords {
  /** MOUNT_ATTR_* to set. */
  readonly attrs: number
  /** MS_PRIVATE … with recursion as `recursivePropagation`; undefined when not said. */
  readonly propagation: number | undefined
  readonly recursive: boolean
  readonly idmap: boolean
  /** The source is this path inside it, resolved there. */
  readonly subpath: string | undefined
  /** MOUNT_ATTR_* for the topmost mount of a tree alone. */
  readonly topAttrs: number
  /** key=value and flag options for the file system itself. */
  readonly data: readonly (readonly [key: string, value?: string])[]
}

export function mountWords(options: readonly string[]): MountWords {
  const data: [string, string?][] = []
  let attrs = 0
  let propagation: number | undefined
  let subpath: string | undefined
  for (const word of options) {
    if (word.startsWith('x-subpath=')) subpath = decodeURIComponent(word.slice('x-subpath='.length))
    else if (Object.hasOwn(ATTR, word)) attrs |= ATTR[word as keyof typeof ATTR]
    else if (Object.hasOwn(CLEARED, word)) attrs &= ~(CLEARED[word] ?? 0)
    else if (propagationOf(word) !== undefined) propagation = propagationOf(word)
    else if (
      !DEFAULTS.has(word) &&
      !IGNORED.has(word) &&
      !['bind', 'rbind', 'idmap', 'ridmap'].includes(word)
    ) {
      const at = word.indexOf('=')
      if (at < 0) data.push([word])
      else data.push([word.slice(0, at), word.slice(at + 1)])
    }
  }
  const top = options.includes('x-top-ro') ? attrs & ATTR.ro : 0
  return {
    attrs: attrs & ~top,
    topAttrs: top,
    subpath,
    propagation,
    recursive: options.includes('rbind'),
    idmap: options.includes('idmap') || options.includes('ridmap'),
    data,
  }
}

function propagationOf(word: string): number | undefined {
  return PROPAGATION[word] ?? (word.startsWith('r') ? PROPAGATION[word.slice(1)] : undefined)
}

/** For `propagation` steps over a whole tree: MS_REC added. */
export function treePropagation(word: string): number {
  return (propagationOf(word) ?? PROPAGATION['private'] ?? 0) | MS_REC
}
