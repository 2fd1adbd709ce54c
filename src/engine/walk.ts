/**
 * Walking a tree whose owner is hostile (a container's writable layer): every folder is opened without following
 * symlinks and everything below is named through its descriptor, so that no swap can lead the walk outside.
 */
import { constants, type Stats } from 'node:fs'
import { lstat, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Deeper trees hold a descriptor per level; nobody makes these but to do harm. */
const DEEPEST = 400

export type Visit = (path: string, info: Stats) => void | Promise<void>

/** Calls `visit` for everything below `folder`, parents first, with paths that begin with `/`. */
export async function walk(folder: string, visit: Visit): Promise<void> {
  await walkFolder(folder, '', visit, 0)
}

async function walkFolder(folder: string, path: string, visit: Visit, depth: number): Promise<void> {
  if (depth > DEEPEST) return
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
  // Gone or replaced since it was listed: nothing to see.
  const handle = await open(folder, flags).catch(() => undefined)
  if (handle === undefined) return
  try {
    const here = `/proc/self/fd/${handle.fd}`
    for (const name of (await readdir(here)).sort()) {
      const info = await lstat(join(here, name)).catch(() => undefined)
      if (info === undefined) continue
      await visit(`${path}/${name}`, info)
      if (info.isDirectory()) await walkFolder(join(here, name), `${path}/${name}`, visit, depth + 1)
    }
  } finally {
    await handle.close()
  }
}

/** Bytes of all files, hard links counted once. */
export async function treeSize(folder: string): Promise<number> {
  const linked = new Set<number>()
  let total = 0
  await walk(folder, (_, info) => {
    if (info.isDirectory() || (info.nlink > 1 && linked.has(info.ino))) return
    if (info.nlink > 1) linked.add(info.ino)
    total += info.size
  })
  return total
}
