import { createInterface } from 'node:readline/promises'
import type { Cli } from './cli.ts'

/** Asks on stdout, reads one line: y or Y is yes, everything else (the end of input too) is no. */
export async function confirm(question: string, cli: Cli): Promise<boolean> {
  cli.stdout.write(`${question} [y/N] `)
  const lines = createInterface({ input: cli.stdin })
  try {
    for await (const line of lines) return line.trim().toLowerCase() === 'y'
    return false
  } finally {
    lines.close()
    cli.stdout.write('\n')
  }
}
