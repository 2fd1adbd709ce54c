/**
 * Default ACLs, which a folder gives to all that is made in it (acl(5), "Object creation and default ACLs"). In a stream
 * they come with the folder, before its content, which would get what it never had: they are set once it is there.
 */
import { FLAG, type Entry } from './ops.ts'

const NAME = 'system.posix_acl_default'

export class DefaultAcls {
  /** Folders as they are in the end. */
  readonly #held = new Map<string, Entry>()
  #bytes = 0

  /** Of attributes that are kept in memory. */
  get bytes(): number {
    return this.#bytes
  }

  /** What to send for an entry, in its order. */
  take(entry: Entry): readonly Entry[] {
    const { kind, path, xattrs = [], flags = 0 } = entry
    if (kind === 'times') return [...this.#release(path), entry]
    // Of a folder that is there already, which a whiteout leaves.
    if (kind === 'opaque' || kind === 'whiteout' || (flags & FLAG.implicit) !== 0) return [entry]
    this.#forget(path)
    if (kind !== 'dir' || !xattrs.some(([name]) => name === NAME)) return [entry]
    this.#held.set(path, { ...entry, flags: flags | FLAG.keepType })
    this.#bytes += bytesOfAttributes(entry)
    return [{ ...entry, xattrs: xattrs.filter(([name]) => name !== NAME) }]
  }

  /** At the end of a stream: folders whose times never came. */
  rest(): readonly Entry[] {
    return [...this.#held.keys()].flatMap((path) => this.#release(path))
  }

  #release(path: string): readonly Entry[] {
    const held = this.#forget(path)
    return held === undefined ? [] : [held]
  }

  #forget(path: string): Entry | undefined {
    const held = this.#held.get(path)
    if (held === undefined) return undefined
    this.#held.delete(path)
    this.#bytes -= bytesOfAttributes(held)
    return held
  }
}

const bytesOfAttributes = ({ xattrs = [] }: Entry): number =>
  xattrs.reduce((sum, [name, value]) => sum + name.length + value.length, 0)
