/** The names that someone who typed `word` may have meant, best first: few letters apart. */
export function suggest(word: string, names: readonly string[]): string[] {
  const limit = word.length <= 3 ? 1 : 2
  return names
    .map((name) => ({ name, far: distance(word, name) }))
    .filter(({ name, far }) => far <= limit || (word.length > 2 && name.startsWith(word)))
    .sort((a, b) => a.far - b.far || a.name.localeCompare(b.name))
    .slice(0, 3)
    .map(({ name }) => name)
}

/** Damerau-Levenshtein (optimal string alignment): insert, delete, replace, swap neighbours. */
export function distance(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1]
      const swap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current[column] = Math.min(
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (same ? 0 : 1),
        swap ? (before[column - 2] ?? 0) + 1 : Infinity,
      )
    }
    before = above
    above = current
  }
  return above[b.length] ?? 0
}
