/** Volumes of containers that are being made: nobody removes them before the container is there to name them. */
export class VolumeClaims {
  readonly #claims = new Map<string, ReadonlySet<string>>()
  readonly #made = new Map<string, readonly string[]>()

  /** `made`: now, and for this container alone. */
  add(volume: string, container: string, made: boolean): void {
    this.#claims.set(volume, new Set([...this.of(volume), container]))
    if (made) this.#made.set(container, [...this.madeFor(container), volume])
  }

  madeFor(container: string): readonly string[] {
    return this.#made.get(container) ?? []
  }

  of(volume: string): ReadonlySet<string> {
    return this.#claims.get(volume) ?? new Set()
  }

  /** The container is there, or was not made. */
  drop(container: string): void {
    this.#made.delete(container)
    for (const [volume, containers] of this.#claims) {
      const rest = new Set([...containers].filter((id) => id !== container))
      if (rest.size > 0) this.#claims.set(volume, rest)
      else this.#claims.delete(volume)
    }
  }
}
