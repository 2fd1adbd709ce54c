/**
 * Files that a container which runs has mounted, as /etc/hosts: at any moment it can make them grow, run them, or take a
 * lease on them (fcntl(2)), for which whoever opens them would wait for 45 seconds, and the whole engine with him.
 */
import { closeSync, constants, openSync, readSync, rmSync } from 'node:fs'
import { errnoOf } from '../base/errors.ts'
import { overwrite } from '../store/write-whole.ts'

/** Bytes; a container that writes more into its own file keeps it as it is. */
const LARGEST_FILE = 1024 * 1024

/**
 * A character for each byte, as what the container has written need not be text. undefined when it is too large, or held:
 * then it stays as it is.
 */
export function readGuestFile(path: string): string | undefined {
  return unlessHeld(() => {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const bytes = Buffer.allocUnsafe(LARGEST_FILE + 1)
      let size = 0
      for (let n = 1; n > 0; size += n) n = readSync(file, bytes, size, bytes.length - size, size)
      return size > LARGEST_FILE ? undefined : bytes.toString('latin1', 0, size)
    } finally {
      closeSync(file)
    }
  })
}

/** Text of ours, to stand in such a file. */
export const asBytes = (text: string): string => Buffer.from(text).toString('latin1')

/** In place: the container has this very file mounted. Not emptied first: a full disk might not give the room back. */
export function writeGuestFile(path: string, text: string): void {
  unlessHeld(() => overwrite(path, Buffer.from(text, 'latin1')))
}

/** When it starts: a neighbour that shares its files may hold one, and keeps what it has; the container gets another. */
export function renewGuestFile(path: string, text: string): void {
  const isWritten = unlessHeld(() => (overwrite(path, text), true))
  if (isWritten === true) return
  rmSync(path)
  overwrite(path, text)
}

function unlessHeld<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'EAGAIN' || errno === 'ETXTBSY') return undefined
    throw error
  }
}
