import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../../src/base/errors.ts'

const TOP = '/sys/fs/cgroup'

/**
 * Removes control groups that a client named as a parent, or a peer made as one, from all trees: they belong to nobody's
 * container, and no engine removes them. Inner ones first; one that somebody else has groups in stays.
 */
export async function removeParentGroups(...groups: readonly string[]): Promise<void> {
  for (const tree of ['.', ...(await readdir(TOP))])
    for (const group of groups)
      await rmdir(join(TOP, tree, group)).catch((error: unknown) => {
        if (!['ENOENT', 'ENOTDIR', 'EBUSY', 'ENOTEMPTY'].includes(String(errnoOf(error)))) throw error
      })
}
