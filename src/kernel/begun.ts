/** Plans with a gate: what is before the last one is carried out first, and waits in the core for what is behind it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Begun, Shim } from './core-api.ts'
import { encodePlan, type ShimStep } from './encode.ts'
import { frame } from './frames.ts'
import type { Plan } from './plan.ts'
import { PlanFailed } from './plan-failed.ts'
import { ShimGone, type Control } from './shim-control.ts'
import { SHIM_SOCKET, ShimClient } from './shim.ts'

/** The plan as it travels; `first` ends with the last gate, and is undefined without one. */
export function encodeParts(
  { steps }: Plan,
  shim?: ShimStep,
): { readonly first: Buffer | undefined; readonly rest: () => Buffer } {
  const end = steps.findLastIndex((step) => step.op === 'gate') + 1
  return {
    first: end === 0 ? undefined : encodePlan({ steps: steps.slice(0, end) }),
    rest: () => encodePlan({ steps: steps.slice(end) }, shim),
  }
}

/** A runner at work on the first part of a plan, or waiting behind it. */
export class BegunPlan implements Begun {
  readonly #control: Control
  readonly #first: Buffer

  constructor(control: Control, first: Buffer) {
    this.#control = control
    this.#first = first
    control.tell(frame('P', first))
  }

  get gone(): Promise<void> {
    return this.#control.closed
  }

  drop(): void {
    this.#control.end()
  }

  /** Whether a plan that begins so can be carried on from here. */
  fits(first: Buffer | undefined): boolean {
    return first !== undefined && first.equals(this.#first)
  }

  /** Undefined when it had ended, or ended before the command was run: then the whole of it may be done again. */
  async goOn(plan: Plan, rest: Buffer, runDir: string): Promise<Shim | undefined> {
    if (this.#control.gone) return undefined
    const gate = plan.steps.findLastIndex((step) => step.op === 'gate')
    this.#control.turnTo(runDir, plan)
    try {
      return await launched(this.#control, rest, runDir)
    } catch (error) {
      if (hasRunNothing(error, gate, runDir)) return undefined
      throw error
    }
  }
}

/** Two processes that wait may be killed at any time, also in the moment before we hear of it. */
function hasRunNothing(error: unknown, gate: number, runDir: string): boolean {
  // The first thing that a shim does with the rest of a plan is to make its socket.
  if (error instanceof ShimGone) return !existsSync(join(runDir, SHIM_SOCKET))
  if (!(error instanceof PlanFailed)) return false
  return error.step < gate || (error.op === 'request' && error.errno === 'ECHILD')
}

/** The whole plan at once. */
export function launchWhole(
  control: Control,
  { first, rest }: ReturnType<typeof encodeParts>,
  runDir: string,
): Promise<Shim> {
  if (first !== undefined) control.tell(frame('P', first))
  return launched(control, rest(), runDir)
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
