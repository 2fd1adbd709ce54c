import type { Difference } from './difference.ts'
import type { Row } from './row.ts'
import type { Answer } from './side.ts'

/** Why the reference's answer does not show what the row says, or undefined. */
export function unfulfilled(row: Row, answer: Answer): string | undefined {
  const code = row.code ?? 0
  if (answer.code !== code)
    return `dockerd gives exit code ${answer.code}, the row says ${code}\n${show(answer)}`
  if (row.shows === undefined || row.shows.test(`${answer.stdout}\n${answer.stderr}`)) return undefined
  return `dockerd does not show ${String(row.shows)}\n${show(answer)}`
}

/**
 * What differs and is not among the known differences, in words; `used` gets the entries that did explain something.
 */
export function unexplained(
  expected: Answer,
  actual: Answer,
  known: readonly Difference[],
  used: Set<Difference>,
): string[] {
  return (['code', 'stdout', 'stderr'] as const).flatMap((part) => {
    if (expected[part] === actual[part]) return []
    const entry = known.find((difference) => difference.part === part)
    if (entry === undefined) return [`${part} differs:\n${lineDifference(expected[part], actual[part])}`]
    if (!entry.ours.test(String(actual[part])))
      return [
        `${part} differs as known (${entry.reason}), but is not ${String(entry.ours)}:\n${actual[part]}`,
      ]
    used.add(entry)
    return []
  })
}

export function show({ code, stdout, stderr }: Answer): string {
  return `code: ${code}\nstdout: ${stdout}\nstderr: ${stderr}`
}

function lineDifference(expected: string | number, actual: string | number): string {
  const wanted = String(expected).split('\n')
  const got = String(actual).split('\n')
  return [
    ...wanted.filter((line) => !got.includes(line)).map((line) => `  - ${JSON.stringify(line)}`),
    ...got.filter((line) => !wanted.includes(line)).map((line) => `  + ${JSON.stringify(line)}`),
    ...(wanted.length === got.length ? [] : [`  (${wanted.length} lines against ${got.length})`]),
  ].join('\n')
}
