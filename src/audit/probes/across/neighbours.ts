import type { Guest } from '../../guest-types.ts'
import type { ProbeContext } from '../../probe.ts'
import type { Subject, SubjectOptions } from '../../target.ts'

export interface Neighbours {
  readonly victim: Subject
  readonly neighbour: Subject
  /** Programs inside each. */
  readonly inVictim: Guest
  readonly inNeighbour: Guest
}

/** Two containers of the target that know nothing of each other. */
export async function neighbours(
  { create, guest }: ProbeContext,
  options: { readonly victim?: SubjectOptions; readonly neighbour?: SubjectOptions } = {},
): Promise<Neighbours> {
  const victim = await create(options.victim)
  const neighbour = await create(options.neighbour)
  return { victim, neighbour, inVictim: await guest(victim), inNeighbour: await guest(neighbour) }
}

export const across = { direction: 'across', observers: ['neighbour'], readOnly: false } as const
