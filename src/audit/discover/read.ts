/** Reads many files with few questions, some bytes of each, and goes on after one that blocks. */
import { readCalls } from '../guest-files.ts'
import type { Answer, Guest } from '../guest-types.ts'

const PIECES = 4
const PIECE = 8192
const CALLS = PIECES + 2
/** Files of one question. */
const AT_ONCE = 80
/** ms for one question. */
const LIMIT = 3000

/** Contents by path; what cannot be read is empty, and what blocks is put into `blocking`. */
export async function readMany(
  guest: Guest,
  paths: readonly string[],
  blocking: Set<string>,
): Promise<ReadonlyMap<string, string>> {
  const contents = new Map<string, string>()
  let rest = paths.filter((path) => !blocking.has(path))
  while (rest.length > 0) {
    const calls = rest.flatMap((path, index) => readCalls(path, PIECES, index * CALLS, PIECE))
    const answers = await guest.inChild(calls, LIMIT)
    const stopped = answers.findIndex(({ errno }) => errno === -1)
    const done = stopped < 0 ? rest.length : Math.floor(stopped / CALLS)
    for (const [index, path] of rest.slice(0, done).entries())
      contents.set(path, contentOf(answers.slice(index * CALLS, (index + 1) * CALLS)))
    const culprit = rest[done]
    if (culprit !== undefined) blocking.add(culprit)
    rest = rest.slice(done + 1)
  }
  return contents
}

function contentOf(answers: readonly Answer[]): string {
  return Buffer.concat(answers.flatMap(({ out }) => out)).toString('latin1')
}

/** As many paths at a time as one question takes. */
export function piecesOf(paths: readonly string[]): readonly (readonly string[])[] {
  const count = Math.ceil(paths.length / AT_ONCE)
  return Array.from({ length: count }, (_, index) => paths.slice(index * AT_ONCE, (index + 1) * AT_ONCE))
}
