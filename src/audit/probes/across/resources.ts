/** Memory, processes and descriptors between neighbours. */
import { closeSync, openSync, readFileSync } from 'node:fs'
import { agreement, middle } from '../../agreement.ts'
import { groupFile } from '../../control-group.ts'
import type { Call, Guest } from '../../guest-types.ts'
import { hostCommand } from '../../host-command.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import { across, neighbours } from './neighbours.ts'

const MIB = 2 ** 20
const SIGCHLD = 17
const PROT_READ_WRITE = 3
const MAP_PRIVATE_ANONYMOUS = 0x22
const MADV_POPULATE_WRITE = 23

async function touch(guest: Guest, size: number): Promise<boolean> {
  const [mapped, touched] = await guest.inChild([
    { name: 'mmap', args: [0, size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0], ends: true },
    { name: 'madvise', args: [{ result: 0 }, size, MADV_POPULATE_WRITE] },
  ])
  return mapped?.error === '' && touched?.error === ''
}

export const memoryHog: Probe = {
  ...across,
  id: 'A02',
  slug: 'across.res.memory-hog',
  asset: 'resources',
  question: 'Can a neighbour take more memory than its limit, or harm others when it tries?',
  method: 'A container limited to 64 MiB touches 160 MiB; another one touches 32 MiB after that.',
  references: ['Matthews 2007', 'CWE-770', 'T1499.001'],
  remedy: 'Give every container a memory limit (-m); none is set by default.',
  interference: 'bounded',
  async run(context) {
    const limited = { memory: 64 * MIB }
    const { victim, inVictim, inNeighbour } = await neighbours(context, { neighbour: limited })
    const small = await touch(inNeighbour, 8 * MIB).catch(() => false)
    const large = await touch(inNeighbour, 160 * MIB).catch(() => false)
    const fine = await touch(inVictim, 32 * MIB).catch(() => false)
    const seen: Evidence[] = []
    if (large) seen.push({ kind: 'measurement', text: 'a container limited to 64 MiB touched 160 MiB' })
    if (!(await victim.alive())) seen.push({ kind: 'process', text: 'the victim was killed' })
    if (!fine) seen.push({ kind: 'measurement', text: 'the victim could not touch 32 MiB any more' })
    return conclude({
      seen,
      controls: [{ what: 'within its limit the neighbour gets memory', held: small }],
      leak: 'The limit does not hold, or the victim pays for the neighbour.',
      contained:
        'The neighbour was stopped at its limit, the victim works on. Without a limit nothing stops it.',
    })
  },
}

const CLONE: Call = { name: 'clone', args: [SIGCHLD, 0, 0, 0, 0] }
const PIDS = 48

export const forkBomb: Probe = {
  ...across,
  id: 'A03',
  slug: 'across.res.fork-bomb',
  asset: 'resources',
  question: 'Can a neighbour make more processes than its limit, or keep others from making any?',
  method: `A container limited to ${PIDS} processes tries 150; then another one and the host make one each.`,
  references: ['Demons 2021', 'Matthews 2007', 'T1499.001'],
  remedy: 'Give every container a limit of processes (--pids-limit).',
  interference: 'bounded',
  async run(context) {
    const { inVictim, inNeighbour } = await neighbours(context, { neighbour: { pids: PIDS } })
    const attempts = await inNeighbour.inChild(
      Array.from({ length: 150 }, () => CLONE),
      5000,
    )
    const made = attempts.filter(({ error }) => error === '').length
    const [victim] = await inVictim.inChild([CLONE])
    const host = await hostCommand(['true'])
    const seen: Evidence[] = []
    if (made > PIDS) seen.push({ kind: 'measurement', text: `${made} processes with a limit of ${PIDS}` })
    if (victim?.error !== '')
      seen.push({ kind: 'syscall', text: `clone of the victim: ${victim?.error ?? ''}` })
    if (host.code !== 0) seen.push({ kind: 'process', text: 'the host could not start a program' })
    return conclude({
      seen,
      controls: [{ what: `the neighbour made processes (${made})`, held: made > 5 }],
      leak: 'The limit does not hold, or others cannot make processes any more.',
      contained: `The neighbour got ${made} of 150, the others work on. Without a limit nothing stops it.`,
    })
  },
}

const OPENED = 2000

