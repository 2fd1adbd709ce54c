/** Quotas that the kernel counts per user, whoever's container the user is in. */
import { agreement } from '../../agreement.ts'
import type { Guest } from '../../guest-types.ts'
import type { Probe } from '../../probe.ts'
import { absent, conclude } from '../../verdict.ts'
import { across, neighbours } from './neighbours.ts'

/** What the victim holds while others are asked: little of the usual 128, so that the host keeps enough. */
const HELD = 24
const MOST = 1000

interface Quota {
  readonly got: number
  /** Its limit of open files ended it. */
  readonly files: boolean
}

/** How many instances it gets. They are made in a moment, and end with the child that made them. */
async function quotaOf(guest: Guest): Promise<Quota> {
  const answers = await guest.inChild([
    ...Array.from({ length: MOST }, () => ({ name: 'inotify_init1', args: [0] })),
    { name: 'dup', args: [2] },
  ])
  const made = answers.slice(0, MOST).filter(({ error }) => error === '').length
  return { got: made, files: made < MOST && answers.at(-1)?.error === 'EMFILE' }
}

interface Lack {
  /** By how much less others get while the victim holds some; NaN when it could not get so many just then. */
  readonly lack: number
  readonly free: Quota
}

async function lackOf(victim: Guest, other: Guest): Promise<Lack> {
  const answers = await victim.batch(
    Array.from({ length: HELD }, () => ({ name: 'inotify_init1', args: [0] })),
  )
  const held = answers.filter(({ error }) => error === '').map(({ value }) => value)
  const during = await quotaOf(other)
  await victim.batch(held.map((fd) => ({ name: 'close', args: [fd] })))
  const free = await quotaOf(other)
  // Another container of its user may have all in this moment.
  return { lack: held.length < HELD ? Number.NaN : free.got - during.got, free }
}

/** Others of the machine may make one or two meanwhile. */
const isAll = (lack: number): boolean => lack > HELD * 0.75 && lack < HELD * 1.25

/** Between none and all, or beyond: somebody else took or gave back so many that the round says nothing. */
const isNone = (lack: number): boolean => Math.abs(lack) <= HELD / 4

/** Rounds of the control: for a moment each takes all that the user may have, so no more than are needed. */
const OWN = 3
const mostlyAll = (lacks: readonly number[]): boolean => lacks.filter(isAll).length > lacks.length / 2

export function judgeLacks(lacks: readonly number[]): 'shared' | 'own' | 'more' | 'unclear' {
  const agreed = agreement(lacks.map(isAll), lacks.map(isNone))
  return agreed === 'yes' ? 'shared' : agreed === 'no' ? 'own' : agreed
}

export const inotifyQuota: Probe = {
  ...across,
  id: 'A15',
  slug: 'across.res.inotify-epoll',
  asset: 'resources',
  question:
    'Does a neighbour use up a quota that the kernel counts per user, so that another container gets none?',
  method: `It is counted how many inotify instances one container gets while another holds ${HELD}, and while it holds none.`,
  references: ['Demons 2021'],
  remedy: 'Give each container a range of user ids of its own (--userns-remap, or an engine that does).',
  interference: 'bounded',
  async run(context) {
    const { victim, inVictim, inNeighbour } = await neighbours(context)
    const second = await context.guest(victim)
    const own: Lack[] = []
    const others: Lack[] = []
    const of = (rounds: readonly Lack[]): number[] => rounds.map(({ lack }) => lack)
    do {
      context.signal.throwIfAborted()
      if (own.length < OWN || !mostlyAll(of(own))) own.push(await lackOf(inVictim, second))
      others.push(await lackOf(inVictim, inNeighbour))
      if (others.every(({ free }) => free.got === MOST))
        return absent(`nothing bounds it: ${MOST} instances were made`)
    } while (judgeLacks(of(others)) === 'more')
    const judged = judgeLacks(of(others))
    const lacks = of(others).join(', ')
    return conclude({
      seen:
        judged === 'shared'
          ? [
              {
                kind: 'measurement',
                text: `${lacks} fewer of ${others[0]?.free.got} while another holds ${HELD}`,
              },
            ]
          : [],
      controls: [
        {
          what: `within one container what is held is lacking (${of(own).join(', ')} of ${HELD})`,
          held: mostlyAll(of(own)),
        },
        {
          what: `it is no limit of open files that ends it (after ${others[0]?.free.got})`,
          held: others.every(({ free }) => !free.files && free.got < MOST),
        },
        { what: `the rounds agree (${lacks} fewer)`, held: judged === 'own' },
      ],
      leak: 'The quota is shared: what one holds the other lacks.',
      contained: `What the victim holds the neighbour does not lack (${lacks} fewer of ${others[0]?.free.got}).`,
    })
  },
}
