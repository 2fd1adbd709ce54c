/** What an archive may make of its unpacking: space, files, memory and time. Counted as it is read. */
import { DewarError } from '../base/errors.ts'
import type { TarEntry } from './tar-header.ts'

/**
 * Bytes as unpacked (holes count too); number of entries, folders that are made for others included; bytes of the names
 * of folders and symlinks and of folders' default ACLs, which are kept in memory up to the end: two million of 4 KiB would be more than a heap holds.
 */
export interface UnpackLimits {
  readonly bytes: number
  readonly entries: number
  readonly names: number
}

/** The largest public images have layers of some 20 GB and 500,000 files; their folders' names take less than 20 MB. */
export const DEFAULT_LIMITS: UnpackLimits = { bytes: 64 * 2 ** 30, entries: 2_000_000, names: 256 * 2 ** 20 }

/** For limits so small that headers weigh. */
const BESIDE_CONTENT = 16 * 2 ** 20

/** Each of its words throws too-large at once when the limit is passed. */
export class UnpackCount {
  readonly #limits: UnpackLimits
  #read = 0
  #bytes = 0
  #entries = 0
  #names = 0

  constructor(limits: UnpackLimits) {
    this.#limits = limits
  }

  /** Bytes of all files, holes included, and of symlinks. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Much of an archive is no content: headers, attributes, what folders claim to carry, all that comes after its end. It
   * would be decompressed and read for ever.
   */
  read(bytes: number): void {
    this.#read += bytes
    const most = 2 * this.#limits.bytes + BESIDE_CONTENT
    if (this.#read > most) throw tooLarge(`the archive itself has more than ${most} bytes`)
  }

  entry(entry: TarEntry): void {
    this.#bytes += entry.kind === 'symlink' ? entry.link.length : entry.size
    const { bytes } = this.#limits
    if (this.#bytes > bytes) throw tooLarge(`it unpacks to more than ${bytes} bytes`)
    this.parent()
  }

  /** One that is made although no entry describes it: one name can ask for two thousand. */
  parent(): void {
    this.#entries += 1
    const { entries } = this.#limits
    if (this.#entries > entries) throw tooLarge(`it has more than ${entries} entries`)
  }

  /** A name that is kept. */
  name(path: string): void {
    this.#names += path.length
    this.acls(0)
  }

  /** Bytes of ACLs that are kept beside the names. */
  acls(bytes: number): void {
    const { names } = this.#limits
    if (this.#names + bytes > names)
      throw tooLarge(`the names and ACLs of its folders have more than ${names} bytes`)
  }
}

function tooLarge(why: string): DewarError {
  return new DewarError('too-large', `Unpacking the archive was stopped: ${why}`, {
    remedy: 'raise the engine’s unpack limits if it is to be trusted',
  })
}
