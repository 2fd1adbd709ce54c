/**
 * File systems that somebody serves (FUSE, NFS …) keep whoever looks at them waiting as long as nobody does, in the kernel:
 * the engine's main thread, all of libuv's four threads, and the process that wants to exit and waits for those. So a
 * process of its own looks first, which can be killed. NOT kept from: one that stops serving in the moment after that, or
 * answers looks and no more (the engine makes the folder of a bind that is not there), and what /proc/PID/root and its like
 * lead to.
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
const LOCAL = new Set(
  `
  bcachefs binfmt_misc bpf btrfs cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs erofs exfat
  ext2 ext3 ext4 f2fs fusectl hugetlbfs iso9660 mqueue msdos nsfs ntfs3 overlay proc pstore ramfs
  rootfs securityfs selinuxfs squashfs sysfs tmpfs tracefs udf vfat xfs zfs
  `
    .trim()
    .split(/\s+/),
)
const isServed = ({ type }: HostMount): boolean => !LOCAL.has(type)

/** Not a folder of ours, so of a file system that may not take ids, or not answer. */
export const isForeign = ({ type, mounted }: Pick<ResolvedMount, 'type' | 'mounted'>): boolean =>
  type === 'bind' || mounted === true

export const foreignSources = (
  mounts: readonly Pick<ResolvedMount, 'type' | 'mounted' | 'source'>[],
): string[] => mounts.filter(isForeign).map(({ source }) => source)

/** To be asked before any of these paths is looked at. Throws `system` after 10 s, 20 where others look already. */
export async function requireAnswers(paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return
  const table = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'))
  if (!table.some(isServed)) return
  const looks = paths.flatMap((path) => {
    const mount = servedBelow(table, path)
    return mount === undefined ? [] : [requireAnswer(path, mount)]
  })
  await Promise.all(looks)
}

async function requireAnswer(path: string, { device, path: mountpoint }: HostMount): Promise<void> {
  const looks = looksOf.get(device) ?? new Looks()
  looksOf.set(device, looks)
  const failure = await looks.ask(path)
  if (failure === undefined) return
  throw new DewarError('system', `Looking at ${path}, served at ${mountpoint}, failed: ${failure}`, {
    remedy: 'see to who serves it, or unmount it (umount -l)',
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

/** undefined when all was looked at, whatever was found; otherwise why not. */
type Failure = string | undefined

interface Batch {
  readonly paths: Set<string>
  readonly failure: Promise<Failure>
  readonly settle: (failure: Failure | Promise<Failure>) => void
}

/**
 * Of one file system. One process looks at a time, the next one for all who came meanwhile; and none as long as one hangs:
 * out of who takes a request and then says nothing it cannot even be killed.
 */
class Looks {
  #isLooking = false
  #hangs: Failure
  #next: Batch | undefined

  ask(path: string): Promise<Failure> {
    if (this.#hangs !== undefined) return Promise.resolve(this.#hangs)
    this.#next ??= batch()
    this.#next.paths.add(path)
    const { failure } = this.#next
    // In a later turn: those of one request come together.
    if (!this.#isLooking) {
      this.#isLooking = true
      setImmediate(() => this.#lookNext())
    }
    return failure
  }

  #lookNext(): void {
    const next = this.#next
    this.#next = undefined
    this.#isLooking = next !== undefined
    if (next === undefined) return
    if (this.#hangs === undefined) next.settle(this.#look([...next.paths]))
    else next.settle(this.#hangs)
    void next.failure.then(() => this.#lookNext())
  }

  #look(paths: readonly string[]): Promise<Failure> {
    return new Promise<Failure>((resolve) => {
      const child = spawn(process.execPath, ['-e', LOOK, '--', ...paths], { stdio: 'ignore' })
      const tooLong = setTimeout(() => {
        this.#hangs = `it has not answered for ${PATIENCE} s`
        child.kill('SIGKILL')
        // Who hangs past being killed keeps nobody here.
        child.unref()
        resolve(this.#hangs)
      }, PATIENCE * 1000)
      const over = (failure: Failure): void => {
        clearTimeout(tooLong)
        this.#hangs = undefined
        resolve(failure)
      }
      child.once('error', (error) => over(error.message))
      child.once('exit', (code, signal) =>
        over(code === LOOKED ? undefined : `the process for it ended with ${signal ?? code}`),
      )
    }).catch(messageOf)
  }
}

function batch(): Batch {
  let settle: Batch['settle'] = () => undefined
  const failure = new Promise<Failure>((resolve) => (settle = resolve))
  return { paths: new Set(), failure, settle }
}

/** No other end of the process is an answer. */
const LOOKED = 42
const LOOK = `for (const path of process.argv.slice(1)) try { fs.statSync(path) } catch {} process.exit(${LOOKED})`

const looksOf = new Map<string, Looks>()
