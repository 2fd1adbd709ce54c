/** One thing at a time, in call order. A holder that throws lets the next one go on. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /** How many hold or wait. */
  get busy(): number {
    return this.#waiting
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting += 1
    const mine = this.#tail.then(work, work)
    this.#tail = mine.catch(() => undefined)
    try {
      return await mine
    } finally {
      this.#waiting -= 1
    }
  }
}
