/**
 * Containers of a build have names that tell which build they are of: an engine that was killed in the middle leaves the
 * build's folder, and the next one finds by it what may still run.
 */

/** `build`: the id that its folder has, too. */
export function stepNames(build: string): () => string {
  let count = 0
  return () => `build-${build.slice(0, 16)}-${(count += 1)}`
}

export function isStepOf(build: string, name: string): boolean {
  return name.startsWith(`build-${build.slice(0, 16)}-`)
}