export const descriptors: Probe = {
  ...across,
  id: 'A14',
  slug: 'across.res.fds',
  asset: 'resources',
  question: 'Can a neighbour open so many files that others cannot?',
  method: `A container opens ${OPENED} files: it is read whether they count in the host's one table, and whether its limits (files of a process times processes, memory) end before the table does.`,
  references: ['Demons 2021'],
  remedy: 'Limit open files (--ulimit nofile=1024) together with processes (--pids-limit), or memory (-m).',
  interference: 'bounded',
  async run(context) {
    const { neighbour, inVictim, inNeighbour } = await neighbours(context)
    const rounds: Taken[] = []
    const shared = (): ReturnType<typeof agreement> =>
      agreement(
        rounds.map(({ opened, took, gave }) => Math.min(took, gave) > opened / 2),
        rounds.map(({ opened, took, gave }) => Math.max(took, gave) < opened / 2),
      )
    while (shared() === 'more') {
      context.signal.throwIfAborted()
      rounds.push(await openMany(inNeighbour, inVictim))
    }
    const opened = middle(rounds.map((round) => round.opened))
    const took = middle(rounds.map((round) => round.took))
    const { room } = fileTable()
    const most = mostFiles(neighbour.pid)
    const seen: Evidence[] = []
    const refused = rounds.find(({ victim }) => victim !== undefined)?.victim
    if (refused !== undefined) seen.push({ kind: 'syscall', text: `open of the victim: ${refused}` })
    if (shared() === 'yes' && most > room)
      seen.push({
        kind: 'measurement',
        text: `${opened} files of the neighbour took ${took} places of the host's table; it may open ${most}, ${room} are left`,
      })
    return conclude({
      seen,
      controls: [
        { what: `the neighbour opened files (${opened})`, held: opened > 500 },
        { what: "the host's own open files count in its table", held: tableCounts() },
        {
          what: `the rounds agree (${rounds.map((round) => round.took).join(', ')} of ${opened})`,
          held: shared() !== 'unclear',
        },
      ],
      leak: 'All containers take places in one table of open files, and the limits of one do not end before it.',
      contained:
        shared() === 'yes'
          ? `A container may open ${most} files, and the host has room for ${room}.`
          : "Its files take no places in the host's table.",
    })
  },
}

interface Taken {
  readonly opened: number
  /** Places of the host's table when they were opened, and when they were closed again. */
  readonly took: number
  readonly gave: number
  /** Why the victim could not open one meanwhile. */
  readonly victim: string | undefined
}

const OPEN: Call = { name: 'openat', args: [-100, { in: '/proc/self/status\0' }, 0] }

async function openMany(neighbour: Guest, victim: Guest): Promise<Taken> {
  const before = fileTable().used
  const answers = await neighbour.batch(Array.from({ length: OPENED }, () => OPEN))
  const during = fileTable().used
  const refused = await victim.tryOpen('/proc/self/status')
  const files = answers.filter(({ error }) => error === '').map(({ value }) => value)
  const held = fileTable().used
  await neighbour.batch(files.map((file) => ({ name: 'close', args: [file] })))
  return { opened: files.length, took: during - before, gave: held - fileTable().used, victim: refused }
}

function fileTable(): { readonly used: number; readonly room: number } {
  const [used = 0, , most = 0] = readFileSync('/proc/sys/fs/file-nr', 'utf8').trim().split(/\s+/).map(Number)
  return { used, room: most - used }
}

/** Files are counted in batches per processor: a few hundred are seen. Others may close some just then. */
function tableCounts(): boolean {
  const counts = Array.from({ length: 5 }, () => {
    const before = fileTable().used
    const files = Array.from({ length: 600 }, () => openSync('/dev/null', 'r'))
    const after = fileTable().used
    for (const file of files) closeSync(file)
    return after - before
  })
  return middle(counts) > 300
}

/** struct file, in the kernel's memory that counts for the group. */
const FILE_BYTES = 192

/** What ends first: each process's own limit times the limit of processes, or memory. */
function mostFiles(pid: number): number {
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8')
  const each = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY)
  const host = Number(readFileSync('/proc/sys/kernel/pid_max', 'utf8'))
  const limit = (text: string, otherwise: number): number => (/^\d+$/.test(text) ? Number(text) : otherwise)
  const processes = limit(groupFile(pid, ['pids', 'pids.max'], 'pids.max'), host)
  const memory = limit(groupFile(pid, ['memory', 'memory.limit_in_bytes'], 'memory.max'), 2 ** 62)
  return Math.min(each * Math.min(processes, host), Math.floor(memory / FILE_BYTES))
}
