/** Images of containers that are being made: they and their layers stay until the container is there to name them. */
interface Claimed {
  readonly id: string
  /** Layer folders. */
  readonly lower: readonly string[]
}

export class ImageClaims {
  readonly #claims = new Map<string, readonly Claimed[]>()

  add(container: string, image: Claimed): void {
    this.#claims.set(container, [...(this.#claims.get(container) ?? []), image])
  }

  /** The containers. */
  of(imageId: string): readonly string[] {
    return [...this.#claims].flatMap(([container, images]) =>
      images.some(({ id }) => id === imageId) ? [container] : [],
    )
  }

  folders(): readonly string[] {
    return [...this.#claims.values()].flat().flatMap(({ lower }) => lower)
  }

  /** The container is there, or was not made. */
  drop(container: string): void {
    this.#claims.delete(container)
  }
}
