/** Quotas that the kernel counts per user, whoever's container the user is in. */
import type { Guest } from '../../guest-types.ts'
import type { Probe } from '../../probe.ts'
import { absent, conclude } from '../../verdict.ts'
import { across, neighbours } from './neighbours.ts'

/** What the victim holds while others are asked: little of the usual 128, so that the host keeps enough. */
const HELD = 24
const MOST = 1000
const ROUNDS = 3

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

/** By how much less others get while the victim holds some. */
async function lackOf(victim: Guest, other: Guest): Promise<{ readonly lack: number; readonly free: Quota }> {
  const answers = await victim.batch(
    Array.from({ length: HELD }, () => ({ name: 'inotify_init1', args: [0] })),
  )
  const held = answers.filter(({ error }) => error === '').map(({ value }) => value)
  const during = await quotaOf(other)
  await victim.batch(held.map((fd) => ({ name: 'close', args: [fd] })))
  const free = await quotaOf(other)
  if (held.length < HELD) throw new Error(`the victim gets only ${held.length} instances itself`)
  return { lack: free.got - during.got, free }
}

/** Others of the machine may make one or two meanwhile. */
const isAll = (lack: number): boolean => lack > HELD * 0.75 && lack < HELD * 1.25

/** Between none and all, or beyond: somebody else took or gave back so many that the round says nothing. */
const isNone = (lack: number): boolean => Math.abs(lack) <= HELD / 4

export function judgeLacks(lacks: readonly number[]): 'shared' | 'own' | 'unclear' {
  if (lacks.length < ROUNDS) return 'unclear'
  if (lacks.every(isAll)) return 'shared'
  return lacks.every(isNone) ? 'own' : 'unclear'
}

export const inotifyQuota: Probe = {
  ...across,
  id: 'A15',
  slug: 'across.res.inotify-epoll',
  asset: 'resources',
  question:
    'Does a neighbour use up a quota that the kernel counts per user, so that another container gets none?',
  method: `It is counted how many inotify instances one container gets while another holds ${HELD}, and while it holds none, ${ROUNDS} times.`,
  references: ['Demons 2021'],
  remedy: 'Give each container a range of user ids of its own (--userns-remap, or an engine that does).',
  interference: 'bounded',
  async run(context) {
    const { victim, inVictim, inNeighbour } = await neighbours(context)
    const own = await lackOf(inVictim, await context.guest(victim))
    if (own.free.got === MOST) return absent(`nothing bounds it: ${MOST} instances were made`)
    const others: { readonly lack: number; readonly free: Quota }[] = []
    while (others.length < ROUNDS) others.push(await lackOf(inVictim, inNeighbour))
    const judged = judgeLacks(others.map(({ lack }) => lack))
    const lacks = others.map(({ lack }) => lack).join(', ')
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
          what: `within one container what is held is lacking (${own.lack} of ${HELD})`,
          held: isAll(own.lack),
        },
        {
          what: `it is no limit of open files that ends it (after ${others[0]?.free.got})`,
          held: others.every(({ free }) => !free.files && free.got < MOST),
        },
        { what: `no round says otherwise (${lacks} fewer)`, held: judged === 'own' },
      ],
      leak: 'The quota is shared: what one holds the other lacks.',
      contained: `What the victim holds the neighbour does not lack (${lacks} fewer of ${others[0]?.free.got}).`,
    })
  },
}
