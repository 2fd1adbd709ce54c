/** All containers of an engine, found by id, unique id prefix or name. */
import { DewarError } from '../base/errors.ts'
import { nameConflict } from './names.ts'

interface Listed {
  readonly id: string
  readonly name: string
}

/** Milliseconds in which what was taken off the list can still be asked for. */
const MEMORY = 10_000

export class Directory<T extends Listed> {
  readonly #byId = new Map<string, T>()
  readonly #idByName = new Map<string, string>()
  readonly #departed = new Map<string, T>()

  get size(): number {
    return this.#byId.size
  }

  values(): IterableIterator<T> {
    return this.#byId.values()
  }

  hasName(name: string): boolean {
    return this.#idByName.has(name)
  }

  /** Takes the name at once, so that two requests at the same time cannot both have it. */
  reserveName(name: string, id: string): void {
    const owner = this.#idByName.get(name)
    if (owner !== undefined && owner !== id) throw nameConflict(name, owner)
    this.#idByName.set(name, id)
  }

  freeName(name: string): void {
    this.#idByName.delete(name)
  }

  add(item: T): void {
    this.reserveName(item.name, item.id)
    this.#byId.set(item.id, item)
  }

  delete(item: T): void {
    this.#byId.delete(item.id)
    if (this.#idByName.get(item.name) === item.id) this.#idByName.delete(item.name)
    this.#departed.set(item.id, item)
    setTimeout(() => this.#departed.delete(item.id), MEMORY).unref()
  }

  /** What had this full id and was taken off the list a moment ago. */
  departed(id: string): T | undefined {
    return this.#departed.get(id)
  }

  byId(id: string): T | undefined {
    return this.#byId.get(id)
  }

  /** Throws not-found with the words Docker's clients match on. */
  find(ref: string): T {
    const found = this.lookup(ref)
    if (found === undefined) throw new DewarError('not-found', `No such container: ${ref}`)
    return found
  }

  /** A full id, then a name, then a prefix of an id, as with Docker. Throws when a prefix is ambiguous. */
  lookup(ref: string): T | undefined {
    const name = ref.startsWith('/') ? ref.slice(1) : ref
    const exact = this.#byId.get(ref) ?? this.#byId.get(this.#idByName.get(name) ?? '')
    if (exact !== undefined || !/^[0-9a-f]{1,63}$/.test(ref)) return exact
    const matches = [...this.#byId.values()].filter((item) => item.id.startsWith(ref))
    if (matches.length > 1) {
      throw new DewarError('invalid-argument', `Multiple IDs found with provided prefix: ${ref}`)
    }
    return matches[0]
  }
}
