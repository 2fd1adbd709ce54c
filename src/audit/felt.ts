/**
 * That a load is one: beside work of the same kind, where nothing stands between the two, it is given its part. One
 * stretch of time does not tell: a limit of a tenth gives 10 ms in 100, which is two or three turns of the scheduler
 * (4 ms at 250 Hz), so that who comes first may have nearly all of four or five periods; and others on the machine have their
 * bursts. So stretches are added up until the load has its part. What takes next to nothing has it in no sum.
 */
import type { Control } from './types.ts'

const LEAST_STRETCHES = 3
const MOST_STRETCHES = 20

export interface Felt {
  /** `the same load in the victim's own container`. */
  readonly what: string
  /** Each for one stretch; how often it was done. */
  readonly work: () => Promise<number>
  readonly load: () => Promise<number>
  /** The load's part, of what the work is given. */
  readonly least: number
  readonly signal: AbortSignal
}

export async function isFelt({ what, work, load, least, signal }: Felt): Promise<Control> {
  let [mine, others, held, stretches] = [0, 0, false, 0]
  for (; !held && stretches < MOST_STRETCHES; stretches += 1) {
    signal.throwIfAborted()
    // In turns, so that to be asked first is nobody's advantage.
    const both = stretches % 2 === 0 ? [work, load] : [load, work]
    const [first = 0, second = 0] = await Promise.all(both.map((one) => one()))
    const [done, taken] = stretches % 2 === 0 ? [first, second] : [second, first]
    mine += done
    others += taken
    held = stretches + 1 >= LEAST_STRETCHES && mine > 0 && others > mine * least
  }
  const part = `at least ${Number(least.toFixed(2))} of what the work is given`
  return {
    what: `${what} is given its part (${part}: ${others} bursts to ${mine}, ${stretches} stretches)`,
    held,
  }
}
