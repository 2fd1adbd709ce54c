import { ClientError } from '../client/connect.ts'
import type { Cli } from './cli.ts'
import { Failure } from './failure.ts'
import { engineMessage } from './run-argv.ts'

const AT_ONCE = 50

/** Does something to each name, many at once; shows in the order given what went well, and what did not at the end. */
export async function eachName(
  names: readonly string[],
  cli: Cli,
  act: (name: string) => Promise<string | void>,
): Promise<number> {
  const results: Promise<string | void>[] = []
  const errors: string[] = []
  for (let from = 0; from < names.length; from += AT_ONCE) {
    const batch = names.slice(from, from + AT_ONCE)
    results.push(...batch.map(act))
    await Promise.allSettled(results)
  }
  for (const [index, result] of results.entries()) {
    try {
      const shown = await result
      if (shown !== '') cli.say(shown ?? names[index] ?? '')
    } catch (error) {
      errors.push(messageFor(error))
    }
  }
  if (errors.length > 0) throw new Failure(errors.join('\n'))
  return 0
}

/** Of what a command may report and go on; a defect is thrown again. */
export function messageFor(error: unknown): string {
  if (error instanceof ClientError) return engineMessage(error)
  if (error instanceof Failure) return error.message
  throw error
}
