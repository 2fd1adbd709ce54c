/** The mode of a tmpfs without `mode=`: that of the folder it covers, as with runc, else 1777. */
import { lstatSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { isWithin } from '../base/mountinfo.ts'
import type { ResolvedMount } from './spec-mounts.ts'

/** `layers`: folders, topmost first, the writable one among them. */
export function withFolderModes(
  mounts: readonly ResolvedMount[],
  layers: readonly string[],
): readonly ResolvedMount[] {
  return mounts.map((mount) => {
    if (mount.type !== 'tmpfs' || mount.options.some((word) => word.startsWith('mode='))) return mount
    const mode = coveredMode(mount.destination, mounts, layers)
    return mode === undefined ? mount : { ...mount, options: [...mount.options, `mode=${mode.toString(8)}`] }
  })
}

/** In the innermost of the other mounts that it lies in, or in the layers. */
function coveredMode(
  path: string,
  mounts: readonly ResolvedMount[],
  layers: readonly string[],
): number | undefined {
  const around = mounts
    .filter(({ destination }) => destination !== path && isWithin(destination, path))
    .toSorted((a, b) => b.destination.length - a.destination.length)[0]
  if (around === undefined) return folderMode(path, layers)
  const below = path.slice(around.destination.length)
  const inner = join('/', around.subpath ?? '', below)
  if (around.type === 'image') return folderMode(inner, around.lower ?? [])
  return around.type === 'tmpfs' ? undefined : folderMode(inner, [around.source])
}

/**
 * Of the folder as the layers show it; undefined when there is none. Through a symlink it is not followed: then the
 * tmpfs is open to all, and no file outside the layers is ever looked at.
 */
export function folderMode(path: string, layers: readonly string[]): number | undefined {
  const parts = path.split('/').filter(Boolean)
  for (const layer of layers) {
    let at = layer
    let found: Stats | undefined
    for (const part of parts) {
      at = join(at, part)
      found = lstatSync(at, { throwIfNoEntry: false })
      if (found?.isDirectory() !== true) break
    }
    if (found === undefined) continue
    // A file, a link or a whiteout hides what is below.
    return found.isDirectory() ? found.mode & 0o7777 : undefined
  }
  return undefined
}
