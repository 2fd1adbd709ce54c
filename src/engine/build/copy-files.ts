/** Puts the sources of COPY or ADD into a workspace. */
import { DewarError } from '../../base/errors.ts'
import { decompress } from '../../store/decompress.ts'
import { bytesOf, decodeOps, type Entry, type OpsEvent } from '../../store/ops.ts'
import { checksumFits, isZero } from '../../store/tar-header.ts'
import { tarToOps } from '../../store/tar-to-ops.ts'
import type { CopySource } from './copy-sources.ts'
import { missingFolders, newFolder, ROOT, targetOf, type Owner } from './copy-target.ts'
import { below, contentOf, mapEntries, movedBelow } from './events.ts'
import type { Workspace } from './workspace.ts'

export interface Placing {
  /** Text, absolute; a trailing slash means a folder. */
  readonly target: string
  readonly owner: Owner | undefined
  readonly mode: number | undefined
  /** ADD: local archives are unpacked. */
  readonly unpack: boolean
}

export async function placeFiles(
  space: Workspace,
  sources: readonly CopySource[],
  placing: Placing,
): Promise<void> {
  for (const source of sources) await placeOne(space, source, placing)
}

async function placeOne(space: Workspace, source: CopySource, placing: Placing): Promise<void> {
  const target = await targetOf(space, placing.target)
  const archive = placing.unpack && source.loose !== true && !source.isFolder && (await isArchive(source))
  if (source.isFolder || archive) {
    const events = archive
      ? decodeOps(tarToOps(decompress(contentOf(source.pack())), { layer: false }))
      : owned(source, placing)
    const missing = await missingFolders(space, target.path, true)
    const folders = missing.map((path, n) =>
      newFolder(path, n === missing.length - 1 ? (placing.owner ?? ROOT) : ROOT),
    )
    await space.apply(inFolder(folders, events, target.path))
    return
  }
  const inside = placing.target.endsWith('/') || target.isFolder
  const path = inside ? below(target.path, bytesOf(source.name)) : target.path
  const folders = (await missingFolders(space, path, false)).map((folder) =>
    newFolder(folder, placing.owner ?? ROOT),
  )
  await space.apply(asFile(folders, owned(source, placing), path))
}

/** Ids of the context are those of whoever sent it; in the image everything is root's or as asked. */
function owned(source: CopySource, { owner, mode }: Placing): AsyncGenerator<OpsEvent> {
  return mapEntries(source.pack(), (entry) => {
    if (entry.kind === 'times') return entry
    const changed = mode === undefined || entry.kind === 'symlink' ? {} : { mode }
    return { ...entry, ...(owner ?? ROOT), ...changed }
  })
}

async function* inFolder(
  folders: readonly OpsEvent[],
  events: AsyncIterable<OpsEvent>,
  folder: string,
): AsyncGenerator<OpsEvent> {
  yield* folders
  // A folder's own owner and mode stay behind: its content is copied, not the folder. An archive's, too, in dockerd.
  yield* mapEntries(events, (entry) => (entry.path === '.' ? undefined : moved(entry, folder)))
}

function moved(entry: Entry, folder: string): Entry {
  return movedBelow(entry, folder)
}

async function* asFile(
  folders: readonly OpsEvent[],
  events: AsyncIterable<OpsEvent>,
  path: string,
): AsyncGenerator<OpsEvent> {
  yield* folders
  // One name of several that the file has in its own tree.
  yield* mapEntries(events, (entry) => (entry.kind === 'times' ? undefined : { ...entry, path }))
}

/** As dockerd finds out: what is there, decompressed, begins like a tar. Throws for compressions we cannot read. */
async function isArchive(source: CopySource): Promise<boolean> {
  let head: Buffer = Buffer.alloc(0)
  try {
    for await (const bytes of decompress(contentOf(source.pack()))) {
      head = Buffer.concat([head, bytes])
      if (head.length >= 512) break
    }
  } catch (error) {
    if (head.length < 512 && isUnreadable(error)) throw error
    return false
  }
  const block = head.subarray(0, 512)
  return block.length === 512 && !isZero(block) && checksumFits(block)
}

/** The program for the format is missing, unlike damage: then the file is copied as it is. */
function isUnreadable(error: unknown): boolean {
  return error instanceof DewarError && error.code === 'not-implemented'
}
