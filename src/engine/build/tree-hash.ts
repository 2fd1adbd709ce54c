/** What counts of files for the cache: names, kinds, modes, links, attributes and content; not times, not owners. */
import { createHash, type Hash } from 'node:crypto'
import type { Entry, OpsEvent } from '../../store/ops.ts'
import { byParts } from './tree.ts'

const ZEROS = Buffer.alloc(256 * 1024)

/** The hex digest of all, whatever order they come in. */
export async function hashEvents(events: AsyncIterable<OpsEvent>): Promise<string> {
  const lines: { path: string; text: string }[] = []
  let file: FileHash | undefined
  let entry: Entry | undefined
  for await (const event of events) {
    if (event.type === 'entry') {
      entry = event.entry
      if (entry.kind === 'file') file = new FileHash(entry.size ?? 0)
      else if (entry.kind !== 'times') lines.push({ path: entry.path, text: describe(entry, '') })
    } else if (event.type === 'data') file?.data(event.offset, event.bytes)
    else if (entry !== undefined) {
      lines.push({ path: entry.path, text: describe(entry, file?.digest() ?? '') })
      file = undefined
    }
  }
  const hash = createHash('sha256')
  for (const { text } of lines.toSorted((a, b) => byParts(a.path, b.path))) hash.update(`${text}\n`)
  return hash.digest('hex')
}

function describe(entry: Entry, content: string): string {
  const xattrs = (entry.xattrs ?? []).map(([name, value]) => [name, value.toString('hex')])
  const { kind, path, link, mode, size, major, minor } = entry
  return JSON.stringify([
    path,
    kind,
    mode,
    kind === 'file' ? size : 0,
    link ?? '',
    major ?? 0,
    minor ?? 0,
    xattrs,
    content,
  ])
}

/** A hole and written zeros are the same content. */
class FileHash {
  readonly #size: number
  readonly #hash: Hash = createHash('sha256')
  #at = 0

  constructor(size: number) {
    this.#size = size
  }

  data(offset: number, bytes: Buffer): void {
    this.#zeros(Math.min(offset, this.#size))
    const part = bytes.subarray(0, Math.max(0, this.#size - this.#at))
    this.#hash.update(part)
    this.#at += part.length
  }

  digest(): string {
    this.#zeros(this.#size)
    return this.#hash.digest('hex')
  }

  #zeros(until: number): void {
    while (this.#at < until) {
      const part = ZEROS.subarray(0, until - this.#at)
      this.#hash.update(part)
      this.#at += part.length
    }
  }
}
