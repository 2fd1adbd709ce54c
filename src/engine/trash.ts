/**
 * Removing: a rename into the trash folder, so that what is half deleted is never taken for whole, and then deletion.
 * What an engine did not get to is deleted at the next one's start.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, renameSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf, messageOf } from '../base/errors.ts'
import { removeTree } from '../store/remove-tree.ts'
import { storageError } from '../store/write-whole.ts'

export class Trash implements AsyncDisposable {
  readonly #folder: string
  readonly #warn: (text: string) => void
  #emptying: Promise<void> = Promise.resolve()
  readonly #deleting = new Set<Promise<void>>()

  /** `warn` is told what could not be deleted. */
  constructor(folder: string, warn: (text: string) => void = () => undefined) {
    this.#folder = folder
    this.#warn = warn
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /**
   * Gone from where it was when this returns, deleted when the promise resolves: who is told that a container was removed
   * may rely on it that nothing of it can be read. A path that is not there is fine. The trash must be on its filesystem.
   * `quicker` may delete it in our stead, and answers whether it did.
   */
  take(path: string, quicker?: (path: string) => Promise<boolean>): Promise<void> {
    const target = this.#newName()
    try {
      renameSync(path, target)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return Promise.resolve()
      throw storageError(`Removing ${path}`, error)
    }
    const deletion = this.#remove(target, quicker).finally(() => this.#deleting.delete(deletion))
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
      this.#emptying = this.#emptying.then(() => this.#remove(join(this.#folder, name)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#emptying
    await Promise.all(this.#deleting)
  }

  async #remove(path: string, quicker?: (path: string) => Promise<boolean>): Promise<void> {
    if (await quicker?.(path)) return
    await removeTree(path, () => this.#newName()).catch((error: unknown) =>
      this.#warn(
        `Deleting ${path} failed: ${messageOf(error)} (the next start of the engine tries it again; chattr -i lets go of what was made immutable)`,
      ),
    )
  }

  #newName(): string {
    return join(this.#folder, randomUUID())
  }
}
