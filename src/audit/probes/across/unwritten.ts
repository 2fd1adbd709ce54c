/** What a container has written and the kernel not yet: how much its group says it is. */
import { groupFile } from '../../control-group.ts'
import type { Call, Guest } from '../../guest-types.ts'
import { WORK_FOLDER } from '../../image.ts'

export const PIECE = 8 * 2 ** 20

/** Bytes of the group that wait to be written, or are just being written; undefined where no group counts them. */
export function unwritten(pid: number): number | undefined {
  const text = groupFile(pid, ['memory', 'memory.stat'], 'memory.stat')
  const field = (name: string): number =>
    Number(new RegExp(`^(?:total_|file_)${name} (\\d+)`, 'm').exec(text)?.[1] ?? Number.NaN)
  const sum = field('dirty') + field('writeback')
  return Number.isNaN(sum) ? undefined : sum
}

const O_RDWR_CREAT_TRUNC = 0o1102
const [PROT_READ, MAP_PRIVATE_ANONYMOUS] = [1, 0x22]

/** Zeros, out of memory that is made inside: so much sent there first would take its time. */
function writing(name: string): readonly Call[] {
  return [
    { name: 'mmap', args: [0, PIECE, PROT_READ, MAP_PRIVATE_ANONYMOUS, -1, 0], ends: true },
    {
      name: 'openat',
      args: [-100, { in: `${WORK_FOLDER}/${name}\0` }, O_RDWR_CREAT_TRUNC, 0o644],
      ends: true,
    },
    { name: 'write', args: [{ result: 1 }, { result: 0 }, PIECE] },
    { name: 'close', args: [{ result: 1 }] },
    { name: 'munmap', args: [{ result: 0 }, PIECE] },
  ]
}

/** Writes that much without sync; how much of it then waits. */
export async function leaveUnwritten(guest: Guest, pid: number, name: string): Promise<number> {
  const before = unwritten(pid) ?? 0
  const answers = await guest.batch(writing(name))
  if (Number(answers[2]?.value) !== PIECE) {
    const error = answers.find((answer) => answer.error !== '')?.error ?? 'it wrote less'
    throw new Error(`writing inside failed: ${error}`)
  }
  return (unwritten(pid) ?? 0) - before
}

/** The most that the group had unwritten meanwhile: who has a tenth of a processor answers when it is written already. */
export async function mostUnwritten(guest: Guest, pid: number, name: string): Promise<number> {
  const before = unwritten(pid) ?? 0
  let most = before
  const look = (): void => void (most = Math.max(most, unwritten(pid) ?? 0))
  const looking = setInterval(look, 5)
  try {
    await leaveUnwritten(guest, pid, name)
  } finally {
    clearInterval(looking)
  }
  look()
  return most - before
}
