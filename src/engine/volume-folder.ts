/** The folder of a volume: made for those inside to look at, and measured. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errnoOf } from '../base/errors.ts'
import { storageError } from '../store/write-whole.ts'
import { requireAnswers } from './answering.ts'
import { treeSize } from './walk.ts'

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

/** Bytes; -1 when what is mounted there does not answer, which is how dockerd says that it does not know. */
export async function volumeSize(path: string): Promise<number> {
  const isAnswered = await requireAnswers([path]).then(
    () => true,
    () => false,
  )
  return isAnswered ? treeSize(path) : -1
}
