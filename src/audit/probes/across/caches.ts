/** The kernel's caches between neighbours: who pushes whose files and names out, and who pays. */
import { readFileSync } from 'node:fs'
import { groupFile } from '../../control-group.ts'
import type { Call, Guest } from '../../guest-types.ts'
import { WORK_FOLDER } from '../../image.ts'
import type { Probe } from '../../probe.ts'
import type { Evidence } from '../../types.ts'
import { absent, conclude } from '../../verdict.ts'
import { across, neighbours } from './neighbours.ts'

const MIB = 2 ** 20
const PAGE = 4096
const O_RDWR_CREAT_TRUNC = 0o1102
const MAP_SHARED = 1
const POSIX_FADV_DONTNEED = 4

const common = { ...across, asset: 'resources', interference: 'bounded' } as const

const CACHED = 8 * MIB
const LARGE = 160 * MIB
const LIMIT = 48 * MIB

/** An open file without blocks: reading it fills the page cache all the same. */
async function emptyFile(guest: Guest, size: number): Promise<bigint> {
  const path = { in: `${WORK_FOLDER}/cache\0` }
  const { value } = await guest.syscall('openat', -100, path, O_RDWR_CREAT_TRUNC, 0o644)
  await guest.syscall('ftruncate', value, size)
  return value
}

const PIECE = 2 ** 16

/** Into one buffer of the guest's again and again: memory of its own must not be what reaches the limit. */
async function readThrough(guest: Guest, fd: bigint, size: number): Promise<number> {
  const { value: buffer } = await guest.syscall('mmap', 0, PIECE, 3, 0x22, -1, 0)
  const calls: readonly Call[] = Array.from({ length: size / PIECE }, (_, index) => ({
    name: 'pread64',
    args: [fd, buffer, PIECE, index * PIECE],
  }))
  const answers = await guest.batch(calls)
  await guest.syscall('munmap', buffer, PIECE)
  return answers.filter(({ value }) => value === BigInt(PIECE)).length * PIECE
}

/** How many pages of the file are in memory. */
async function pagesIn(guest: Guest, fd: bigint, size: number): Promise<number> {
  const [, core] = await guest.batch([
    { name: 'mmap', args: [0, size, 1, MAP_SHARED, fd, 0], ends: true },
    { name: 'mincore', args: [{ result: 0 }, size, { out: size / PAGE }] },
    { name: 'munmap', args: [{ result: 0 }, size] },
  ])
  return [...(core?.out[0] ?? [])].filter((byte) => (byte & 1) === 1).length
}

export const pageCache: Probe = {
  ...common,
  id: 'A04',
  slug: 'across.mem.page-cache',
  question: "Does a neighbour that reads large files push another container's files out of memory?",
  method: `A container limited to ${LIMIT / MIB} MiB reads a file of ${LARGE / MIB} MiB three times; of another one's file of ${CACHED / MIB} MiB it is counted (mincore) how much is in memory before and after.`,
  references: ['CWE-770'],
  remedy: 'Give containers memory limits of their own, and memory.low to those that matter.',
  async run(context) {
    const { neighbour, inVictim, inNeighbour } = await neighbours(context, { neighbour: { memory: LIMIT } })
    const [cached, large] = [await emptyFile(inVictim, CACHED), await emptyFile(inNeighbour, LARGE)]
    await readThrough(inVictim, cached, CACHED)
    const before = await pagesIn(inVictim, cached, CACHED)
    let read = 0
    for (let round = 0; round < 3; round += 1) read += await readThrough(inNeighbour, large, LARGE)
    const after = await pagesIn(inVictim, cached, CACHED)
    const usage = ['memory.usage_in_bytes', 'memory.current'] as const
    const charged = Number(groupFile(neighbour.pid, ['memory', usage[0]], usage[1]))
    await inVictim.syscall('fadvise64', cached, 0, 0, POSIX_FADV_DONTNEED)
    const evicted = await pagesIn(inVictim, cached, CACHED)
    const [most, lost] = [CACHED / PAGE, before - after]
    const seen: Evidence[] = []
    if (lost > most / 10)
      seen.push({ kind: 'measurement', text: `${lost} of the victim's ${before} pages were pushed out` })
    if (charged > LIMIT * 1.1)
      seen.push({ kind: 'measurement', text: `its group holds ${charged} bytes with a limit of ${LIMIT}` })
    return conclude({
      seen,
      controls: [
        { what: `the victim's file was in memory (${before} of ${most} pages)`, held: before > most / 2 },
        { what: 'pages that are pushed out by hand are seen to be out', held: evicted < before / 10 },
        { what: `the neighbour read beyond its limit (${read} bytes)`, held: read > 2 * LIMIT },
        { what: `its reading counts for its group (${charged} bytes)`, held: charged > LIMIT / 4 },
      ],
      leak: "The neighbour's reading pushes the victim's files out of memory.",
      contained: `${after} of the victim's ${before} pages are still in memory; without limits only the host's memory bounds it.`,
    })
  },
}

