/**
 * Layers at rest, keyed by chain id. One interface, so that another kind than unpacked folders can come (EROFS
 * images: DESIGN.md, "Found by trying"): a layer is staged from an archive, then committed under its name or thrown
 * away. A crash at any point leaves a staged folder, which the next opening removes, and never half a layer.
 */
import type { Stats } from 'node:fs'
import { lstat, mkdir, readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { errnoOf } from '../base/errors.ts'
import { digestSchema, hexOf } from './digest.ts'
import type { Digest } from './digest.ts'
import { encodeEntry, FLAG, MAGIC, STREAM_END } from './ops.ts'
import type { TarToOpsOptions } from './tar-to-ops.ts'
import { Records } from './records.ts'
import { removeTree } from './remove-tree.ts'
import { unpackOps, unpackTar } from './unpack.ts'
import type { Sandbox } from './unpack.ts'
import { makeFolder, storageError, temporaryName } from './write-whole.ts'

const ERASE_TRIES = 10

const LAYER_RECORD = z.object({
  chainId: digestSchema,
  diffId: digestSchema,
  /** Bytes of its files. */
  size: z.number(),
  /** Nothing of the layers below is to be seen. */
  opaqueRoot: z.boolean(),
})
export type LayerRecord = Readonly<z.infer<typeof LAYER_RECORD>>

export interface StagedLayer {
  readonly size: number
  /**
   * Gives it its name. `below`: folders of the layers under it, topmost first; parents that the archive left out get
   * their owners and modes from there. Done already by somebody else: fine, this copy goes.
   */
  commit(name: {
    readonly chainId: Digest
    readonly diffId: Digest
    readonly below: readonly string[]
  }): Promise<void>
  discard(): Promise<void>
}

export interface Layers {
  open(): Promise<void>
  get(chainId: Digest): LayerRecord | undefined
  list(): LayerRecord[]
  /** The folder to mount. */
  folder(chainId: Digest): string
  stage(tar: AsyncIterable<Buffer>, options: TarToOpsOptions, signal?: AbortSignal): Promise<StagedLayer>
  remove(chainId: Digest): Promise<void>
}

/** Each layer a folder `<hex>/` owned by ids as in the image, described by `records/<hex>.json`. */
export class FolderLayers implements Layers {
  readonly #folder: string
  readonly #sandbox: () => Promise<Sandbox>
  readonly #records: Records<LayerRecord>
  #known = new Map<Digest, LayerRecord>()
  /** One after the other: whoever has unpacked the same layer meanwhile finds that it is known. */
  #committing: Promise<unknown> = Promise.resolve()

  constructor(folder: string, sandbox: () => Promise<Sandbox>) {
    this.#folder = folder
    this.#sandbox = sandbox
    this.#records = new Records(join(folder, 'records'), {
      kind: 'layer',
      parse: (value) => LAYER_RECORD.parse(value),
      durable: true,
    })
  }

  async open(): Promise<void> {
    await makeFolder(this.#folder)
    const { records } = await this.#records.load()
    const folders = new Set(await readdir(this.#folder))
    for (const [hex, record] of records) {
      if (folders.has(hex)) this.#known.set(record.chainId, record)
      else await this.#records.remove(hex)
    }
    for (const name of folders) {
      const kept = name === 'records' || this.#known.has(`sha256:${name}`)
      // Staged when the engine died, or renamed and not yet recorded: nothing refers to it.
      if (!kept) await this.#erase(join(this.#folder, name))
    }
  }

  get(chainId: Digest): LayerRecord | undefined {
    return this.#known.get(chainId)
  }

  list(): LayerRecord[] {
    return [...this.#known.values()]
  }

  folder(chainId: Digest): string {
    return join(this.#folder, hexOf(chainId))
  }

  async stage(
    tar: AsyncIterable<Buffer>,
    options: TarToOpsOptions,
    signal?: AbortSignal,
  ): Promise<StagedLayer> {
    const folder = temporaryName(this.#folder)
    const discard = (): Promise<void> => this.#erase(folder)
    try {
      // Whoever reaches it through a mount needs to pass; the folders above keep others out.
      await mkdir(folder, { mode: 0o755 })
      const summary = await unpackTar(await this.#sandbox(), folder, tar, options, signal)
      return {
        size: summary.bytes,
        commit: async ({ chainId, diffId, below }) => {
          await this.#adopt(folder, summary.implicit, below)
          const record = { chainId, diffId, size: summary.bytes, opaqueRoot: summary.opaqueRoot }
          const done = this.#committing.then(() => this.#commit(folder, record))
          this.#committing = done.catch(() => undefined)
          await done
        },
        discard,
      }
    } catch (error) {
      await discard()
      throw storageError('Unpacking a layer', error)
    }
  }

  async #commit(folder: string, record: LayerRecord): Promise<void> {
    if (this.#known.has(record.chainId)) {
      await this.#erase(folder)
      return
    }
    const target = this.folder(record.chainId)
    try {
      await rename(folder, target)
      await this.#records.write(hexOf(record.chainId), record)
    } catch (error) {
      await this.#erase(folder)
      await this.#erase(target)
      throw storageError(`Keeping layer ${record.chainId}`, error)
    }
    this.#known.set(record.chainId, record)
  }

  /** Owners and modes of folders that the archive did not describe, from the first layer below that has them. */
  async #adopt(folder: string, implicit: ReadonlySet<string>, below: readonly string[]): Promise<void> {
    const ops: Buffer[] = []
    for (const path of implicit) {
      const found = await findFolder(below, path)
      if (found === undefined) continue
      const { mode, uid, gid, mtimeMs } = found
      const mtime = { sec: Math.floor(mtimeMs / 1000), ns: 0 }
      ops.push(encodeEntry({ kind: 'dir', path, mode: mode & 0o7777, uid, gid, mtime, flags: FLAG.keepType }))
    }
    if (ops.length === 0) return
    async function* stream(): AsyncGenerator<Buffer> {
      yield Buffer.concat([MAGIC, ...ops, STREAM_END])
    }
    await unpackOps(await this.#sandbox(), folder, stream())
  }

  async remove(chainId: Digest): Promise<void> {
    this.#known.delete(chainId)
    await this.#records.remove(hexOf(chainId))
    await this.#erase(this.folder(chainId))
  }

  /** Renamed first, so that half a removed layer has no name a record could know. */
  async #erase(folder: string): Promise<void> {
    const doomed = temporaryName(this.#folder)
    try {
      await rename(folder, doomed)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return
      throw storageError(`Removing ${folder}`, error)
    }
    // An unpacker that was told to stop may still put a file in between the listing and the rmdir.
    for (let tries = 0; ; tries += 1) {
      try {
        await removeTree(doomed, () => temporaryName(this.#folder))
        return
      } catch (error) {
        if (errnoOf(error) === 'ENOTDIR') return unlink(doomed) // nobody's layer
        if (errnoOf(error) !== 'ENOTEMPTY' || tries === ERASE_TRIES)
          throw storageError(`Removing ${folder}`, error)
      }
      await sleep(20)
    }
  }
}

/** Walks component by component: a symlink in a layer must not lead this process out of it. */
export async function findFolder(below: readonly string[], path: string): Promise<Stats | undefined> {
  for (const layer of below) {
    let at: Buffer = Buffer.from(layer)
    let found: Stats | undefined
    for (const part of path.split('/')) {
      at = Buffer.concat([at, Buffer.from(`/${part}`, 'latin1')])
      found = await lstat(at).catch(() => undefined)
      if (found?.isDirectory() !== true) break
    }
    if (found?.isDirectory() === true) return found
    // A whiteout or anything else there hides what lies further down.
    if (found !== undefined) return undefined
  }
  return undefined
}
