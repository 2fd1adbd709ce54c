/** Plans with a gate: what is before the last one is carried out first, and waits in the core for what is behind it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Begun, Shim } from './core-api.ts'
import { encodePlan, type ShimStep } from './encode.ts'
import { frame } from './frames.ts'
import type { Plan, Step } from './plan.ts'
import { PlanFailed } from './plan-failed.ts'
import { ShimGone, type Control } from './shim-control.ts'
import { SHIM_SOCKET, ShimClient } from './shim.ts'

/** The plan as it travels; the first part ends with the last gate, and is undefined without one. */
export function partsOf({ steps }: Plan, shim?: ShimStep): PlanParts {
  const end = steps.findLastIndex((step) => step.op === 'gate') + 1
  const first = steps.slice(0, end)
  return {
    first,
    encodeFirst: () => (end === 0 ? undefined : encodePlan({ steps: first })),
    encodeRest: () => encodePlan({ steps: steps.slice(end) }, shim),
  }
}

interface PlanParts {
  readonly first: readonly Step[]
  readonly encodeFirst: () => Buffer | undefined
  readonly encodeRest: () => Buffer
}

/** A runner at work on the first part of a plan, or waiting behind it. */
export class BegunPlan implements Begun {
  readonly #control: Control
  readonly #steps: readonly Step[]
  readonly #bytes: Buffer

  constructor(control: Control, steps: readonly Step[], bytes: Buffer) {
    this.#control = control
    this.#steps = steps
    this.#bytes = bytes
    control.tell(frame('P', bytes))
  }

  get gone(): Promise<void> {
    return this.#control.closed
  }

  drop(): void {
    this.#control.end()
  }

  /** Whether a plan that begins so can be carried on from here: with the very same steps, or the very same bytes. */
  fits({ first, encodeFirst }: PlanParts): boolean {
    if (first.length === this.#steps.length && first.every((step, n) => step === this.#steps[n])) return true
    return encodeFirst()?.equals(this.#bytes) === true
  }

  /** Undefined when it had ended, or ended before the command was run: then the whole of it may be done again. */
  async goOn(plan: Plan, rest: Buffer, runDir: string): Promise<Shim | undefined> {
    if (this.#control.gone) return undefined
    this.#control.turnTo(runDir, plan)
    try {
      return await launched(this.#control, rest, runDir)
    } catch (error) {
      if (hasRunNothing(error, plan, runDir)) return undefined
      throw error
    }
  }
}

/** Two processes that wait may be killed at any time, also in the moment before we hear of it. */
function hasRunNothing(error: unknown, { steps }: Plan, runDir: string): boolean {
  // The first thing that a shim does with the rest of a plan is to make its socket.
  if (error instanceof ShimGone) return !existsSync(join(runDir, SHIM_SOCKET))
  if (!(error instanceof PlanFailed)) return false
  const gate = steps.findLastIndex(({ op }) => op === 'gate')
  // Its parent finds the child gone: when it waits for it, or in the child's folder in /proc.
  const isGone =
    error.op === 'request'
      ? error.errno === 'ECHILD'
      : error.errno === 'ESRCH' && isParents(steps[error.step])
  return error.step < gate || isGone
}

const isParents = (step: Step | undefined): boolean => step?.actor === 'parent'

/** The whole plan at once. */
export function launchWhole(
  control: Control,
  { encodeFirst, encodeRest }: PlanParts,
  runDir: string,
): Promise<Shim> {
  const first = encodeFirst()
  if (first !== undefined) control.tell(frame('P', first))
  return launched(control, encodeRest(), runDir)
}

async function launched(control: Control, rest: Buffer, runDir: string): Promise<Shim> {
  control.linger()
  try {
    const started = await control.ask(frame('P', rest))
    return new ShimClient(control, runDir, started.payload)
  } catch (error) {
    control.close()
    throw error
  }
}
