import { constants } from 'node:os'
import type { PlanFailure } from './core-api.ts'

const NAMES = new Map<number, string>(Object.entries(constants.errno).map(([name, n]) => [n, name]))

/** "ENOENT" for 2; the bare number for what this libc does not name. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`
}

/** A step of a plan could not be carried out. The engine turns it into an error a person can act on. */
export class PlanFailed extends Error implements PlanFailure {
  readonly step: number
  readonly op: string
  readonly errno: string
  readonly path: string

  constructor(failure: PlanFailure) {
    super(`step ${failure.step} (${failure.op}) failed: ${failure.errno}: ${failure.path}`)
    this.name = 'PlanFailed'
    this.step = failure.step
    this.op = failure.op
    this.errno = failure.errno
    this.path = failure.path
  }
}
