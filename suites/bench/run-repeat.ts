import { command } from '../harness/command.ts'

/** Milliseconds of `count` runs of a program, started by a small C process; its first three runs are thrown away. */
export async function runRepeat(
  repeat: string,
  count: number,
  argv: readonly string[],
  options: {
    readonly cwd?: string
    readonly wrap?: readonly string[]
    readonly env?: Readonly<Record<string, string>>
  } = {},
): Promise<number[]> {
  const { wrap = [], ...rest } = options
  const result = await command([...wrap, repeat, String(count + 3), ...argv], {
    ...rest,
    check: true,
    timeout: 300_000,
  })
  return numbersOf(result.stdout).slice(3)
}

export function numbersOf(text: string): number[] {
  return text.trim().split('\n').map(Number)
}
