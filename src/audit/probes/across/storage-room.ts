/** Room on disk between neighbours: proven by what little is written, not by filling the disk. */
import { randomBytes } from 'node:crypto'
import type { Call, Guest } from '../../guest-types.ts'
import { WORK_FOLDER } from '../../image.ts'
import type { Probe, ProbeContext } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import type { Finding } from '../../verdict.ts'
import { across, neighbours } from './neighbours.ts'

const MIB = 2 ** 20
const ROUNDS = 3
const FILES = 1500

interface Room {
  readonly bytes: number
  readonly inodes: number
}

/** struct statfs: what is free to the user. */
async function roomOf(guest: Guest): Promise<Room> {
  const { out, error } = await guest.syscall('statfs', { in: `${WORK_FOLDER}\0` }, { out: 120 })
  const answer = out[0]
  if (answer === undefined || error !== '') throw new Error(`statfs inside failed: ${error}`)
  const number = (at: number): number => Number(answer.readBigInt64LE(at))
  return { bytes: number(32) * number(8), inodes: number(48) }
}

interface Pool {
  readonly what: keyof Room
  readonly amount: number
  readonly take: (guest: Guest, round: number) => Promise<void>
}

/** The victim's room falls by what the neighbour takes, each time: then they share one pool, and nothing bounds it. */
async function sharedPool(context: ProbeContext, { what, amount, take }: Pool): Promise<Finding> {
  const { inVictim, inNeighbour } = await neighbours(context)
  const evidence: Evidence[] = []
  let own = 0
  let apart = true
  for (let round = 0; round < ROUNDS; round += 1) {
    const [victim, neighbour] = [(await roomOf(inVictim))[what], (await roomOf(inNeighbour))[what]]
    // Free room of the same size is that of one pool, whatever the noise of others makes of the differences.
    if (Math.abs(victim - neighbour) < amount * 4) apart = false
    await take(inNeighbour, round)
    const fell = victim - (await roomOf(inVictim))[what]
    // Others on the machine write too: near what was taken is enough.
    if (neighbour - (await roomOf(inNeighbour))[what] > amount / 2) own += 1
    if (fell > amount * 0.6 && fell < amount * 4)
      evidence.push({ kind: 'measurement', text: `the victim's room fell by ${fell} ${what} of ${victim}` })
  }
  return conclude({
    seen: evidence.length === ROUNDS ? evidence : [],
    controls: [
      { what: "the neighbour's own room falls by what it takes", held: own === ROUNDS },
      {
        what: 'both have room of different size, and none fell with the other',
        held: apart && evidence.length === 0,
      },
    ],
    leak: `All containers take ${what} from one pool, the host's, and nothing bounds them.`,
    contained: 'What the neighbour takes the victim does not lack.',
  })
}

export const diskFill: Probe = {
  ...across,
  id: 'A08',
  slug: 'across.disk.fill',
  asset: 'resources',
  question: 'Can a neighbour fill the disk that another container writes to?',
  method:
    'One container writes 24 MiB three times; it is measured whether the room of the other falls by that.',
  references: ['moby#47453', 'CWE-770'],
  remedy: 'Give containers a quota (--storage-opt size=…) or the storage folder a file system of its own.',
  interference: 'bounded',
  run: (context) =>
    sharedPool(context, {
      what: 'bytes',
      amount: 24 * MIB,
      take: (guest, round) =>
        guest.writeFile(`${WORK_FOLDER}/fill-${round}`, randomBytes(24 * MIB), { sync: true }),
    }),
}

export const diskInodes: Probe = {
  ...across,
  id: 'A07',
  slug: 'across.disk.inodes',
  asset: 'resources',
  question: 'Can a neighbour use up the inodes that another container needs for its files?',
  method: `One container makes ${FILES} files three times; it is measured whether the inodes of the other fall.`,
  references: ['moby#34694'],
  remedy: 'Give containers an inode quota or the storage folder a file system of its own.',
  interference: 'bounded',
  run: (context) =>
    sharedPool(context, {
      what: 'inodes',
      amount: FILES,
      take: async (guest, round) => {
        const folder = `${WORK_FOLDER}/inodes-${round}`
        await guest.makeFolder(folder)
        const make = (index: number): Call => ({
          name: 'mknodat',
          args: [-100, { in: `${folder}/${index}\0` }, 0o100644, 0],
        })
        await guest.batch(Array.from({ length: FILES }, (_, index) => make(index)))
      },
    }),
}
