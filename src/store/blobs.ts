/**
 * Content-addressed blobs: manifests, configs and layers as they came, `blobs/sha256/<hex>`. A name there means that
 * the content was verified while it was written. Interrupted downloads stay in `partial/` and are taken up again.
 */
import { createReadStream } from 'node:fs'
import { open, readFile, readdir, rename, rm, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { DewarError, errnoOf } from '../base/errors.ts'
import { Digester, hexOf, isDigest } from './digest.ts'
import type { Digest } from './digest.ts'
import { makeFolder, storageError, syncFolder, TEMPORARY_PREFIX, temporaryName } from './write-whole.ts'

export class Blobs {
  readonly #folder: string
  readonly #partial: string
  /** Unfinished downloads older than this are given up when the store is opened. */
  static readonly partialAgeMs = 24 * 60 * 60 * 1000

  constructor(folder: string) {
    this.#folder = join(folder, 'sha256')
    this.#partial = join(folder, 'partial')
  }

  async open(now = Date.now()): Promise<void> {
    await makeFolder(this.#folder)
    await makeFolder(this.#partial)
    for (const name of await readdir(this.#folder)) {
      if (name.startsWith(TEMPORARY_PREFIX)) await rm(join(this.#folder, name), { force: true })
    }
    for (const name of await readdir(this.#partial)) {
      const path = join(this.#partial, name)
      if (now - (await stat(path)).mtimeMs > Blobs.partialAgeMs) await rm(path, { force: true })
    }
  }

  path(digest: Digest): string {
    return join(this.#folder, hexOf(digest))
  }

  /** Bytes, or undefined when it is not here. */
  async size(digest: Digest): Promise<number | undefined> {
    try {
      return (await stat(this.path(digest))).size
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw storageError(`Looking for blob ${digest}`, error)
    }
  }

  async read(digest: Digest): Promise<Buffer> {
    try {
      return await readFile(this.path(digest))
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') throw missing(digest)
      throw storageError(`Reading blob ${digest}`, error)
    }
  }

  async *stream(digest: Digest): AsyncGenerator<Buffer> {
    const stream = createReadStream(this.path(digest), { highWaterMark: 256 * 1024 })
    try {
      for await (const bytes of stream) if (Buffer.isBuffer(bytes)) yield bytes
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') throw missing(digest)
      throw storageError(`Reading blob ${digest}`, error)
    } finally {
      stream.destroy()
    }
  }

  /** Writes a small blob; its digest is computed. */
  async put(data: Buffer): Promise<Digest> {
    const writer = await this.create()
    await writer.write(data)
    return writer.finish()
  }

  /** A blob whose digest is known once it is complete. */
  async create(): Promise<BlobWriter> {
    const path = temporaryName(this.#folder)
    return new BlobWriter(path, await openForWriting(path, 'wx'), this.#folder)
  }

  /**
   * A blob that is being downloaded: begins with what an interrupted attempt left, unless that is more than `max`
   * bytes. One writer per digest at a time.
   */
  async resume(digest: Digest, max: number): Promise<BlobWriter> {
    const path = join(this.#partial, hexOf(digest))
    const file = await openForWriting(path, 'a')
    if ((await file.stat()).size > max) await file.truncate(0)
    return new BlobWriter(path, file, this.#folder, digest)
  }

  async remove(digest: Digest): Promise<void> {
    await rm(this.path(digest), { force: true })
  }

  /** Gives up interrupted downloads; only while nothing is being downloaded. Resolves with their bytes. */
  async dropPartials(): Promise<number> {
    let bytes = 0
    for (const name of await readdir(this.#partial)) {
      const path = join(this.#partial, name)
      bytes += (await stat(path)).size
      await rm(path, { force: true })
    }
    return bytes
  }

  async list(): Promise<Digest[]> {
    const names = await readdir(this.#folder)
    return names.map((name) => `sha256:${name}`).filter(isDigest)
  }
}

async function openForWriting(path: string, flags: string): Promise<FileHandle> {
  try {
    return await open(path, flags, 0o600)
  } catch (error) {
    throw storageError(`Writing ${path}`, error)
  }
}

function missing(digest: Digest): DewarError {
  return new DewarError('system', `Reading blob ${digest} failed: it is not in the store`, {
    remedy: 'pull or load the image again',
  })
}

export class BlobWriter {
  readonly #path: string
  readonly #file: FileHandle
  readonly #folder: string
  readonly #expected: Digest | undefined
  readonly #digester = new Digester()

  constructor(path: string, file: FileHandle, folder: string, expected?: Digest) {
    this.#path = path
    this.#file = file
    this.#folder = folder
    this.#expected = expected
  }

  get bytes(): number {
    return this.#digester.bytes
  }

  async hasKept(): Promise<boolean> {
    return (await this.#file.stat()).size > 0
  }

  /** What an earlier attempt left, digested on the way. To be read to its end before anything is written. */
  async *kept(): AsyncGenerator<Buffer> {
    if (!(await this.hasKept())) return
    for await (const bytes of createReadStream(this.#path, { highWaterMark: 256 * 1024 })) {
      if (!Buffer.isBuffer(bytes)) continue
      this.#digester.update(bytes)
      yield bytes
    }
  }

  async write(bytes: Buffer): Promise<void> {
    try {
      for (let rest = bytes; rest.length > 0;) {
        rest = rest.subarray((await this.#file.write(rest)).bytesWritten)
      }
    } catch (error) {
      throw storageError(`Writing a blob in ${this.#folder}`, error)
    }
    this.#digester.update(bytes)
  }

  /** Verifies, makes it durable, gives it its name. A wrong digest throws and the content is thrown away. */
  async finish(): Promise<Digest> {
    const digest = this.#digester.digest()
    if (this.#expected !== undefined && digest !== this.#expected) {
      await this.discard()
      throw new DewarError(
        'system',
        `Verifying blob ${this.#expected} failed: filesystem layer verification failed for digest ${this.#expected}`,
        { remedy: `what came has digest ${digest}; the registry or the way to it changed the content` },
      )
    }
    try {
      await this.#file.sync()
      await this.#file.close()
      await rename(this.#path, join(this.#folder, hexOf(digest)))
      await syncFolder(this.#folder)
    } catch (error) {
      await this.discard()
      throw storageError(`Writing blob ${digest}`, error)
    }
    return digest
  }

  /** Stops here; a download keeps what it has for the next attempt. */
  async suspend(): Promise<void> {
    await this.#file.close().catch(() => undefined)
    if (this.#expected === undefined) await rm(this.#path, { force: true })
  }

  async discard(): Promise<void> {
    await this.#file.close().catch(() => undefined)
    await rm(this.#path, { force: true })
  }
}
