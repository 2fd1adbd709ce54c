/**
 * Empty volumes are filled from an image whole or not at all. What is about to be written is noted first, beside the
 * volume's folder: that itself may be a mount, and belongs to its containers. Notes that are found are those of an
 * engine that was killed, and what they name is taken back before anybody gets the volume. What they do not name is
 * somebody's: then nothing is taken back, and nobody gets the volume, until its user has decided.
 * NOT protected: a file that somebody wrote to where the notes name one, between such an end and the next use.
 */
import { closeSync, existsSync, openSync, writeSync } from 'node:fs'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DewarError, errnoOf, messageOf } from '../base/errors.ts'
import type { Core } from '../kernel/core-api.ts'
import { textOf, type Entry, type OpsEvent } from '../store/ops.ts'
import { unpackFilter } from '../store/unpack-filter.ts'
import { packFolder, unpackOps, type Sandbox } from '../store/unpack.ts'
import { storageError, syncFolder } from '../store/write-whole.ts'
import { requireAnswers } from './answering.ts'
import { encodeEvents } from './build/events.ts'
import { Mutexes } from './mutex.ts'

export class VolumeFillings {
  readonly #core: Core
  readonly #mountpoint: (volume: string) => string
  /** One at a time of each volume: who comes second finds it full, or waits for what was begun to be taken back. */
  readonly #locks = new Mutexes()

  constructor(core: Core, mountpoint: (volume: string) => string) {
    this.#core = core
    this.#mountpoint = mountpoint
  }

  /** Fills it when it is empty. It is mounted. What fails is taken back. */
  fill(volume: string, content: () => AsyncIterable<OpsEvent>): Promise<void> {
    return this.#locked(volume, async (filling) => {
      await filling.takeBack()
      if (await filling.isEmpty()) await filling.write(content())
    })
  }

  /** Before it is used: waits for a filling that goes on, takes back one that was cut off. It is mounted. */
  async settle(volume: string): Promise<void> {
    const mountpoint = this.#mountpoint(volume)
    if (!existsSync(notesOf(mountpoint))) return
    await requireAnswers([mountpoint])
    await this.#locked(volume, (filling) => filling.takeBack())
  }

  #locked(volume: string, work: (filling: Filling) => Promise<void>): Promise<void> {
    return this.#locks.run(volume, () => work(new Filling(this.#core, volume, this.#mountpoint(volume))))
  }
}

const notesOf = (mountpoint: string): string => join(dirname(mountpoint), 'filling')

/** Ends a path in the notes; what has no end was not written yet when the engine was killed, in the volume neither. */
const END = '\0'
const PATIENCE_MS = 10_000

class Filling {
  readonly #volume: string
  readonly #folder: string
  readonly #notes: string
  readonly #core: Core

  constructor(core: Core, volume: string, folder: string) {
    this.#core = core
    this.#volume = volume
    this.#folder = folder
    this.#notes = notesOf(folder)
  }

