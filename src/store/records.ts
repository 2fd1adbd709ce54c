/**
 * A folder of JSON records, one file each (`ID.json`), written whole. What containers, volumes, networks and
 * images are remembered by. One engine owns the folder; records of one id are written in call order.
 */
import { readFile, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DewarError, errnoOf, messageOf } from '../base/errors.ts'
import { makeFolder, storageError, syncFolder, TEMPORARY_PREFIX, writeWhole } from './write-whole.ts'

/** A record that could not be read. It stays beside the others under `keptAs`, nothing is lost. */
export interface DamagedRecord {
  readonly id: string
  readonly keptAs: string
  readonly error: DewarError
}

export interface Loaded<T> {
  readonly records: ReadonlyMap<string, T>
  readonly damaged: readonly DamagedRecord[]
}

export interface RecordsOptions<T> {
  /** Checks what was read (a zod schema's `parse` fits) and throws when it is not a T. */
  readonly parse: (value: unknown) => T
  /** What a record is, for messages: "container", "volume". */
  readonly kind: string
  /** fsync each write; default false (see writeWhole). */
  readonly durable?: boolean
}

/** Container and volume names as Docker allows them; never a path, never a temporary or damaged name. */
const ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,199}$/
const SUFFIX = '.json'

export class Records<T> {
  readonly #folder: string
  readonly #options: RecordsOptions<T>
  /** The last operation per id: the next one on that id starts after it. */
  readonly #tail = new Map<string, Promise<void>>()

  constructor(folder: string, options: RecordsOptions<T>) {
    this.#folder = folder
    this.#options = options
  }

  /** Reads all records, removes leftovers of interrupted writes, puts damaged records aside. */
  async load(): Promise<Loaded<T>> {
    await makeFolder(this.#folder)
    const records = new Map<string, T>()
    const damaged: DamagedRecord[] = []
    for (const name of (await readdir(this.#folder)).sort()) {
      if (name.startsWith(TEMPORARY_PREFIX)) {
        await rm(join(this.#folder, name), { force: true, recursive: true })
        continue
      }
      const id = name.slice(0, -SUFFIX.length)
      if (!name.endsWith(SUFFIX) || !ID.test(id)) continue
      const result = await this.#read(id)
      if (result instanceof DewarError) damaged.push(await this.#putAside(id, result))
      else records.set(id, result.value)
    }
    return { records, damaged }
  }

  /** Throws `invalid-argument` for an id that cannot be a file name, `disk-full` with the old record intact. */
  async write(id: string, value: T): Promise<void> {
    const path = this.#path(id)
    // Serialised now, not when its turn comes: the caller may change the object after this call.
    const text = `${JSON.stringify(value, undefined, 1)}\n`
    await this.#inOrder(id, () => writeWhole(path, text, { durable: this.#options.durable ?? false }))
  }

  /** A record that is not there is fine. */
  async remove(id: string): Promise<void> {
    const path = this.#path(id)
    await this.#inOrder(id, async () => {
      await rm(path, { force: true })
      if (this.#options.durable === true) await syncFolder(this.#folder)
    })
  }

  #path(id: string): string {
    if (!ID.test(id)) {
      throw new DewarError(
        'invalid-argument',
        `Recording ${this.#options.kind} ${JSON.stringify(id)} failed`,
        {
          remedy:
            'names consist of [a-zA-Z0-9_.-], begin with a letter or digit and have at most 200 characters',
        },
      )
    }
    return join(this.#folder, `${id}${SUFFIX}`)
  }

  async #inOrder(id: string, work: () => Promise<void>): Promise<void> {
    const before = this.#tail.get(id)
    const mine = before === undefined ? work() : before.then(work, work)
    this.#tail.set(id, mine)
    try {
      await mine
    } finally {
      if (this.#tail.get(id) === mine) this.#tail.delete(id)
    }
  }

  async #read(id: string): Promise<{ readonly value: T } | DewarError> {
    const path = this.#path(id)
    let text: string
    try {
      text = await readFile(path, 'utf8')
    } catch (error) {
      // Not damage: an unreadable disk must stop the engine, not make it forget a container.
      throw storageError(`Reading the ${this.#options.kind} record ${path}`, error)
    }
    try {
      return { value: this.#options.parse(JSON.parse(text)) }
    } catch (error) {
      const what = `Reading the ${this.#options.kind} record ${path} failed: ${messageOf(error)}`
      return new DewarError('system', what, { cause: error })
    }
  }

  async #putAside(id: string, error: DewarError): Promise<DamagedRecord> {
    const path = this.#path(id)
    const keptAs = await freeName(this.#folder, `${id}${SUFFIX}.damaged`)
    await rename(path, keptAs)
    const told = new DewarError(error.code, error.message, {
      cause: error.cause,
      remedy: `it was kept as ${keptAs}; repair it and rename it back, or remove it`,
    })
    return { id, keptAs, error: told }
  }
}

/** An earlier damaged record of the same id is not overwritten. */
async function freeName(folder: string, wanted: string): Promise<string> {
  const taken = new Set(
    await readdir(folder).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return []
      throw error
    }),
  )
  let name = wanted
  for (let n = 1; taken.has(name); n += 1) name = `${wanted}-${n}`
  return join(folder, name)
}
