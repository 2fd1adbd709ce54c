/** Processor, memory, processes and descriptors between neighbours. */
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import type { Call, Guest } from '../../guest-types.ts'
import { hostCommand } from '../../host-command.ts'
import { tryInterference } from '../../interference.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { conclude } from '../../verdict.ts'
import { across, neighbours } from './neighbours.ts'

const MIB = 2 ** 20
const SIGCHLD = 17
const PROT_READ_WRITE = 3
const MAP_PRIVATE_ANONYMOUS = 0x22
const MADV_POPULATE_WRITE = 23

/** Many small calls: work of the processor alone. */
const BURST: readonly Call[] = Array.from({ length: 512 }, () => ({ name: 'getppid', args: [] }))

export const cpuHog: Probe = {
  ...across,
  id: 'A01',
  slug: 'across.res.cpu-hog',
  asset: 'resources',
  question: "Does a neighbour that spins on all processors slow another container's work down?",
  method: 'Twice as many spinners as processors in one container; bursts of work in another are timed.',
  references: ['Matthews 2007', 'CWE-770'],
  remedy: 'Give containers --cpus or --cpu-shares.',
  interference: 'bounded',
  async run(context) {
    const { inVictim, inNeighbour } = await neighbours(context)
    return tryInterference({
      measure: async () => (await inVictim.repeat(BURST, { times: 4000, milliseconds: 1500 })).nanoseconds,
      load: async () =>
        (await inNeighbour.repeat(BURST, { milliseconds: 2000, processes: cpus().length * 2 })).rounds,
      most: 2,
      what: 'a burst of 512 system calls',
      unit: 'bursts of the neighbour',
    })
  },
}

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

export const descriptors: Probe = {
  ...across,
  id: 'A14',
  slug: 'across.res.fds',
  asset: 'resources',
  question: 'Can a neighbour open so many files that others cannot?',
  method: "A container opens up to 4,000 files; the victim opens one, and the host's room is looked at.",
  references: ['Demons 2021'],
  remedy: 'Lower the limit of open files (--ulimit nofile=1024) and of processes (--pids-limit).',
  interference: 'bounded',
  async run(context) {
    const { inVictim, inNeighbour } = await neighbours(context)
    const open: Call = { name: 'openat', args: [-100, { in: '/proc/self/status\0' }, 0] }
    const attempts = await inNeighbour.inChild(Array.from({ length: 4000 }, () => open))
    const opened = attempts.filter(({ error }) => error === '').length
    const victim = await inVictim.tryOpen('/proc/self/status')
    const room = fileRoom()
    const seen: Evidence[] = []
    if (victim !== undefined) seen.push({ kind: 'syscall', text: `open of the victim: ${victim}` })
    if (room < 100_000) seen.push({ kind: 'value', text: `the host has room for ${room} open files only` })
    return conclude({
      seen,
      controls: [{ what: `the neighbour opened files (${opened})`, held: opened > 100 }],
      leak: 'A neighbour with many open files leaves others none.',
      contained: `The neighbour opened ${opened} files, the victim its own; the host has room for ${room} more.`,
    })
  },
}

function fileRoom(): number {
  const [used = 0, , most = 0] = readFileSync('/proc/sys/fs/file-nr', 'utf8').trim().split(/\s+/).map(Number)
  return most - used
}

export const startStarve: Probe = {
  ...across,
  id: 'A27',
  slug: 'across.engine.start-starve',
  asset: 'availability',
  question: 'Does a busy neighbour keep new containers from starting?',
  method: 'Containers are started alone and beside twice as many spinners as processors; times are compared.',
  references: ['Demons 2021'],
  remedy: 'Give containers --cpus, so that the engine keeps its share.',
  interference: 'bounded',
  timeout: 60_000,
  async run(context) {
    const { inNeighbour } = await neighbours(context)
    const start = async (): Promise<bigint> => {
      const began = process.hrtime.bigint()
      const subject = await context.create()
      const took = process.hrtime.bigint() - began
      await subject.remove()
      return took
    }
    return tryInterference({
      measure: async () => [await start(), await start(), await start()],
      load: async () =>
        (await inNeighbour.repeat(BURST, { milliseconds: 4000, processes: cpus().length * 2 })).rounds,
      most: 3,
      what: 'starting a container',
      unit: 'bursts of the neighbour',
    })
  },
}

export const inotifyQuota: Probe = {
  ...across,
  id: 'A15',
  slug: 'across.res.inotify-epoll',
  asset: 'resources',
  question:
    'Does a neighbour use up a quota that the kernel counts per user, so that another container gets none?',
  method: 'One container makes inotify instances up to the limit, for a second; the other tries to make one.',
  references: ['Demons 2021'],
  remedy: 'Give each container a range of user ids of its own (--userns-remap, or an engine that does).',
  interference: 'load',
  async run(context) {
    const { inVictim, inNeighbour } = await neighbours(context)
    const make: Call = { name: 'inotify_init1', args: [0] }
    const [first] = await inVictim.inChild([make])
    const second = Buffer.alloc(16)
    second.writeBigInt64LE(1n, 0)
    const holding = inNeighbour.inChild(
      [...Array.from({ length: 1000 }, () => make), { name: 'nanosleep', args: [{ in: second }, 0] }],
      4000,
    )
    // The instances are made in some milliseconds and held for a second.
    await new Promise((resolve) => setTimeout(resolve, 400))
    const [during] = await inVictim.inChild([make])
    const made = (await holding).slice(0, -1).filter(({ error }) => error === '').length
    return conclude({
      seen: during?.error === '' ? [] : [{ kind: 'syscall', text: `inotify_init1: ${during?.error ?? ''}` }],
      controls: [
        { what: 'the victim gets one beforehand', held: first?.error === '' },
        { what: `the neighbour reached its limit (${made})`, held: made > 10 && made < 1000 },
      ],
      leak: 'The quota is shared: what the neighbour holds the victim lacks.',
      contained: `The neighbour holds ${made}, and the victim still gets its own.`,
    })
  },
}
