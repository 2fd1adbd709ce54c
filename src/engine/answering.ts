/**
 * File systems that somebody serves (FUSE, NFS …) keep whoever looks at them waiting as long as nobody does, in the kernel:
 * the engine's main thread, all of libuv's four threads, and the process that wants to exit and waits for those. So a
 * process of its own looks first, which can be killed. NOT kept from: one that stops serving in the moment after that.
 */
import { spawn } from 'node:child_process'
import { lstatSync, readFileSync, readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { mountOf, parseMountinfo, type HostMount } from '../base/mountinfo.ts'
import { DewarError } from '../base/errors.ts'
import type { ResolvedMount } from './spec-mounts.ts'

/** Seconds. */
const PATIENCE = 10

/** Of these nobody has to answer but the kernel and its disks; another type costs the look of a process, 50 ms. */
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
const isServed = (mount: HostMount | undefined): boolean => mount !== undefined && !LOCAL.has(mount.type)

/** Not a folder of ours, so of a file system that may not take ids, or not answer. */
export const isForeign = ({ type, mounted }: Pick<ResolvedMount, 'type' | 'mounted'>): boolean =>
  type === 'bind' || mounted === true

/** To be asked before the sources of these mounts are looked at. */
export async function requireAnswers(
  mounts: readonly Pick<ResolvedMount, 'type' | 'mounted' | 'source'>[],
): Promise<void> {
  const sources = mounts.filter(isForeign).map(({ source }) => source)
  if (sources.length > 0) await Promise.all(servedPaths(sources).map(requireAnswer))
}

function servedPaths(paths: readonly string[]): readonly string[] {
  const table = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'))
  return table.some(isServed) ? paths.filter((path) => leadsToServed(table, path)) : []
}

/** As the kernel does. */
const MOST_LINKS = 40

/** Goes along the path, over symlinks, and stops before it would look at what is served. */
function leadsToServed(table: readonly HostMount[], path: string): boolean {
  let at = '/'
  let left = partsOf(path)
  for (let links = 0; links < MOST_LINKS;) {
    const [name, ...rest] = left
    if (name === undefined) return false
    left = rest
    const next = name === '..' ? dirname(at) : join(at, name)
    if (isServed(mountOf(table, next))) return true
    const target = linkAt(next)
    if (target === undefined) at = next
    else {
      links += 1
      left = [...partsOf(target), ...rest]
      if (target.startsWith('/')) at = '/'
    }
  }
  return false
}

const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.')

function linkAt(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined
  } catch {
    return undefined
  }
}

/** Those on their way, so that many requests for one path are one process. */
const asked = new Map<string, Promise<boolean>>()

async function requireAnswer(path: string): Promise<void> {
  const answer = asked.get(path) ?? answers(path).finally(() => asked.delete(path))
  asked.set(path, answer)
  if (await answer) return
  throw new DewarError(
    'system',
    `Looking at ${path} failed: its file system has not answered for ${PATIENCE} s`,
    { remedy: 'see to who serves it, or unmount it (umount -l)' },
  )
}

/** Whatever the answer is. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const look = ['-e', 'require("fs").statSync(process.argv[1])', path]
    const child = spawn(process.execPath, look, { stdio: 'ignore' })
    const tooLong = setTimeout(() => {
      child.kill('SIGKILL')
      // Who hangs past being killed keeps nobody here.
      child.unref()
      resolve(false)
    }, PATIENCE * 1000)
    const answered = (): void => {
      clearTimeout(tooLong)
      resolve(true)
    }
    child.once('error', answered)
    child.once('exit', answered)
  })
}
