/**
 * Which images there are and what they are called. An image is a record naming its config, manifest and layer
 * blobs; names are one file for all, written whole. Original (compressed) blobs are kept: docs/decisions.
 */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { DewarError, errnoOf, messageOf } from '../base/errors.ts'
import type { Blobs } from './blobs.ts'
import { chainIds, digestSchema, hexOf, isDigest } from './digest.ts'
import type { Digest } from './digest.ts'
import { parseImageConfig } from './image-config.ts'
import type { ImageDocument } from './image-config.ts'
import { Records } from './records.ts'
import { canonical, familiarReference, parseReference, repositoryOf, withDefaultTag } from './reference.ts'
import type { Reference } from './reference.ts'
import { keepSpare, writeInTurn } from './write-in-turn.ts'
import { removeTemporaries, storageError } from './write-whole.ts'

const IMAGE_RECORD = z.object({
  /** Digest of the config. */
  id: digestSchema,
  /** Digest of the manifest, as it was pulled or made here. */
  manifest: digestSchema,
  /** As in the manifest, bottom first. */
  layers: z.array(z.object({ digest: digestSchema, size: z.number(), mediaType: z.string() })),
  diffIds: z.array(digestSchema),
  /** Made here on top of that image. */
  parent: digestSchema.optional(),
  lastTagTime: z.number(),
  /**
   * Made by a build here: when (its own date is the same each time it is built), and the steps it is the answer to.
   * Stays on this machine: the values of build arguments are part of a key.
   */
  built: z.object({ at: z.number(), keys: z.array(digestSchema) }).optional(),
})
export type ImageRecord = Readonly<z.infer<typeof IMAGE_RECORD>>

/** Canonical names ("docker.io/library/nginx:latest", "…@sha256:…") to image ids. */
const NAMES = z.object({ names: z.record(z.string(), digestSchema) })

export class ImageStore {
  readonly #file: string
  readonly #records: Records<ImageRecord>
  readonly #blobs: Blobs
  readonly #images = new Map<Digest, ImageRecord>()
  readonly #configs = new Map<Digest, ImageDocument>()
  readonly #names = new Map<string, Digest>()
  #writing: Promise<void> = Promise.resolve()