  async isEmpty(): Promise<boolean> {
    return existsSync(this.#folder) && (await readdir(this.#folder)).length === 0
  }

  async write(content: AsyncIterable<OpsEvent>): Promise<void> {
    const source: { failure?: Error } = {}
    try {
      const events = endingWell(this.#noted(content), source)
      await unpackOps(this.#sandbox(), this.#folder, encodeEvents(events))
      if (source.failure !== undefined) throw source.failure
    } catch (error) {
      // When that fails, too, the notes stay for whoever comes next.
      await this.takeBack().catch(() => undefined)
      throw error
    }
    await this.#forget()
  }

  async takeBack(): Promise<void> {
    const noted = await this.#read()
    if (noted === undefined) return
    await this.#unpackersEnd()
    await this.#refuseForeign(noted)
    const top = [...noted].filter((path) => !path.includes('/'))
    await unpackOps(this.#sandbox(), this.#folder, encodeEvents(removals(top)))
    const [late] = await readdir(this.#folder)
    if (late !== undefined) throw this.#cutOff(late)
    await this.#forget()
  }

  /** An unpacker whose engine was killed still writes what it was given. The folder is its root. */
  async #unpackersEnd(): Promise<void> {
    const end = Date.now() + PATIENCE_MS
    while (await isSomebodysRoot(this.#folder)) {
      if (Date.now() > end) {
        throw new DewarError(
          'unavailable',
          `Using volume ${this.#volume} failed: what an engine that was killed put there is still being written`,
          { remedy: 'try again; its disk is slow or does not answer' },
        )
      }
      await sleep(20)
    }
  }

  #sandbox(): Sandbox {
    return { core: this.#core, filter: unpackFilter() }
  }

  /** Each path is noted before it is passed on. The folder itself is there already, and stays. */
  async *#noted(content: AsyncIterable<OpsEvent>): AsyncGenerator<OpsEvent> {
    let notes: number | undefined
    try {
      for await (const event of content) {
        if (event.type === 'entry' && event.entry.path !== '.' && event.entry.kind !== 'times') {
          notes ??= await this.#begin()
          this.#note(notes, event.entry.path)
        }
        yield event
      }
    } finally {
      if (notes !== undefined) closeSync(notes)
    }
  }

  #note(notes: number, path: string): void {
    const bytes = Buffer.from(`${path}${END}`, 'latin1')
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(notes, bytes, at)
    } catch (error) {
      throw storageError(`Filling volume ${this.#volume}`, error)
    }
  }

  /** On the disk before anything is in the volume, which may be on another. */
  async #begin(): Promise<number> {
    try {
      const notes = openSync(this.#notes, 'ax', 0o600)
      await syncFolder(dirname(this.#notes))
      return notes
    } catch (error) {
      throw storageError(`Filling volume ${this.#volume}`, error)
    }
  }

  /** Off the disk before anything is done with the volume: it would be taken back after a loss of power. */
  async #forget(): Promise<void> {
    if (!existsSync(this.#notes)) return
    await rm(this.#notes)
    await syncFolder(dirname(this.#notes))
  }

  async #read(): Promise<ReadonlySet<string> | undefined> {
    try {
      return new Set((await readFile(this.#notes, 'latin1')).split(END).slice(0, -1))
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw storageError(`Reading ${this.#notes}`, error)
    }
  }

  async #refuseForeign(noted: ReadonlySet<string>): Promise<void> {
    for await (const event of packFolder(this.#sandbox(), this.#folder)) {
      if (event.type !== 'entry' || event.entry.path === '.' || noted.has(event.entry.path)) continue
      throw this.#cutOff(textOf(event.entry.path))
    }
  }

  #cutOff(foreign: string): DewarError {
    return new DewarError(
      'conflict',
      `Using volume ${this.#volume} failed: it was half filled from an image when that was cut off, and ${JSON.stringify(foreign)} was put there since`,
      {
        remedy: `take that away, and it is filled anew; or remove ${this.#notes} to keep all that is there as it is`,
      },
    )
  }
}

/**
 * Content that fails is ended where it failed, so that its unpacker ends, too, and is waited for: told to stop it would
 * go on for a while.
 */
async function* endingWell(
  content: AsyncIterable<OpsEvent>,
  source: { failure?: Error },
): AsyncGenerator<OpsEvent> {
  let inFile = false
  try {
    for await (const event of content) {
      inFile = event.type === 'data' || (event.type === 'entry' && event.entry.kind === 'file')
      yield event
    }
  } catch (error) {
    source.failure = error instanceof Error ? error : new Error(messageOf(error))
    if (inFile) yield { type: 'file-end' }
  }
}

async function isSomebodysRoot(folder: string): Promise<boolean> {
  const { dev, ino } = await stat(folder)
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const roots = await Promise.all(pids.map((pid) => stat(`/proc/${pid}/root`).catch(() => undefined)))
  return roots.some((root) => root?.dev === dev && root.ino === ino)
}

async function* removals(paths: readonly string[]): AsyncGenerator<OpsEvent> {
  const nothing = { mode: 0, uid: 0, gid: 0, mtime: { sec: 0, ns: 0 } }
  for (const path of paths) {
    const entry: Entry = { kind: 'remove', path, ...nothing }
    yield { type: 'entry', entry }
  }
}
