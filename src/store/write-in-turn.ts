/**
 * A file that can be written whole and durably on a full disk too, unless it grows: a second one is kept beside it, whose
 * room the new content takes, and both change places. Without it nothing could be untagged, and so no image removed,
 * where that is what would make room. Elsewhere than on ext4 and its like, which overwrite in place, it is no help.
 */
import { constants } from 'node:fs'
import { link, open, rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { errnoOf } from '../base/errors.ts'
import { storageError, syncFolder } from './write-whole.ts'

const spareOf = (path: string): string => `${path}.spare`

/** What is in the spare counts for nothing. */
export async function writeInTurn(path: string, text: string): Promise<void> {
  const spare = spareOf(path)
  const before = `${path}.before`
  try {
    await overwriteDurably(spare, text)
    await rm(before, { force: true })
    await unlessMissing(link(path, before))
    await rename(spare, path)
    await unlessMissing(rename(before, spare))
    await syncFolder(dirname(path))
    await keepSpare(path)
  } catch (error) {
    throw storageError(`Writing ${basename(path)} in ${dirname(path)}`, error)
  }
}

/** For a file that has none yet: it was written once only, or by an engine that kept none. */
export async function keepSpare(path: string): Promise<void> {
  const spare = spareOf(path)
  try {
    await using from = await open(path, 'r')
    await using to = await open(spare, 'wx', 0o600)
    await to.writeFile(await from.readFile())
  } catch {
    // It is there; there is nothing yet to write again; or there is no room for it, and writing says so.
  }
}

async function overwriteDurably(path: string, text: string): Promise<void> {
  const bytes = Buffer.from(text)
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT, 0o600)
  try {
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await file.write(bytes, at, bytes.length - at, at)
      at += bytesWritten
    }
    await file.truncate(bytes.length)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** At the first time there is nothing that could be kept. */
async function unlessMissing(done: Promise<void>): Promise<void> {
  try {
    await done
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}
