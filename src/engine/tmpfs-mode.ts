/** The mode of a tmpfs without `mode=`: that of the image's folder it covers, as with runc, else 1777. */
import { lstatSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import type { ResolvedMount } from './spec-mounts.ts'

/** `layers`: folders, topmost first, the writable one among them. */
export function withFolderModes(
  mounts: readonly ResolvedMount[],
  layers: readonly string[],
): readonly ResolvedMount[] {
  return mounts.map((mount) => {
    if (mount.type !== 'tmpfs' || mount.options.some((word) => word.startsWith('mode='))) return mount
    const mode = folderMode(mount.destination, layers)
    return mode === undefined ? mount : { ...mount, options: [...mount.options, `mode=${mode.toString(8)}`] }
  })
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
