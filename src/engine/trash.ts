/** Removing at once, deleting later: a rename into the trash folder, emptied in the background and at start-up. */
import { randomBytes } from 'node:crypto'
import { mkdirSync, renameSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../base/errors.ts'
import { storageError } from '../store/write-whole.ts'

export class Trash implements AsyncDisposable {
  readonly #folder: string
  #emptying: Promise<void> = Promise.resolve()

  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /** Gone from where it was when this returns; a path that is not there is fine. The trash must be on its filesystem. */
  async discard(path: string): Promise<void> {
    const target = join(this.#folder, randomBytes(12).toString('hex'))
    try {
      renameSync(path, target)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return
      throw storageError(`Removing ${path}`, error)
    }
    this.#delete(target)
  }

  /** What an earlier engine did not get to. */
  async empty(): Promise<void> {
    for (const name of await readdir(this.#folder)) this.#delete(join(this.#folder, name))
  }

  /** One after the other: deleting trees is disk work that should not crowd out what people wait for. */
  #delete(path: string): void {
    this.#emptying = this.#emptying.then(() =>
      // What cannot be deleted now (a busy mount) is tried again at the next start.
      rm(path, { recursive: true, force: true }).catch(() => undefined),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#emptying
  }
}
