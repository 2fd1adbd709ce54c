/**
 * Removing: a rename into the trash folder, so that what is half deleted is never taken for whole, and then deletion.
 * What an engine did not get to is deleted at the next one's start.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, renameSync } from 'node:fs'
import { readdir, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../base/errors.ts'
import { storageError } from '../store/write-whole.ts'

/**
 * Node's own `rm` looks at each entry before it deletes it, which takes 1.2 ms of the engine's time for the 14 of a
 * container that wrote nothing; here readdir(3) has told the folders from the rest. Not by synchronous calls: a disk
 * that is writing its journal would hold up everybody. By bytes: a container's files need not have names in UTF-8.
 */
async function removeTree(folder: Buffer): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, encoding: 'buffer' })) {
    const path = Buffer.concat([folder, SLASH, entry.name])
    await (entry.isDirectory() ? removeTree(path) : unlink(path))
  }
  await rmdir(folder)
}

const SLASH = Buffer.from('/')

export class Trash implements AsyncDisposable {
  readonly #folder: string
  #emptying: Promise<void> = Promise.resolve()
  readonly #deleting = new Set<Promise<void>>()

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /**
   * Gone from where it was when this returns, deleted when the promise resolves: who is told that a container was removed
   * may rely on it that nothing of it can be read. A path that is not there is fine. The trash must be on its filesystem.
   */
  take(path: string): Promise<void> {
    const target = join(this.#folder, randomBytes(12).toString('hex'))
    try {
      renameSync(path, target)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return Promise.resolve()
      throw storageError(`Removing ${path}`, error)
    }
    const deletion = removeQuietly(target).finally(() => this.#deleting.delete(deletion))
    this.#deleting.add(deletion)
    return deletion
  }

  /** For what somebody waits for; `take` for what nobody does. */
  async discard(path: string): Promise<void> {
    await this.take(path)
  }

  /** What an earlier engine did not get to, one after the other: it should not crowd out what people wait for. */
  async empty(): Promise<void> {
    for (const name of await readdir(this.#folder))
      this.#emptying = this.#emptying.then(() => removeQuietly(join(this.#folder, name)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#emptying
    await Promise.all(this.#deleting)
  }
}

/** What cannot be deleted now (a busy mount) is tried again at the next start. */
async function removeQuietly(path: string): Promise<void> {
  await removeTree(Buffer.from(path)).catch(() => undefined)
}
