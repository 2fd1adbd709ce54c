/** Looks at running groups: who is in them, whether they are frozen. File reads only. */
import { existsSync } from 'node:fs'
import { readFile, readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../base/errors.ts'
import { groupFolder } from './cgroup-layout.ts'
import type { CgroupLayout } from './cgroup-layout.ts'

const gone = (error: unknown): boolean => ['ENOENT', 'ENODEV'].includes(errnoOf(error) ?? '')

/** Sub-folders, deepest first, then the folder itself. Empty when it is gone. */
async function tree(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (gone(error)) return undefined
    throw error
  })
  if (entries === undefined) return []
  const below = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map((entry) => tree(join(folder, entry.name))),
  )
  return [...below.flat(), folder]
}

/**
 * All pids of a container's group and of the groups it made inside, as the reader's PID namespace has them.
 */
export async function pidsIn(layout: CgroupLayout, path: string): Promise<number[]> {
  const folders = await tree(groupFolder(layout, 'pids', path))
  const lists = await Promise.all(folders.map(pidsOf))
  return [...new Set(lists.flat())].toSorted((a, b) => a - b)
}

/** cgroup.procs of a group with threads (v2) cannot be read; its threads' processes are listed above it. */
async function pidsOf(folder: string): Promise<number[]> {
  try {
    const text = await readFile(join(folder, 'cgroup.procs'), 'utf8')
    return text.split('\n').filter(Boolean).map(Number)
  } catch (error) {
    if (gone(error) || errnoOf(error) === 'EOPNOTSUPP') return []
    throw error
  }
}

/** Whether all of the group is frozen; after `freezeWrites` this takes the kernel a moment. */
export async function isFrozen(layout: CgroupLayout, path: string): Promise<boolean> {
  const folder = groupFolder(layout, 'freezer', path)
  if (layout.controllers.has('freezer'))
    return (await readFile(`${folder}/freezer.state`, 'utf8')).trim() === 'FROZEN'
  return /^frozen 1$/m.test(await readFile(`${folder}/cgroup.events`, 'utf8'))
}

/** Whether nobody wants it frozen, and it is not on its way there. */
export async function isThawed(layout: CgroupLayout, path: string): Promise<boolean> {
  const folder = groupFolder(layout, 'freezer', path)
  const [file, word] = layout.controllers.has('freezer')
    ? ['freezer.state', 'THAWED']
    : ['cgroup.freeze', '0']
  return (await readFile(`${folder}/${file}`, 'utf8')).trim() === word
}

/**
 * Removes a container's groups with those it made inside, as far as the plan's `rmdir` has left any (a killed
 * shim's). Processes must be gone. Nearly always there is nothing left: to see that takes 0.02 ms for all trees, to find
 * it out by asynchronous readdir(3) took 0.8 ms of the engine's time after each run.
 */
export async function removeTree(layout: CgroupLayout, path: string): Promise<void> {
  const roots = [
    ...new Set(layout.controllers.values()),
    ...(layout.unified === undefined ? [] : [`${layout.unified}${layout.base}`]),
  ]
  for (const top of roots.map((root) => `${root}${path}`).filter((folder) => existsSync(folder))) {
    for (const folder of await tree(top)) {
      await rmdir(folder).catch((error: unknown) => {
        if (!gone(error)) throw error
      })
    }
  }
}
