/** Volumes of containers that are being made: nobody removes them before the container is there to name them. */
export class VolumeClaims {
  readonly #claims = new Map<string, ReadonlySet<string>>()

  add(volume: string, container: string): void {
    this.#claims.set(volume, new Set([...this.of(volume), container]))
  }

  of(volume: string): ReadonlySet<string> {
    return this.#claims.get(volume) ?? new Set()
  }

  /** The container is there, or was not made. */
  drop(container: string): void {
    for (const [volume, containers] of this.#claims) {
      const rest = new Set([...containers].filter((id) => id !== container))
      if (rest.size > 0) this.#claims.set(volume, rest)
      else this.#claims.delete(volume)
    }
  }
}
