/** `diff`: what the writable layer has that the image has not. */
import { lstat } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { bytesOf, textOf } from '../store/ops.ts'
import type { Container } from './container.ts'
import type { Change } from './types.ts'
import { pathOf, walk } from './walk.ts'

/** Where this engine mounts something in every container: the mount points it makes in the writable layer are not changes. */
const SYSTEM_FOLDERS = new Set(['/dev', '/proc', '/sys'])
const SYSTEM_FILES = new Set(['/etc/hosts', '/etc/hostname', '/etc/resolv.conf'])

/** `empty`: a folder, or a file without content. */
export function isMountDebris(path: string, empty: boolean, container: Pick<Container, 'record'>): boolean {
  if (isSystemDebris(path, empty)) return true
  return empty && container.record.mounts.some(({ destination }) => destination === path)
}

/** What a user had mounted is not among it: a folder that was made for a volume is a change, as with dockerd. */
export const isSystemDebris = (path: string, empty: boolean): boolean =>
  empty && (SYSTEM_FOLDERS.has(path) || SYSTEM_FILES.has(path))

export async function containerChanges(container: Container): Promise<Change[]> {
  const all = await layerChanges(container.paths.upper, container.record.lower)
  const kept = all.filter(({ path, kind, empty }) => kind === 2 || !isSystemDebris(textOf(path), empty))
  const parents = [...SYSTEM_FILES].map((path) => bytesOf(path.slice(0, path.lastIndexOf('/'))))
  // A folder that only got a mount point is not changed.
  const changed = kept.filter(
    ({ path, kind }) =>
      kind !== 0 || !parents.includes(path) || kept.some((other) => other.path.startsWith(`${path}/`)),
  )
  return changed.map(({ path, kind }) => ({ path: textOf(path), kind }))
}

interface LayerChange extends Change {
  readonly empty: boolean
}

/** `lower`: layer folders, topmost first. Paths of changes are byte strings. */
export async function layerChanges(upper: string, lower: readonly string[]): Promise<LayerChange[]> {
  const changes: LayerChange[] = []
  /** Folders of the image under each folder of the layer; only real ones, so that no symlink is ever followed. */
  const below = new Map<string, readonly string[]>([['', lower.map(bytesOf)]])
  await walk(upper, async (path, info) => {
    const parent = path.slice(0, path.lastIndexOf('/'))
    const name = path.slice(path.lastIndexOf('/') + 1)
    const found = await inLayers(below.get(parent) ?? [], name)
    if (isWhiteout(info)) {
      if (found.exists) changes.push({ path, kind: 2, empty: false })
      return
    }
    changes.push({ path, kind: found.exists ? 0 : 1, empty: info.isDirectory() || info.size === 0 })
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
    const info = await lstat(pathOf(`${layer}/${name}`)).catch(() => undefined)
    if (info === undefined) continue
    // What a layer deleted or replaced is not seen in the layers below it.
    if (isWhiteout(info)) break
    exists = true
    if (!info.isDirectory()) break
    folders.push(`${layer}/${name}`)
  }
  return { exists, folders }
}

function isWhiteout(info: Stats): boolean {
  return info.isCharacterDevice() && info.rdev === 0
}
