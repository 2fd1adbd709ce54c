/** Private uid/gid ranges: one per container, never two the same in one engine, unlikely between engines. */
import { DewarError } from '../base/errors.ts'
import type { IdRange } from './spec-namespaces.ts'

/** Ids end here although the kernel's are unsigned: procps and others show those above as negative numbers. */
const LAST = 2 ** 31 - 1

export class IdRanges {
  readonly #base: number
  readonly #size: number
  readonly #slots: number
  readonly #used = new Map<number, string>()

  constructor(base: number, size: number) {
    this.#base = base
    this.#size = size
    this.#slots = Math.floor((LAST - base) / size)
  }

  /**
   * The container's id picks the slot, so that several engines on one machine, which do not know of each other,
   * seldom meet; the next free one follows. O(1) while few of the 32,700 are used.
   */
  take(id: string): IdRange {
    const first = Number.parseInt(id.slice(0, 12), 16) % this.#slots
    for (let n = 0; n < this.#slots; n += 1) {
      const slot = (first + n) % this.#slots
      if (this.#used.has(slot)) continue
      this.#used.set(slot, id)
      return { base: this.#base + slot * this.#size, size: this.#size }
    }
    throw new DewarError('system', 'No uid range is left for another container', {
      remedy: 'remove some containers',
    })
  }

  /** How many more can be taken. */
  get free(): number {
    return this.#slots - this.#used.size
  }

  /** A recorded range. `idBase` may have been another then: ranges that overlap a slot occupy it. */
  adopt(id: string, range: IdRange): void {
    for (const slot of this.#slotsOf(range)) this.#used.set(slot, id)
  }

  /** Ranges shared by joining (pods) stay with their first owner. */
  release(id: string, range: IdRange): void {
    for (const slot of this.#slotsOf(range)) if (this.#used.get(slot) === id) this.#used.delete(slot)
  }

  /** For a container that was never made. */
  forget(id: string): void {
    for (const [slot, owner] of this.#used) if (owner === id) this.#used.delete(slot)
  }

  #slotsOf(range: IdRange): number[] {
    const first = Math.floor((range.base - this.#base) / this.#size)
    const last = Math.floor((range.base + range.size - 1 - this.#base) / this.#size)
    const slots: number[] = []
    for (let slot = Math.max(first, 0); slot <= Math.min(last, this.#slots - 1); slot += 1) slots.push(slot)
    return slots
  }
}
