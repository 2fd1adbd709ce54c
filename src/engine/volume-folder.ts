/** The folder of a volume, for those inside to look at. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errnoOf } from '../base/errors.ts'
import { storageError } from '../store/write-whole.ts'

/** One after the other: on a full disk a recursive mkdir of Node's says ENOENT (20.20). */
export async function makeVolumeFolder(path: string): Promise<void> {
  for (const folder of [dirname(path), path]) {
    try {
      await mkdir(folder, { mode: 0o755 })
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw storageError(`Making the folder ${folder} of a volume`, error)
    }
  }
}
