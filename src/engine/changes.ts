/** `diff`: what the writable layer has that the image has not. */
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Stats } from 'node:fs'
import type { Change } from './types.ts'
import { walk } from './walk.ts'

/** `lower`: layer folders, topmost first. */
export async function layerChanges(upper: string, lower: readonly string[]): Promise<Change[]> {
  const changes: Change[] = []
  /** Folders of the image under each folder of the layer; only real ones, so that no symlink is ever followed. */
  const below = new Map<string, readonly string[]>([['', lower]])
  await walk(upper, async (path, info) => {
    const parent = path.slice(0, path.lastIndexOf('/'))
    const name = path.slice(path.lastIndexOf('/') + 1)
    const found = await inLayers(below.get(parent) ?? [], name)
    if (isWhiteout(info)) {
      if (found.exists) changes.push({ path, kind: 2 })
      return
    }
    changes.push({ path, kind: found.exists ? 0 : 1 })
    if (info.isDirectory()) below.set(path, found.folders)
  })
  return changes
}

interface Found {
  readonly exists: boolean
  readonly folders: readonly string[]
}

async function inLayers(layers: readonly string[], name: string): Promise<Found> {
  const folders: string[] = []
  let exists = false
  for (const layer of layers) {
    const info = await lstat(join(layer, name)).catch(() => undefined)
    if (info === undefined) continue
    // What a layer deleted or replaced is not seen in the layers below it.
    if (isWhiteout(info)) break
    exists = true
    if (!info.isDirectory()) break
    folders.push(join(layer, name))
  }
  return { exists, folders }
}

function isWhiteout(info: Stats): boolean {
  return info.isCharacterDevice() && info.rdev === 0
}