  constructor(folder: string, blobs: Blobs) {
    this.#file = join(folder, 'names.json')
    this.#records = new Records(join(folder, 'records'), {
      kind: 'image',
      parse: (value) => IMAGE_RECORD.parse(value),
      durable: true,
    })
    this.#blobs = blobs
  }

  /** Returns what was damaged; a record whose config is gone counts as that. */
  async open(): Promise<readonly DewarError[]> {
    const { records, damaged } = await this.#records.load()
    const errors = damaged.map(({ error }) => error)
    for (const record of records.values()) {
      try {
        this.#configs.set(
          record.id,
          parseImageConfig(await this.#blobs.read(record.id), `image ${record.id}`),
        )
        this.#images.set(record.id, record)
      } catch (error) {
        errors.push(storageError(`Opening image ${record.id}`, error))
      }
    }
    await removeTemporaries(dirname(this.#file))
    await this.#loadNames()
    await keepSpare(this.#file)
    return errors
  }

  async #loadNames(): Promise<void> {
    try {
      const { names } = NAMES.parse(JSON.parse(await readFile(this.#file, 'utf8')))
      for (const [name, id] of Object.entries(names)) if (this.#images.has(id)) this.#names.set(name, id)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return
      throw new DewarError('system', `Reading the image names ${this.#file} failed: ${messageOf(error)}`, {
        cause: error,
        remedy: 'repair the file or move it away; images then have no names and can be tagged again by id',
      })
    }
  }

  list(): ImageRecord[] {
    return [...this.#images.values()]
  }

  get(id: Digest): ImageRecord | undefined {
    return this.#images.get(id)
  }

  config(id: Digest): ImageDocument {
    const config = this.#configs.get(id)
    if (config === undefined) throw noSuchImage(id)
    return config
  }

  chain(id: Digest): Digest[] {
    return chainIds(this.#images.get(id)?.diffIds ?? [])
  }

  /** The config blob must be in the store. */
  async add(record: ImageRecord): Promise<void> {
    const config = parseImageConfig(await this.#blobs.read(record.id), `image ${record.id}`)
    await this.#records.write(hexOf(record.id), record)
    this.#configs.set(record.id, config)
    this.#images.set(record.id, record)
  }

  /** Together with its names. */
  async remove(id: Digest): Promise<void> {
    await this.#change(() => {
      for (const [name, target] of this.#names) if (target === id) this.#names.delete(name)
    })
    await this.#records.remove(hexOf(id))
    this.#images.delete(id)
    this.#configs.delete(id)
  }

  /** The image a full name stands for. */
  named(name: string): Digest | undefined {
    return this.#names.get(name)
  }

  async name(reference: Reference, id: Digest): Promise<void> {
    await this.#change(() => this.#names.set(canonical(reference), id))
  }

  async unname(name: string): Promise<void> {
    await this.#change(() => this.#names.delete(name))
  }

  namesOf(id: Digest): Reference[] {
    return [...this.#names].flatMap(([name, target]) => (target === id ? [parseReference(name)] : []))
  }

  /** Names in one repository. */
  namesIn(repository: string): { readonly reference: Reference; readonly id: Digest }[] {
    return [...this.#names]
      .map(([name, id]) => ({ reference: parseReference(name), id }))
      .filter(({ reference }) => repositoryOf(reference) === repository)
  }

  /** By id (with or without "sha256:"), name, or unique prefix of an id: in Docker's order. Throws `not-found`. */
  resolve(text: string): ImageRecord {
    const image = this.find(text)
    if (image === undefined) throw noSuchImage(text)
    return image
  }

  /** As `resolve`; undefined for what is not there. */
  find(text: string): ImageRecord | undefined {
    const id = this.#find(text)
    return id === undefined ? undefined : this.#images.get(id)
  }

  #find(text: string): Digest | undefined {
    if (isDigest(text)) return this.#images.has(text) ? text : undefined
    const full = `sha256:${text}`
    if (isDigest(full)) return this.#images.has(full) ? full : undefined
    const named = this.#byName(text)
    if (named !== undefined) return named
    const prefix = text.startsWith('sha256:') ? text : full
    if (!/^sha256:[0-9a-f]+$/.test(prefix)) return undefined
    const found = [...this.#images.keys()].filter((id) => id.startsWith(prefix))
    return found.length === 1 ? found[0] : undefined
  }

  #byName(text: string): Digest | undefined {
    const reference = withDefaultTag(parseReferenceOr(text))
    const { tag: _tag, ...untagged } = reference
    // With a digest the tag says nothing more (docker run nginx:1@sha256:…).
    return this.#names.get(canonical(reference.digest === undefined ? reference : untagged))
  }

  /** Changes names in memory and on disk; other changes wait, a failed write changes nothing. */
  #change(change: () => void): Promise<void> {
    const work = async (): Promise<void> => {
      const before = new Map(this.#names)
      change()
      try {
        const text = JSON.stringify({ names: Object.fromEntries(this.#names) }, undefined, 1)
        await writeInTurn(this.#file, `${text}\n`)
      } catch (error) {
        this.#names.clear()
        for (const [name, id] of before) this.#names.set(name, id)
        throw error
      }
    }
    const result = this.#writing.then(work, work)
    this.#writing = result.catch(() => undefined)
    return result
  }
}

function parseReferenceOr(text: string): Reference {
  try {
    return parseReference(text)
  } catch (error) {
    // Something like an id prefix in capitals: not a name, and then not found.
    if (error instanceof DewarError && /^[0-9a-f:]+$/.test(text)) return { domain: '', path: text }
    throw error
  }
}

/** In dockerd's words, the name with its tag: clients match on them. */
export function noSuchImage(ref: string): DewarError {
  return new DewarError('not-found', `No such image: ${shown(ref)}`)
}

function shown(ref: string): string {
  try {
    return familiarReference(withDefaultTag(parseReference(ref)))
  } catch {
    return ref
  }
}
