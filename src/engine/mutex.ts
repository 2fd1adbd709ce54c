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

/** One for each key, as long as somebody holds or waits. */
export class Mutexes {
  readonly #locks = new Map<string, Mutex>()

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const lock = this.#locks.get(key) ?? new Mutex()
    this.#locks.set(key, lock)
    try {
      return await lock.run(work)
    } finally {
      if (lock.busy === 0) this.#locks.delete(key)
    }
  }
}
