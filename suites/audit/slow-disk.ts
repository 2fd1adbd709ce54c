/** A disk that all containers of a target share, with one limit of writing: as if it were slow. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { WORK_FOLDER } from '../../src/audit/image.ts'
import { GUEST_ARGV, type Subject, type Target } from '../../src/audit/target.ts'
import { command } from '../harness/command.ts'
import { until } from '../harness/until.ts'
import { bundles, changed, type Workshop } from './weak-targets.ts'

/** Bytes of a second that all containers may write to the disk, together. */
const WRITING = 8 << 20

/** Has one limit of writing for all of its containers. */
export async function withOneSlowDisk(shop: Workshop): Promise<Target> {
  const disk = await mountDisk(shop)
  const group = slowGroup(shop, disk)
  return changed(
    await bundles(shop),
    (options) => {
      const source = mkdtempSync(join(disk, 'work-'))
      return { ...options, mounts: [...(options.mounts ?? []), { source, target: WORK_FOLDER }] }
    },
    (subject) => ({ ...subject, exec: (options) => execIn(group, subject, options) }),
  )
}

async function execIn(group: string, subject: Subject, options: Parameters<Subject['exec']>[0]) {
  const before = await subject.pids()
  const process_ = await subject.exec(options)
  const pids = await until('the command to run', async () => {
    const found = (await subject.pids()).filter((pid) => !before.includes(pid) && isGuest(pid))
    return found.length > 0 ? found : undefined
  })
  for (const pid of pids) writeFileSync(join(group, 'cgroup.procs'), String(pid))
  return process_
}

/** Not one of the stages of `runc exec`, which do not hand on their group once they have made the next one. */
function isGuest(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(GUEST_ARGV[0])
  } catch {
    return false // gone
  }
}

/**
 * Without a journal: with one, what is written by jbd2's thread, which is in no group, goes past the limit, and which
 * writes those are is a matter of luck (in 2 of 3 runs the victim was not slowed down in each round).
 */
async function mountDisk({ journal, scope }: Workshop): Promise<string> {
  const disk = join(journal.folder, 'slow-disk')
  const image = `${disk}.image`
  mkdirSync(disk)
  await command(['truncate', '-s', '64M', image], { check: true })
  await command(['mkfs.ext4', '-q', '-O', '^has_journal', '-m', '0', image], { check: true })
  await command(['mount', '-o', 'loop', image, disk], { check: true })
  scope.defer(() => command(['umount', disk], { check: true }))
  return disk
}

function slowGroup({ scope }: Workshop, disk: string): string {
  const { dev } = statSync(disk)
  // As makedev(3) puts them together.
  const device = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`
  const old = existsSync('/sys/fs/cgroup/blkio')
  const group = join(old ? '/sys/fs/cgroup/blkio' : '/sys/fs/cgroup', `dewar-red-${process.pid}`)
  mkdirSync(group)
  scope.defer(() => until('the group to be empty', () => rmdirQuietly(group)))
  const [file, words] = old
    ? (['blkio.throttle.write_bps_device', `${device} ${WRITING}`] as const)
    : (['io.max', `${device} wbps=${WRITING}`] as const)
  writeFileSync(join(group, file), words)
  return group
}

function rmdirQuietly(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch {
    return false
  }
}
