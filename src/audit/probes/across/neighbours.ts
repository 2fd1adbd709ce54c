import { beside, tryInterference } from '../../interference.ts'
import type { Trial } from '../../interference.ts'
import type { Guest } from '../../guest-types.ts'
import type { ProbeContext } from '../../probe.ts'
import type { Subject, SubjectOptions } from '../../target.ts'
import type { Finding } from '../../verdict.ts'

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

export interface Contest extends Pick<Trial, 'what' | 'unit' | 'most'> {
  /** ns */
  readonly work: (guest: Guest) => Promise<number>
  readonly load: (guest: Guest, milliseconds: number) => Promise<number>
}

/** The victim's work beside the neighbour's load, and where it must be felt: beside the same load in its own container. */
export async function contest(context: ProbeContext, contested: Contest): Promise<Finding> {
  const { victim, inVictim, inNeighbour } = await neighbours(context)
  const own = await context.guest(victim)
  const { work, load, ...words } = contested
  const measure = (): Promise<number> => work(inVictim)
  return tryInterference({
    ...words,
    measure,
    load: (milliseconds) => load(inNeighbour, milliseconds),
    felt: {
      what: 'beside the same load in its own container',
      measure: async () => (await beside((milliseconds) => load(own, milliseconds), measure)).took,
    },
    signal: context.signal,
  })
}
