/**
 * Files at rest are written whole: under a temporary name in the same folder, then renamed over the old one, so
 * that a reader (or the next engine after a crash) sees the old content or the new, never a half.
 */
import { randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { DewarError, errnoOf, messageOf } from '../base/errors.ts'

/** Everything in a store folder whose name begins with this is a leftover once the engine starts. */
export const TEMPORARY_PREFIX = '.tmp-'

export function temporaryName(folder: string): string {
  return join(folder, `${TEMPORARY_PREFIX}${randomUUID()}`)
}

/** Removes what interrupted writes left in a folder; the folder need not be there. */
export async function removeTemporaries(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw storageError(`Reading ${folder}`, error)
  })
  const left = names.filter((name) => name.startsWith(TEMPORARY_PREFIX))
  await Promise.all(left.map((name) => rm(join(folder, name), { force: true, recursive: true })))
}

/**
 * `durable`: survives a power cut (fsync of file and folder). Without it the call is synchronous inside, about
 * 50 µs, and survives a crash of the engine, which is what container state needs: the shims are its truth.
 * `temporary`, without durability: a name in the same folder that nobody else writes to; what is there is overwritten.
 */
export async function writeWhole(
  path: string,
  data: string | Uint8Array,
  options: { readonly durable: boolean; readonly mode?: number; readonly temporary?: string },
): Promise<void> {
  const folder = dirname(path)
  const temporary = options.temporary ?? temporaryName(folder)
  const mode = options.mode ?? 0o600
  try {
    if (options.durable) await writeDurably(path, temporary, data, mode)
    else writeQuickly(path, temporary, data, mode)
  } catch (error) {
    throw notWritten(path, temporary, error)
  }
}

/** Not durably, and at once: nothing else happens between the call and its end. */
export function writeWholeAtOnce(
  path: string,
  data: string | Uint8Array,
  options: { readonly mode?: number; readonly temporary: string },
): void {
  try {
    writeQuickly(path, options.temporary, data, options.mode ?? 0o600)
  } catch (error) {
    throw notWritten(path, options.temporary, error)
  }
}

function notWritten(path: string, temporary: string, error: unknown): DewarError {
  removeQuietly(temporary)
  return storageError(`Writing ${basename(path)} in ${dirname(path)}`, error)
}

/** In one go with the failure: another write may come to the same name. */
function removeQuietly(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // It is not there, or goes when the next engine opens; why it was not written is what counts.
  }
}

function writeQuickly(path: string, temporary: string, data: string | Uint8Array, mode: number): void {
  overwrite(temporary, data, mode)
  renameSync(temporary, path)
}

async function writeDurably(
  path: string,
  temporary: string,
  data: string | Uint8Array,
  mode: number,
): Promise<void> {
  const file = await open(temporary, 'wx', mode)
  try {
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncFolder(dirname(path))
}

/**
 * Over what is there. Not emptied first: what was written to a file that had been emptied ext4 sends to the disk when it
 * is closed (`auto_da_alloc`, ext4(5)), and who deletes it soon after waits for that. Nor is who has a lease on it waited
 * for (fcntl(2)): EAGAIN.
 */
export function overwrite(path: string, data: string | Uint8Array, mode = 0o666): void {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NONBLOCK, mode)
  try {
    writeAll(file, bytes)
    if (fstatSync(file).size > bytes.length) ftruncateSync(file, bytes.length)
  } finally {
    closeSync(file)
  }
}

/** A disk that is nearly full may take a part; the rest then says why. */
export function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at, at)
}

/** A rename is durable only when its folder is synced (fsync(2), "Calling fsync() does not necessarily…"). */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Storage is closed to others: layers hold setuid programs, records hold environment secrets. */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw storageError(`Creating the folder ${folder}`, error)
  }
}

const FULL = new Set(['ENOSPC', 'EDQUOT'])

export function diskFull(action: string, cause: unknown): DewarError {
  return new DewarError('disk-full', `${action} failed: no space left on device`, {
    cause,
    remedy: 'free space on that filesystem, or remove images with `dewar image prune -a`',
  })
}

/** Turns a system error under a store folder into one a person can act on; a DewarError passes unchanged. */
export function storageError(action: string, error: unknown): DewarError {
  if (error instanceof DewarError) return error
  const errno = errnoOf(error) ?? ''
  if (FULL.has(errno)) return diskFull(action, error)
  return new DewarError('system', `${action} failed: ${messageOf(error)}`, { cause: error })
}
