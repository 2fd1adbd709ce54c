/**
 * What may be mounted over /proc, as runc has it (checkProcMount in its rootfs_linux.go): nothing but another procfs, and
 * over single files those that say how much of the machine there is. An image's VOLUME would otherwise decide what
 * programs read about themselves there.
 */
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { DewarError } from '../base/errors.ts'
import { parseMountinfo } from '../base/mountinfo.ts'
import type { ContainerRecord } from './record.ts'
import { START_FAILED } from './start-failure.ts'

/** What lxcfs, for example, gives a container instead of the host's. */
const ALLOWED: ReadonlySet<string> = new Set(
  [
    'cpuinfo',
    'diskstats',
    'meminfo',
    'stat',
    'swaps',
    'uptime',
    'loadavg',
    'slabinfo',
    'sys/kernel/ns_last_pid',
    'sys/crypto/fips_enabled',
  ].map((name) => `/proc/${name}`),
)

/** Throws, as a start does, by the words of the destination: a symlink of the image may still lead there. */
export function refuseProcMounts({ mounts }: Pick<ContainerRecord, 'mounts'>): void {
  for (const { source, destination } of mounts) {
    const at = posix.normalize(destination).replace(/(.)\/$/, '$1')
    const why =
      at === '/proc'
        ? !isProc(source) && 'it is not of type proc'
        : at.startsWith('/proc/') && !ALLOWED.has(at) && 'it is inside /proc'
    if (why === false) continue
    throw new DewarError(
      'system',
      `${START_FAILED}error mounting "${source}" to rootfs at "${at}": "${at}" cannot be mounted because ${why}: unknown`,
      { remedy: 'mount it elsewhere' },
    )
  }
}

/** Whether a procfs is mounted at this path of the host. */
function isProc(path: string): boolean {
  const mounts = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'))
  return mounts.some((mount) => mount.path === path && mount.type === 'proc')
}