const NAMES = 150_000
/** Bytes of a name that the cache keeps, beside struct dentry: they fit into it. */
const DENTRY = 192
const NAMES_LIMIT = 16 * MIB

/** Asks for absent names that the kernel draws by lot: 12 random bytes after a stem, in memory of the guest's own. */
async function askForNames(guest: Guest, names: number): Promise<number> {
  const stem = Buffer.from(`${WORK_FOLDER}/n`)
  const { value: buffer } = await guest.syscall('mmap', 0, PAGE, 3, 0x22, -1, 0)
  const pipe = await guest.syscall('pipe2', { out: 8 }, 0)
  const [from, to] = [pipe.out[0]?.readInt32LE(0) ?? -1, pipe.out[0]?.readInt32LE(4) ?? -1]
  await guest.syscall('write', to, { in: stem }, stem.length)
  await guest.syscall('read', from, buffer, stem.length)
  const one: readonly Call[] = [
    { name: 'getrandom', args: [buffer + BigInt(stem.length), 12, 0] },
    { name: 'faccessat', args: [-100, buffer, 0] },
  ]
  const batch = Array.from({ length: 2000 }, () => one).flat()
  const { rounds } = await guest.repeat(batch, { times: names / 2000, milliseconds: 20_000 })
  return rounds * 2000
}

function dentries(): number {
  return Number(readFileSync('/proc/sys/fs/dentry-state', 'utf8').split(/\s+/)[0])
}

export const dentryFlood: Probe = {
  ...common,
  id: 'A09',
  slug: 'across.mem.dentry-flood',
  question: "Does a neighbour that asks for masses of absent names fill the kernel's cache of names for all?",
  method: `A container limited to ${NAMES_LIMIT / MIB} MiB asks for ${NAMES} random absent names; it is counted by how many the host's cache of names has grown, and whether the limit bounds that.`,
  references: ['Sysdig 2017'],
  remedy: 'Give containers memory limits: the kernel charges its caches to them (kernel memory accounting).',
  async run(context) {
    const { inNeighbour } = await neighbours(context, { neighbour: { memory: NAMES_LIMIT } })
    const free = await context.guest(await context.create())
    const fits = NAMES_LIMIT / DENTRY
    const start = dentries()
    await askForNames(free, 50_000)
    const shown = dentries() - start
    if (shown < 10_000) return absent(`absent names stay in no cache of the host (${shown} more of 50000)`)
    const before = dentries()
    const asked = await askForNames(inNeighbour, NAMES)
    const grown = dentries() - before
    return conclude({
      seen:
        grown > fits * 1.3
          ? [{ kind: 'measurement', text: `${grown} more names, and its limit holds ${Math.floor(fits)}` }]
          : [],
      controls: [
        {
          what: `names without such a limit show in the host's count (${shown} of 50000)`,
          held: shown > 25_000,
        },
        { what: `the neighbour asked for more than its limit holds (${asked})`, held: asked > fits * 1.5 },
      ],
      leak: "The names that a neighbour asks for fill the kernel's cache, and its limit does not count them.",
      contained: `The host's cache grew by ${grown} names, ${asked} were asked for: the limit counts them. Without one nothing bounds it.`,
    })
  },
}
