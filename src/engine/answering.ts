/**
 * File systems that somebody serves (FUSE, NFS …) keep whoever looks at them waiting as long as nobody does, in the kernel:
 * the engine's main thread, all of libuv's four threads, and the process that wants to exit and waits for those. So a
 * process of its own looks first, which can be killed. NOT kept from: one that
 * stops serving in the moment after that, and what /proc/PID/root and its like lead to.
 */
import { spawn } from 'node:child_process'
import { lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { mountOf, parseMountinfo, type HostMount } from '../base/mountinfo.ts'
import { DewarError, messageOf } from '../base/errors.ts'
import type { ResolvedMount } from './spec-mounts.ts'

/** Seconds. */
const PATIENCE = 10

/**
 * Of these nobody has to answer but the kernel and its disks (and what an overlay is made of); another type costs the look
 * of a process, 50 ms.
 */
const LOCAL = new Set([
  ...[
    'bcachefs',
    'binfmt_misc',
    'bpf',
    'btrfs',
    'cgroup',
    'cgroup2',
    'configfs',
    'debugfs',
    'devpts',
    'devtmpfs',
  ],
  ...[
    'efivarfs',
    'erofs',
    'exfat',
    'ext2',
    'ext3',
    'ext4',
    'f2fs',
    'fusectl',
    'hugetlbfs',
    'iso9660',
    'mqueue',
  ],
  ...['msdos', 'nsfs', 'ntfs3', 'overlay', 'proc', 'pstore', 'ramfs', 'rootfs', 'securityfs', 'selinuxfs'],
  ...['squashfs', 'sysfs', 'tmpfs', 'tracefs', 'udf', 'vfat', 'xfs', 'zfs'],
])
const isServed = ({ type }: HostMount): boolean => !LOCAL.has(type)

/** Not a folder of ours, so of a file system that may not take ids, or not answer. */
export const isForeign = ({ type, mounted }: Pick<ResolvedMount, 'type' | 'mounted'>): boolean =>
  type === 'bind' || mounted === true

/** To be asked before the sources of these mounts are looked at. */
export async function requireAnswers(
  mounts: readonly Pick<ResolvedMount, 'type' | 'mounted' | 'source'>[],
): Promise<void> {
  await requireAnswersAt(mounts.filter(isForeign).map(({ source }) => source))
}

export async function requireAnswersAt(paths: readonly string[]): Promise<void> {
  if (paths.length > 0) await Promise.all(servedPaths(paths).map(requireAnswer))
}

interface ServedPath {
  readonly path: string
  readonly mount: HostMount
}

function servedPaths(paths: readonly string[]): ServedPath[] {
  const table = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'))
  if (!table.some(isServed)) return []
  return paths.flatMap((path) => {
    const mount = servedBelow(table, path)
    return mount === undefined ? [] : [{ path, mount }]
  })
}

/** As the kernel does (path_resolution(7)). */
const MOST_LINKS = 40

/** Goes along the path, over symlinks, and stops before it would look at what is served. */
function servedBelow(table: readonly HostMount[], path: string): HostMount | undefined {
  let at = '/'
  let left = partsOf(path)
  for (let links = 0; links <= MOST_LINKS;) {
    const [name, ...rest] = left
    if (name === undefined) return undefined
    left = rest
    const next = name === '..' ? dirname(at) : join(at, name)
    const mount = mountOf(table, next)
    if (mount !== undefined && isServed(mount)) return mount
    const target = linkAt(next)
    if (target === undefined) at = next
    else {
      links += 1
      left = [...partsOf(target), ...rest]
      if (target.startsWith('/')) at = '/'
    }
  }
  return undefined
}

const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.')

function linkAt(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined
  } catch {
    return undefined
  }
}

/**
 * By mount: whether the last look was answered. One at a time, and none as long as a process hangs in one: what is served
 * by somebody who takes a request and then says nothing cannot be killed out of it.
 */
const looks = new Map<string, Promise<boolean>>()

async function requireAnswer({ path, mount: { id, path: mountpoint } }: ServedPath): Promise<void> {
  const before = looks.get(id) ?? Promise.resolve(true)
  const look = before.then((isAnswered) => isAnswered && answers(path, () => looks.delete(id)))
  looks.set(id, look)
  if (await look) {
    if (looks.get(id) === look) looks.delete(id)
    return
  }
  throw new DewarError(
    'system',
    `Looking at ${path} failed: the file system at ${mountpoint} has not answered for ${PATIENCE} s`,
    { remedy: 'see to who serves it, or unmount it (umount -l)' },
  )
}

/** Whatever the answer is. `gone`: who got none in time has ended after all. */
function answers(path: string, gone: () => void): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const look = ['-e', 'require("fs").statSync(process.argv[1])', path]
    const child = spawn(process.execPath, look, { stdio: 'ignore' })
    let isLate = false
    const tooLong = setTimeout(() => {
      isLate = true
      child.kill('SIGKILL')
      // Who hangs past being killed keeps nobody here.
      child.unref()
      resolve(false)
    }, PATIENCE * 1000)
    child.once('error', (cause) => {
      clearTimeout(tooLong)
      gone()
      reject(new DewarError('system', `Looking at ${path} failed: ${messageOf(cause)}`, { cause }))
    })
    child.once('exit', () => {
      clearTimeout(tooLong)
      if (isLate) gone()
      resolve(true)
    })
  })
}
