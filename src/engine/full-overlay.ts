import { statfs } from 'node:fs/promises'
import { PlanFailed } from '../kernel/plan-failed.ts'
import { diskFull } from '../store/write-whole.ts'

/** Bytes; less is no room for a folder and what else its making takes. */
const LITTLE = 64 * 1024

/**
 * Why unpacking into a container that does not run failed. On a full disk its file system is mounted read-only (see
 * writableStep in src/isolation/namespaces/rootfs.ts), which here keeps nobody from reading, or from what is mounted in
 * it. EROFS then means the disk; but a symbolic link into what is read-only gives it as well, hence the look.
 */
export async function unpackCause(error: unknown, upper: string): Promise<unknown> {
  if (!(error instanceof PlanFailed) || error.errno !== 'EROFS') return error
  const { bavail, bsize, ffree } = await statfs(upper)
  return bavail * bsize < LITTLE || ffree === 0
    ? diskFull(`Unpacking ${JSON.stringify(error.path)}`, error)
    : error
}
