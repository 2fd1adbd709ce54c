import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '../../src/base/errors.ts'

const TOP = '/sys/fs/cgroup'
/** Processes that were just killed hold their group for a moment; a group that somebody else uses stays. */
const PATIENCE = 3000

/**
 * Removes control groups that a client named as a parent, or a peer made as one, from all trees: they belong to nobody's
 * container, and no engine removes them. Inner ones first.
 */
export async function removeParentGroups(...groups: readonly string[]): Promise<void> {
  const deadline = performance.now() + PATIENCE
  for (const tree of ['.', ...(await readdir(TOP))])
    for (const group of groups) while (!(await remove(join(TOP, tree, group), deadline))) await sleep(20)
}

/** Whether it is gone, or is not to be waited for any longer. */
async function remove(path: string, deadline: number): Promise<boolean> {
  try {
    await rmdir(path)
    return true
  } catch (error) {
    const errno = errnoOf(error) ?? ''
    if (['ENOENT', 'ENOTDIR'].includes(errno)) return true
    if (['EBUSY', 'ENOTEMPTY'].includes(errno)) return performance.now() > deadline
    throw error
  }
}
