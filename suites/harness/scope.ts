/** Things to be released together, last first. (Node 20 has no AsyncDisposableStack.) */
export class Scope implements AsyncDisposable {
  readonly #held: AsyncDisposable[] = []

  use<T extends AsyncDisposable>(resource: T): T {
    this.#held.push(resource)
    return resource
  }

  /** Runs at the end, before what was there already is released. */
  defer(release: () => Promise<unknown>): void {
    this.use({
      async [Symbol.asyncDispose]() {
        await release()
      },
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = []
    for (const resource of this.#held.splice(0).reverse()) {
      try {
        await resource[Symbol.asyncDispose]()
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, `releasing: ${String(errors[0])}`)
  }
}
