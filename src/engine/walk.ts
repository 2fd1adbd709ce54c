/**
 * Walking a tree whose owner is hostile (a container's writable layer): every folder is opened without following
 * symlinks and everything below is named through its descriptor, so that no swap can lead the walk outside.
 */
import { constants, type Stats } from 'node:fs'
import { lstat, open, readdir } from 'node:fs/promises'
import { DewarError } from '../base/errors.ts'
import { bytesOf, textOf } from '../store/ops.ts'

/** Deeper trees hold a descriptor per level; nobody makes these but to do harm. */
const DEEPEST = 400

/** `path`: a byte string (store/ops.ts), for names need not be UTF-8. */
export type Visit = (path: string, info: Stats) => void | Promise<void>

/**
 * Calls `visit` for everything below `folder`, parents first, with paths that begin with `/`. A folder too deep to be
 * looked into goes to `tooDeep`: unless told otherwise that is an error, for what is left out would be hidden.
 */
export async function walk(
  folder: string,
  visit: Visit,
  tooDeep: (path: string) => void = refuse,
): Promise<void> {
  await walkFolder(bytesOf(folder), '', { visit, tooDeep }, 0)
}

interface Walker {
  readonly visit: Visit
  readonly tooDeep: (path: string) => void
}

function refuse(path: string): never {
  const shown = `${textOf(path).slice(0, 40)}…`
  throw new DewarError('system', `Looking into ${shown} failed: folders are more than ${DEEPEST} deep`, {
    remedy: 'move or remove the deepest ones',
  })
}

/** Of a byte string. */
export const pathOf = (bytes: string): Buffer => Buffer.from(bytes, 'latin1')

async function walkFolder(folder: string, path: string, walker: Walker, depth: number): Promise<void> {
  if (depth > DEEPEST) return walker.tooDeep(path)
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
  // Gone or replaced since it was listed: nothing to see.
  const handle = await open(pathOf(folder), flags).catch(() => undefined)
  if (handle === undefined) return
  try {
    const here = `/proc/self/fd/${handle.fd}`
    for (const name of (await readdir(here, 'latin1')).sort()) {
      const info = await lstat(pathOf(`${here}/${name}`)).catch(() => undefined)
      if (info === undefined) continue
      await walker.visit(`${path}/${name}`, info)
      if (info.isDirectory()) await walkFolder(`${here}/${name}`, `${path}/${name}`, walker, depth + 1)
    }
  } finally {
    await handle.close()
  }
}

/** Bytes of all files, hard links counted once. What lies too deep is not counted: one container's is not to break the list of all. */
export async function treeSize(folder: string): Promise<number> {
  const linked = new Set<number>()
  let total = 0
  const count: Visit = (_, info) => {
    if (info.isDirectory() || (info.nlink > 1 && linked.has(info.ino))) return
    if (info.nlink > 1) linked.add(info.ino)
    total += info.size
  }
  await walk(folder, count, () => undefined)
  return total
}
